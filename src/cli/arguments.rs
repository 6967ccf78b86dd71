//! Arguments in the spelling of sd-scripts: `--caption_extension` for `--caption-extension`, and
//! switches with a value, as in `--replace-underscore false`.

use std::ffi::{OsStr, OsString};

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};

/// The name of the value of options that are true, false or unset.
pub(super) const TRUE_OR_FALSE: &str = "true|false";

/// Lets the switches of a command, and the options with the value [`TRUE_OR_FALSE`], have a value
/// or none.
pub(super) fn with_switches(command: Command) -> Command {
    command.mut_args(|argument| {
        let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
        if is_switch {
            switch(argument)
                .default_value("false")
                .hide_default_value(true)
        } else if is_true_or_false(&argument) {
            switch(argument)
        } else {
            argument
        }
    })
}

fn switch(argument: Arg) -> Arg {
    argument
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name(TRUE_OR_FALSE)
        .value_parser(BoolishValueParser::new())
        .hide_possible_values(true)
}

fn is_true_or_false(argument: &Arg) -> bool {
    let mut names = argument.get_value_names().unwrap_or_default().iter();
    names.any(|name| name.as_str() == TRUE_OR_FALSE)
}

/// Spells the arguments as clap expects them: names of options with dashes, and the value of a
/// switch after `=`.
pub(super) fn normalized(
    arguments: impl IntoIterator<Item = OsString>,
    command: &Command,
) -> Vec<OsString> {
    let mut arguments = arguments.into_iter().map(with_dashes).peekable();
    let mut normalized: Vec<OsString> = Vec::new();
    let mut subcommand = None;
    while let Some(mut argument) = arguments.next() {
        if subcommand.is_none() {
            let mut known = command.get_subcommands();
            subcommand = known.find(|known| argument == known.get_name());
        }
        let is_switch = subcommand.is_some_and(|command| is_switch(&argument, command));
        if is_switch && let Some(value) = arguments.next_if(|next| is_value(next)) {
            argument.push("=");
            argument.push(value);
        }
        normalized.push(argument);
    }
    normalized
}

/// Replaces the underscores in the name of an option.
fn with_dashes(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with("--") => {
            let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
            format!("{}{value}", name.replace('_', "-")).into()
        }
        _ => argument,
    }
}

fn is_value(argument: &OsStr) -> bool {
    argument.eq_ignore_ascii_case("true") || argument.eq_ignore_ascii_case("false")
}

fn is_switch(argument: &OsStr, command: &Command) -> bool {
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix("--")) else {
        return false;
    };
    command.get_arguments().any(|known| {
        let names = known.get_all_aliases().unwrap_or_default();
        is_true_or_false(known) && (known.get_long() == Some(name) || names.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_and_underscores() {
        let escape = Arg::new("escape").long("escape-tag").alias("escape");
        let debug = Arg::new("debug").long("debug").action(ArgAction::SetTrue);
        let other = Arg::new("other").long("other-one");
        let tag = Command::new("tag")
            .arg(escape.value_name(TRUE_OR_FALSE))
            .args([debug, other, Arg::new("folder")]);
        let command = Command::new("x")
            .subcommand(with_switches(tag))
            .subcommand(Command::new("other").arg(Arg::new("folder")));
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (given, expected) in [
            (
                "x tag --escape_tag false a_b",
                "x tag --escape-tag=false a_b",
            ),
            ("x tag --escape True", "x tag --escape=True"),
            ("x tag --escape-tag folder", "x tag --escape-tag folder"),
            ("x tag --debug false", "x tag --debug=false"),
            ("x tag --debug folder", "x tag --debug folder"),
            ("x tag --escape_tag=true", "x tag --escape-tag=true"),
            ("x tag --other_one a_b", "x tag --other-one a_b"),
            ("x other true", "x other true"),
        ] {
            let normalized = normalized(words(given), &command);
            assert_eq!(normalized, words(expected));
            let matches = command.clone().try_get_matches_from(normalized).unwrap();
            let (_, matches) = matches.subcommand().unwrap();
            if given.contains("debug") {
                let is_set = matches.get_one::<bool>("debug");
                assert_eq!(is_set, Some(&!given.contains("false")));
            }
        }
    }
}
