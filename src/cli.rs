//! The command line: arguments, signals and progress. The library does the work.

mod arguments;
mod captions;
mod check;
mod convert_config;
mod init;
mod keys;
mod notices;
mod options;
mod progress;
mod random_checkpoint;
mod signals;
#[cfg(feature = "tagger")]
mod tag;
mod train;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use lora_models::Family;

use self::signals::Signals;
use crate::error::Result;

/// Train LoRA adapters for Stable Diffusion 1.x, 2.x and SDXL
#[derive(Debug, Parser)]
#[command(name = "lora-trainer", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a LoRA from a TOML config file
    Train {
        /// Config file, with sd-scripts' option names
        config: PathBuf,
        /// Override an option of the config file; can be repeated
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Report what a run would do, and every problem, without training
    Check {
        /// Config file, with sd-scripts' option names
        config: PathBuf,
        /// Override an option of the config file; can be repeated
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write captions for a folder of images with a tagger
    #[cfg(feature = "tagger")]
    Tag(Box<tag::TagArguments>),
    /// Edit the captions of a folder of images: filters, edits, figures and undo
    Captions(Box<captions::Arguments>),
    /// Convert a config file of sd-scripts or SD-Trainer, and list what happens to each key
    ConvertConfig {
        /// File to read
        input: PathBuf,
        /// File to write
        out: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// Write a config file to start from
    Init {
        /// Model family whose defaults are written
        #[arg(long, value_parser = family(), default_value = "sd15")]
        family: Family,
        /// Write all options, each commented out at its default
        #[arg(long)]
        expert: bool,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
        /// File to write [default: print to standard output]
        out: Option<PathBuf>,
    },
    /// Explain the options of config files
    Options {
        /// List only the options of this model family, with its defaults
        #[arg(long, value_parser = family())]
        family: Option<Family>,
        /// Print Markdown tables
        #[arg(long)]
        markdown: bool,
        /// Names of the options to explain [default: all]
        names: Vec<String>,
    },
    /// Write a full-size checkpoint with random weights, to measure speed and memory
    RandomCheckpoint {
        /// Model family of the checkpoint
        #[arg(long, value_parser = family())]
        family: Family,
        /// Seed of the weights
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// File to write
        out: PathBuf,
    },
}

/// Parses the name of a model family.
fn family() -> impl TypedValueParser<Value = Family> {
    PossibleValuesParser::new(Family::ALL.map(Family::name)).try_map(|name: String| {
        Family::ALL
            .into_iter()
            .find(|family| family.name() == name)
            .ok_or("an unknown model family")
    })
}

/// Runs the program with these arguments; the first is the name of the program.
///
/// Exit codes: 0 success, 1 some images or captions failed or a bug in the program, 2 invalid
/// input, 130 and 143 stopped by SIGINT and SIGTERM.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut command = Arguments::command();
    if cfg!(feature = "tagger") {
        command = command.mut_subcommand("tag", arguments::with_switches);
    }
    let words = arguments::normalized(arguments, &command);
    let parsed = command
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| error.format(&mut command));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            // If printing fails, there is no other way to report the error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Train { config, set } => {
            with_signals(|signals| train::run(&config, &set, signals))
        }
        // Writes no output files, so the default action of signals is fine.
        Command::Check { config, set, json } => check::run(&config, &set, json),
        #[cfg(feature = "tagger")]
        Command::Tag(arguments) => with_signals(|signals| tag::run(&arguments, signals)),
        Command::Captions(arguments) if arguments.only_reads() => {
            captions::run(&arguments, &words, None)
        }
        Command::Captions(arguments) if arguments.opens_editor() => {
            with_handlers(Signals::ignore_interrupts, |()| {
                captions::run(&arguments, &words, None)
            })
        }
        Command::Captions(arguments) => {
            with_signals(|signals| captions::run(&arguments, &words, Some(signals)))
        }
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
            with_signals(|signals| random_checkpoint::run(family, seed, &out, signals))
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // If printing fails, there is no other way to report the error.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a command that handles SIGINT and SIGTERM.
fn with_signals(command: impl FnOnce(&Signals) -> Result<ExitCode>) -> Result<ExitCode> {
    with_handlers(Signals::install, |signals| command(&signals))
}

fn with_handlers<T>(
    install: impl FnOnce() -> std::io::Result<T>,
    command: impl FnOnce(T) -> Result<ExitCode>,
) -> Result<ExitCode> {
    match install() {
        Ok(handlers) => command(handlers),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: cannot install signal handlers: {error}"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}
