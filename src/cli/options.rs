//! `lora-trainer options`.

use std::process::ExitCode;

use lora_models::Family;

use super::progress::print_line;
use crate::config::{Group, OptionSpec, Value, nearest_option, option};
use crate::error::{Error, Problem, ProblemKind, Result};

pub(super) fn run(family: Option<Family>, markdown: bool, names: &[String]) -> Result<ExitCode> {
    let unknown = names.iter().filter(|name| option(name).is_none());
    let problems: Vec<Problem> = unknown
        .map(|name| {
            Problem::new(
                name,
                ProblemKind::Unknown {
                    nearest: nearest_option(name).map(Into::into),
                },
            )
        })
        .collect();
    if !problems.is_empty() {
        return Err(Error::Config {
            file: None,
            problems,
        });
    }
    let is_shown = |spec: &&OptionSpec| {
        let is_named = names.is_empty()
            || names
                .iter()
                .any(|name| spec.names().any(|known| known == name));
        is_named && family.is_none_or(|family| spec.families.contains(&family))
    };
    let groups = Group::ALL.into_iter().map(|group| {
        (
            group,
            group.options().iter().filter(is_shown).collect::<Vec<_>>(),
        )
    });
    let groups: Vec<_> = groups.filter(|(_, options)| !options.is_empty()).collect();
    let text = if markdown {
        in_markdown(&groups, family)
    } else {
        in_lines(&groups, family)
    };
    print_line(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// The default, for each family if they differ.
fn default(spec: &OptionSpec, family: Option<Family>) -> String {
    let shown = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let of = |family| shown(&spec.default_for(family));
    match family {
        Some(family) => of(family),
        None if Family::ALL
            .iter()
            .all(|family| of(*family) == of(Family::Sd1)) =>
        {
            of(Family::Sd1)
        }
        None => Family::ALL
            .map(|family| format!("{}: {}", family.name(), of(family)))
            .join("; "),
    }
}

/// The rules of an option, as sentences.
fn rules(spec: &OptionSpec) -> String {
    let mut text = String::new();
    if !spec.needs.is_empty() {
        text += &format!(" Needs {}.", in_code(spec.needs, " or "));
    }
    if !spec.excludes.is_empty() {
        text += &format!(" Excludes {}.", in_code(spec.excludes, ", "));
    }
    if spec.families.len() < Family::ALL.len() {
        let names: Vec<&str> = spec.families.iter().map(|family| family.name()).collect();
        text += &format!(" Only for {}.", in_code(&names, " and "));
    }
    if !spec.aliases.is_empty() {
        text += &format!(" Also accepted as {}.", in_code(spec.aliases, ", "));
    }
    text
}

/// Names in backticks.
fn in_code(names: &[&str], separator: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(separator)
}

fn in_lines(groups: &[(Group, Vec<&OptionSpec>)], family: Option<Family>) -> String {
    let mut text = String::new();
    for (group, options) in groups {
        text += &format!("== {} ==\n\n", group.title());
        for spec in options {
            let default = match default(spec, family) {
                text if text.is_empty() => String::new(),
                text => format!(" (default {text})"),
            };
            text += &format!(
                "{}{default}\n    {}\n    {}{}\n\n",
                spec.name,
                spec.kind,
                spec.help,
                rules(spec)
            );
        }
    }
    text
}

fn in_markdown(groups: &[(Group, Vec<&OptionSpec>)], family: Option<Family>) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = String::from(
        "# Options\n\nAll options of a configuration file. `lora-trainer options` prints the same list, \
         `lora-trainer init --expert` a file with all options.\n\
         `lora-trainer options --markdown > docs/options.md` writes this page.\n",
    );
    for (group, options) in groups {
        text += &format!(
            "\n## {}\n\n| option | value | default | description |\n|---|---|---|---|\n",
            group.title()
        );
        for spec in options {
            let help = cell(&format!("{}{}", spec.help, rules(spec)));
            let row = [
                cell(&spec.kind.to_string()),
                cell(&default(spec, family)),
                help,
            ];
            text += &format!("| `{}` | {} |\n", spec.name, row.join(" | "));
        }
    }
    text
}
