//! Fields of the form for arguments and options of the user's own.

use serde_json::Value;

use super::form::{Form, items};
use crate::config::file::entries::{self, Entry};
use crate::config::file::key::KeyClass;
use crate::config::options::{OptionSpec, option};
use crate::error::{Error, Problem};

/// Adds the custom arguments to the lists of arguments.
pub(super) fn add_arguments(form: &mut Form) {
    for (custom, list) in [
        ("network_args_custom", "network_args"),
        ("optimizer_args_custom", "optimizer_args"),
    ] {
        if !form.is_on(custom) {
            continue;
        }
        let Some(entry) = form.take(custom) else {
            continue;
        };
        form.report(&entry, KeyClass::Used, &format!("in `{list}`"));
        let own = form.take(list);
        let mut all: Vec<Value> = own.iter().flat_map(|own| items(&own.value)).collect();
        all.extend(items(&entry.value));
        let source = own.as_ref().unwrap_or(&entry);
        form.entries.push(source.converted(list, all.into()));
    }
}

/// TOML text whose keys take precedence over those of the form.
pub(super) fn override_options(form: &mut Form) {
    if !form.is_on("ui_custom_params") {
        return;
    }
    let Some(custom) = form.take("ui_custom_params") else {
        return;
    };
    let entries = match entries::parse(custom.value.as_str().unwrap_or_default()) {
        Ok(parsed) => parsed.entries,
        Err(problems) => {
            let error = Error::Config {
                file: None,
                problems,
            };
            let mut problem = Problem::value("ui_custom_params", error.to_string(), "TOML");
            problem.line = custom.line;
            form.problems.push(problem);
            return;
        }
    };
    form.report(
        &custom,
        KeyClass::Used,
        "its keys take precedence over those of the form",
    );
    for entry in entries {
        let spec = option(&entry.key);
        let (replaced, kept): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut form.entries)
            .into_iter()
            .partition(|other| is_replaced(other, &entry, spec, &custom));
        form.entries = kept;
        for old in replaced {
            form.report(
                &old,
                KeyClass::Ignored,
                "`ui_custom_params` takes precedence",
            );
        }
        form.entries.push(Entry {
            spelled: format!("ui_custom_params: {}", entry.key),
            line: custom.line,
            ..entry
        });
    }
}

/// True if `other` sets the same option as the custom entry, and is not set next to the file while
/// `custom` is in it.
fn is_replaced(other: &Entry, entry: &Entry, spec: Option<&OptionSpec>, custom: &Entry) -> bool {
    let is_same_option = other.key == entry.key
        || spec.is_some_and(|spec| spec.names().any(|name| name == other.key));
    is_same_option && (other.line.is_some() || custom.line.is_none())
}
