//! The command line: arguments, signals, progress. What it does is the library's.

mod check;
mod convert_config;
mod init;
mod keys;
mod options;
mod progress;
mod random_checkpoint;
mod signals;
mod train;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::signals::Signals;
use crate::error::Result;

/// Train LoRA adapters for Stable Diffusion.
#[derive(Debug, Parser)]
#[command(name = "lora-trainer", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a LoRA as a TOML file says
    Train {
        /// The configuration, with sd-scripts' option names
        config: PathBuf,
        /// Set an option, over what the file says
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Read everything that a training would read, and say what it would do and what is wrong
    Check {
        /// The configuration, with sd-scripts' option names
        config: PathBuf,
        /// Set an option, over what the file says
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration file of sd-scripts or SD-Trainer anew, and say what became of each of
    /// its keys
    ConvertConfig {
        /// The file to read
        input: PathBuf,
        /// The file to write
        out: PathBuf,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Write a configuration file to start from
    Init {
        /// The model family
        #[arg(long, value_parser = random_checkpoint::parse_family, default_value = "sd15")]
        family: lora_models::Family,
        /// Every option, out of effect at its default
        #[arg(long)]
        expert: bool,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
        /// The file to write; without it, the text is printed
        out: Option<PathBuf>,
    },
    /// Explain the options of configuration files
    Options {
        /// Those that have an effect for this model family, with its defaults
        #[arg(long, value_parser = random_checkpoint::parse_family)]
        family: Option<lora_models::Family>,
        /// As tables in Markdown
        #[arg(long)]
        markdown: bool,
        /// These options alone
        names: Vec<String>,
    },
    /// Write a checkpoint of real size with random weights, to try speed and memory
    RandomCheckpoint {
        /// The model family
        #[arg(long, value_parser = random_checkpoint::parse_family)]
        family: lora_models::Family,
        /// The seed of the weights
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// The file to write
        out: PathBuf,
    },
}

/// Runs the program with these arguments, the program's name first. Exit codes: 0 done, 1 a fault
/// of the program, 2 a fault of the input, 130 and 143 ended by SIGINT and SIGTERM.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is to be done where not even this can be printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Train { config, set } => watched(|signals| train::run(&config, &set, signals)),
        // Leaves nothing behind: signals end it as they end any program.
        Command::Check { config, set, json } => check::run(&config, &set, json),
        Command::ConvertConfig { input, out, force } => convert_config::run(&input, &out, force),
        Command::Init {
            family,
            expert,
            force,
            out,
        } => init::run(family, expert, out.as_deref(), force),
        Command::Options {
            family,
            markdown,
            names,
        } => options::run(family, markdown, &names),
        Command::RandomCheckpoint { family, seed, out } => {
            watched(|signals| random_checkpoint::run(family, seed, &out, signals))
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // Nothing is to be done where not even this can be printed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a command that ends in good order at SIGINT and SIGTERM.
fn watched(command: impl FnOnce(&Signals) -> Result<ExitCode>) -> Result<ExitCode> {
    match Signals::install() {
        Ok(signals) => command(&signals),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: cannot watch for signals: {error}"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}
