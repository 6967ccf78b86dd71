//! Arguments in the spelling of sd-scripts: `--caption_extension` for `--caption-extension`, and
//! `--replace-underscore false`.

use std::ffi::{OsStr, OsString};

use clap::{ArgAction, Command};

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
            subcommand = command
                .get_subcommands()
                .find(|known| argument == known.get_name());
        }
        let is_switch = subcommand.is_some_and(|command| is_switch(&argument, command));
        if is_switch
            && let Some(value) = arguments.next_if(|next| next == "true" || next == "false")
        {
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

/// True for an option whose value is optional.
fn is_switch(argument: &OsStr, command: &Command) -> bool {
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix("--")) else {
        return false;
    };
    command.get_arguments().any(|known| {
        let names = known.get_all_aliases().unwrap_or_default();
        matches!(known.get_action(), ArgAction::Set)
            && known.is_require_equals_set()
            && (known.get_long() == Some(name) || names.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn switches_and_underscores() {
        let switch = Arg::new("escape")
            .long("escape-tag")
            .alias("escape")
            .num_args(0..=1)
            .require_equals(true);
        let command = Command::new("x").subcommand(Command::new("tag").arg(switch));
        let normalized = |text: &str| {
            let arguments = normalized(text.split(' ').map(Into::into), &command);
            arguments.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (given, expected) in [
            (
                "x tag --escape_tag false a_b",
                "x tag --escape-tag=false a_b",
            ),
            ("x tag --escape true", "x tag --escape=true"),
            ("x tag --escape-tag folder", "x tag --escape-tag folder"),
            ("x tag --escape_tag=true", "x tag --escape-tag=true"),
            ("x tag --other_one=a_b true", "x tag --other-one=a_b true"),
            ("x other --escape-tag false", "x other --escape-tag false"),
        ] {
            assert_eq!(normalized(given), expected);
        }
    }
}
