//! Each option changes what it names, and nothing else.

mod aspect;
mod data;
mod model;
mod network;
mod output;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use lora_trainer::config::options;

use crate::program::Job;
use aspect::{Aspect, Observation};

/// The aspects that change if every step is trained differently.
const TRAINED: [Aspect; 3] = [Aspect::FirstLoss, Aspect::Losses, Aspect::Weights];
/// The aspects that change if the first loss is the same but the updates differ.
const LATER: [Aspect; 2] = [Aspect::Losses, Aspect::Weights];

/// One option at a value that is not its default.
#[derive(Clone, Copy)]
struct Row {
    option: &'static str,
    /// The value, in TOML.
    value: &'static str,
    /// Other options of both runs, in TOML.
    with: &'static [(&'static str, &'static str)],
    /// Creates the files that both runs need.
    prepare: fn(&mut Job),
    expected: Expected,
}

#[derive(Clone, Copy)]
enum Expected {
    /// The aspects of the run and the metadata entries that change; `*` matches any end.
    Changes(&'static [Aspect], &'static [&'static str]),
    /// A part of the error message, if the run is refused.
    Refusal(&'static str),
    /// A part of the error message, if the run is refused without the option.
    Permission(&'static str),
}

/// A row whose run changes in these aspects and metadata entries.
const fn row(
    option: &'static str,
    value: &'static str,
    changes: &'static [Aspect],
    metadata: &'static [&'static str],
) -> Row {
    Row {
        option,
        value,
        with: &[],
        prepare: |_| (),
        expected: Expected::Changes(changes, metadata),
    }
}

/// A row whose run is refused.
const fn refusal(option: &'static str, value: &'static str, message: &'static str) -> Row {
    Row {
        option,
        value,
        with: &[],
        prepare: |_| (),
        expected: Expected::Refusal(message),
    }
}

/// A row whose run is refused without the option.
const fn permission(option: &'static str, value: &'static str, message: &'static str) -> Row {
    Row {
        option,
        value,
        with: &[],
        prepare: |_| (),
        expected: Expected::Permission(message),
    }
}

impl Row {
    const fn with(self, with: &'static [(&'static str, &'static str)]) -> Self {
        Self { with, ..self }
    }

    const fn prepared(self, prepare: fn(&mut Job)) -> Self {
        Self { prepare, ..self }
    }

    /// The run without the option.
    fn job(&self) -> Job {
        let mut job = Job::new();
        job.toml("max_train_steps", "3")
            .toml("save_precision", "'float'");
        for (key, value) in self.with {
            job.toml(key, value);
        }
        (self.prepare)(&mut job);
        job
    }

    /// The problems.
    fn check(&self, base: &lora_trainer::Result<Observation>) -> Option<String> {
        let mut job = self.job();
        job.toml(self.option, self.value);
        let (option, value) = (self.option, self.value);
        let base = match (base, self.expected) {
            (Ok(base), _) => base,
            (Err(error), Expected::Permission(message)) if error.to_string().contains(message) => {
                return Observation::from_run(&job)
                    .err()
                    .map(|error| format!("{option} = {value}: {error}"));
            }
            (Err(error), _) => return Some(format!("without {option} = {value}: {error}")),
        };
        match (Observation::from_run(&job), self.expected) {
            (_, Expected::Permission(_)) => Some(format!("not refused without {option} = {value}")),
            (Ok(observed), Expected::Changes(sides, metadata)) => {
                let (different, entries) = observed.differences(base);
                let sides: BTreeSet<Aspect> = sides.iter().copied().collect();
                let is_meant = |entry: &String, key: &str| {
                    key.strip_suffix('*')
                        .map_or(entry == key, |start| entry.starts_with(start))
                };
                let all_meant = entries
                    .iter()
                    .all(|entry| metadata.iter().any(|key| is_meant(entry, key)));
                let all_there = metadata
                    .iter()
                    .all(|key| entries.iter().any(|entry| is_meant(entry, key)));
                let right = different == sides
                    && all_meant
                    && all_there
                    && !(sides.is_empty() && metadata.is_empty());
                (!right).then(|| {
                    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
                    format!("{option} = {value} changes {different:?}, {entries:?}")
                })
            }
            (Err(error), Expected::Refusal(message)) if error.to_string().contains(message) => None,
            (Ok(_), Expected::Refusal(_)) => Some(format!("{option} = {value} is not refused")),
            (Err(error), _) => Some(format!("{option} = {value}: {error}")),
        }
    }
}

/// Checks rows, running each base once.
fn check(rows: &[Row]) {
    let mut bases = BTreeMap::new();
    let mut problems = Vec::new();
    for row in rows {
        let key = format!("{:?} {:?}", row.with, row.prepare as usize);
        let base = bases
            .entry(key)
            .or_insert_with(|| Observation::from_run(&row.job()));
        problems.extend(row.check(base));
    }
    assert!(
        problems.is_empty(),
        "{} of {}:\n{}",
        problems.len(),
        rows.len(),
        problems.join("\n")
    );
}

#[test]
fn every_option_has_a_row() {
    let rows = [
        model::ROWS,
        data::IMAGES,
        data::CAPTIONS,
        data::CACHES,
        training::ROWS,
        network::ROWS,
        output::ROWS,
    ];
    let tested: BTreeSet<&str> = rows.concat().iter().map(|row| row.option).collect();
    let known: BTreeSet<&str> = options().map(|spec| spec.name).collect();
    let missing: Vec<&&str> = known.difference(&tested).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}
