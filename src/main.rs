//! The command-line program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lora_trainer::cli::run(std::env::args_os())
}
