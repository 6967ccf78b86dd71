//! Keys of other programs that are no options here, and their outcome.

use serde_json::Value;

use crate::config::file::entries::is_off;
use crate::config::file::key::KeyClass;
use crate::error::describe;

/// A key of another program that is no option here.
#[derive(Debug)]
pub(in crate::config::file) struct ExternalKey {
    pub(in crate::config::file) name: &'static str,
    rule: Rule,
}

/// The outcome of a key.
#[derive(Debug)]
enum Rule {
    /// It asks for what is always done.
    Implied(&'static str),
    /// It does not change the result.
    Ignored(&'static str),
    /// An error unless the value turns it off. The text is a sentence about what to do instead.
    Unsupported(&'static str),
    /// These values ask for what is always done; the others are errors.
    Only {
        values: &'static [&'static str],
        why: &'static str,
        instead: &'static str,
    },
}

/// The outcome of a key with its value.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config::file) struct Verdict {
    pub(in crate::config::file) class: KeyClass,
    pub(in crate::config::file) reason: &'static str,
}

impl ExternalKey {
    pub(in crate::config::file) fn verdict(&self, value: &Value) -> Verdict {
        let (class, reason) = match self.rule {
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
        Verdict { class, reason }
    }
}

fn is_value(known: &str, value: &Value) -> bool {
    known.eq_ignore_ascii_case(describe(value).trim_matches('"').trim())
}

pub(super) const fn implied(name: &'static str, why: &'static str) -> ExternalKey {
    ExternalKey {
        name,
        rule: Rule::Implied(why),
    }
}

pub(super) const fn ignored(name: &'static str, why: &'static str) -> ExternalKey {
    ExternalKey {
        name,
        rule: Rule::Ignored(why),
    }
}

pub(super) const fn unsupported(name: &'static str, instead: &'static str) -> ExternalKey {
    ExternalKey {
        name,
        rule: Rule::Unsupported(instead),
    }
}

pub(super) const fn only(
    name: &'static str,
    values: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
) -> ExternalKey {
    ExternalKey {
        name,
        rule: Rule::Only {
            values,
            why,
            instead,
        },
    }
}
