//! Keys of SD-Trainer's and sd-scripts' files that are no options here, and what becomes of each.

pub(super) use defaults::DEFAULTS;

use super::entries::is_off;
use super::value::describe;
use super::{KeyClass, Value};

mod data;
mod defaults;
mod form;
mod model;
mod output;
mod training;
mod values;

pub(super) use form::UI_ONLY;
pub(super) use values::instead_of;

/// One key.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) name: &'static str,
    rule: Rule,
}

/// What becomes of a key.
#[derive(Debug)]
enum Rule {
    /// What it asks for is always so.
    Implied(&'static str),
    /// It changes nothing about the result.
    Ignored(&'static str),
    /// An error at any value but one that says no. The text says what to do instead.
    Unsupported(&'static str),
    /// These values are what is done anyhow; the others are errors.
    Only {
        values: &'static [&'static str],
        why: &'static str,
        instead: &'static str,
    },
}

/// What becomes of a key at a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) class: KeyClass,
    pub(super) note: &'static str,
}

impl ForeignKey {
    pub(super) fn verdict(&self, value: &Value) -> Verdict {
        let (class, note) = match self.rule {
            Rule::Only { values, why, .. } if values.iter().any(|known| is_value(known, value)) => {
                (KeyClass::Implied, why)
            }
            Rule::Implied(_) | Rule::Unsupported(_) | Rule::Only { .. } if is_off(value) => {
                (KeyClass::Ignored, "off")
            }
            Rule::Implied(why) => (KeyClass::Implied, why),
            Rule::Ignored(why) => (KeyClass::Ignored, why),
            Rule::Unsupported(instead) | Rule::Only { instead, .. } => {
                (KeyClass::Unsupported, instead)
            }
        };
        Verdict { class, note }
    }
}

fn is_value(known: &str, value: &Value) -> bool {
    known.eq_ignore_ascii_case(describe(value).trim_matches('"').trim())
}

const fn implied(name: &'static str, why: &'static str) -> ForeignKey {
    ForeignKey {
        name,
        rule: Rule::Implied(why),
    }
}

const fn ignored(name: &'static str, why: &'static str) -> ForeignKey {
    ForeignKey {
        name,
        rule: Rule::Ignored(why),
    }
}

const fn unsupported(name: &'static str, instead: &'static str) -> ForeignKey {
    ForeignKey {
        name,
        rule: Rule::Unsupported(instead),
    }
}

const fn only(
    name: &'static str,
    values: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
) -> ForeignKey {
    ForeignKey {
        name,
        rule: Rule::Only {
            values,
            why,
            instead,
        },
    }
}

/// All of them.
pub(super) fn keys() -> impl Iterator<Item = &'static ForeignKey> {
    [
        model::KEYS,
        data::KEYS,
        training::KEYS,
        output::KEYS,
        form::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The key of this name.
pub(super) fn key(name: &str) -> Option<&'static ForeignKey> {
    keys().find(|key| key.name == name)
}
#[cfg(test)]
mod tests;
