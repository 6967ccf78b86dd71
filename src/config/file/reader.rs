//! From the entries of a configuration file to a configuration, and to the outcome of each key.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config_file::ConfigFile;
use super::entries::Entry;
use super::imports::{self, Verdict};
use super::key::{ConfigKey, KeyClass};
use crate::config::nearest::nearest;
use crate::config::network_args::network_arg;
use crate::config::options::{self, options};
use crate::config::rules::problems_of;
use crate::config::train_config::TrainConfig;
use crate::config::values::{MixedPrecision, arguments};
use crate::error::{Problem, ProblemKind, describe};

/// A file while it is read.
pub(super) struct Reader {
    config: TrainConfig,
    keys: Vec<ConfigKey>,
    problems: Vec<Problem>,
    /// The spelling and line of each option that was set.
    set: BTreeMap<&'static str, (String, Option<usize>)>,
    preset_set: Vec<(String, Value)>,
}

impl Reader {
    /// With the keys and problems that are known already.
    pub(super) fn new(keys: Vec<ConfigKey>, problems: Vec<Problem>) -> Self {
        Self {
            config: TrainConfig::new("", ""),
            keys,
            problems,
            set: BTreeMap::new(),
            preset_set: Vec::new(),
        }
    }

    /// Records the outcome of a key.
    pub(super) fn report(&mut self, entry: &Entry, class: KeyClass, reason: impl Into<String>) {
        self.keys.push(ConfigKey {
            key: entry.spelled.clone(),
            line: entry.line,
            class,
            reason: reason.into(),
        });
    }

    fn refuse(&mut self, entry: &Entry, kind: ProblemKind) {
        self.problems.push(Problem {
            key: entry.spelled.clone(),
            line: entry.line,
            kind,
        });
    }

    /// Reads all entries.
    pub(super) fn read(&mut self, mut entries: Vec<Entry>) {
        // The preset comes first, and what is set next to the file last.
        entries.sort_by_key(|entry| (entry.key != "preset", entry.line.is_none()));
        for entry in &entries {
            if imports::is_unmade_choice(entry) {
                self.report(entry, KeyClass::Ignored, "empty");
            } else if let Some(spec) = options::option(&entry.key) {
                self.read_option(spec.name, entry, &entries);
            } else if let Some(key) = imports::key(&entry.key) {
                let Verdict { class, reason } = key.verdict(&entry.value);
                self.report(entry, class, reason);
                if class == KeyClass::Unsupported {
                    let found = describe(&entry.value);
                    let instead = reason.into();
                    self.refuse(entry, ProblemKind::Unsupported { found, instead });
                }
            } else {
                let known = options::names();
                let nearest = nearest(&entry.key, known).map(Into::into);
                self.refuse(entry, ProblemKind::Unknown { nearest });
            }
        }
        self.preset_set = self.options_of_preset();
    }

    /// The options that the preset set and the file did not.
    fn options_of_preset(&self) -> Vec<(String, Value)> {
        let default = TrainConfig::new("", "");
        let preset = self.config.under_preset();
        options()
            .filter(|spec| spec.name != "preset" && !self.set.contains_key(spec.name))
            .map(|spec| (spec, spec.get(&preset)))
            .filter(|(spec, value)| *value != spec.get(&default))
            .map(|(spec, value)| (spec.name.into(), value))
            .collect()
    }

    fn read_option(&mut self, name: &'static str, entry: &Entry, entries: &[Entry]) {
        // Those are the settings of a kind of adapter that does not exist here.
        if name == "network_args" && has_unsupported_module(entries) {
            return self.report(entry, KeyClass::Unsupported, "of `network_module`");
        }
        for (option, spelling) in destinations(name, entry) {
            // Of options next to the file the last one applies.
            if let Some((first, Some(_))) = self.set.insert(option, (spelling.clone(), entry.line))
                && entry.line.is_some()
            {
                self.problems.push(Problem {
                    key: spelling,
                    line: entry.line,
                    kind: ProblemKind::GivenTwice { first },
                });
            }
        }
        match self.config.assign(name, &entry.value) {
            Ok(()) if entry.is_reported => {}
            Ok(()) => {
                let (class, reason) = self.outcome(name, entry);
                self.report(entry, class, reason);
            }
            Err(problem) => match imports::instead_of(name, entry, entries) {
                Some(instead) => {
                    self.report(entry, KeyClass::Unsupported, instead.clone());
                    let found = describe(&entry.value);
                    self.refuse(entry, ProblemKind::Unsupported { found, instead });
                }
                None => self.refuse(entry, problem.kind),
            },
        }
    }

    /// The outcome of a key that set an option.
    fn outcome(&self, name: &str, entry: &Entry) -> (KeyClass, String) {
        let config = &self.config;
        match name {
            "mixed_precision" if config.mixed_precision == MixedPrecision::Bf16 => (
                KeyClass::Used,
                "the base's weights are kept in bf16; layers compute in 32 bits".into(),
            ),
            "mixed_precision" if config.mixed_precision == MixedPrecision::Fp16 => (
                KeyClass::Implied,
                "layers compute in 32 bits, which covers the range of fp16".into(),
            ),
            "max_token_length" if config.max_token_length == 255 => {
                (KeyClass::Used, "acts as 225".into())
            }
            "clip_skip" if config.clip_skip == Some(0) => {
                (KeyClass::Used, "means unset without `compat`".into())
            }
            _ if name != entry.key => (KeyClass::Used, format!("as `{name}`")),
            _ => (KeyClass::Used, String::new()),
        }
    }

    /// The options that another program's file leaves at a default that differs here.
    fn other_defaults(&self) -> Vec<(String, [String; 2])> {
        let is_other_program = self
            .keys
            .iter()
            .any(|key| matches!(key.class, KeyClass::Implied | KeyClass::Ignored));
        if !is_other_program {
            return Vec::new();
        }
        let mut others = Vec::new();
        for (name, there) in imports::DEFAULTS {
            if self.set.contains_key(name) {
                continue;
            }
            let here = match *name {
                "network_alpha" => self.config.effective_network_alpha().to_string(),
                name => match options::option(name).map(|spec| spec.get(&self.config)) {
                    Some(Value::String(text)) => text,
                    Some(other) => other.to_string(),
                    None => continue,
                },
            };
            if here != *there {
                others.push(((*name).to_owned(), [here, (*there).to_owned()]));
            }
        }
        others
    }

    /// Checks the configuration and gives it with all problems.
    pub(super) fn finish(mut self) -> (ConfigFile, Vec<Problem>) {
        let mut further = problems_of(&self.config);
        // An option whose own value was refused is not also missing or in conflict.
        further.retain(|problem| !self.is_refused(&problem.key));
        for problem in &mut further {
            problem.line = self
                .set
                .get(problem.key.as_str())
                .and_then(|(_, line)| *line);
        }
        self.problems.extend(further);
        self.problems
            .sort_by_key(|problem| (problem.line.is_none(), problem.line));
        self.keys.sort_by_key(|key| (key.line.is_none(), key.line));
        let file = ConfigFile {
            other_defaults: self.other_defaults(),
            config: self.config,
            keys: self.keys,
            preset_set: self.preset_set,
        };
        (file, self.problems)
    }

    /// True if the value that the file sets an option to was refused.
    fn is_refused(&self, option: &str) -> bool {
        self.set.get(option).is_some_and(|(spelling, line)| {
            self.problems
                .iter()
                .any(|problem| problem.key == *spelling && problem.line == *line)
        })
    }
}

/// True if the file asks for a kind of adapter that exists in other programs only.
fn has_unsupported_module(entries: &[Entry]) -> bool {
    entries
        .iter()
        .find(|entry| entry.key == "network_module")
        .is_some_and(|module| imports::instead_of("network_module", module, entries).is_some())
}

/// The options that an entry sets, with the spellings it uses: more than one for `network_args`.
fn destinations(name: &'static str, entry: &Entry) -> Vec<(&'static str, String)> {
    let mut names = vec![(name, entry.spelled.clone())];
    if name == "network_args" {
        for (key, _) in arguments(&entry.value).unwrap_or_default() {
            // If both are set, `network_dropout` itself is used.
            if key != "dropout"
                && let Some(option) = network_arg(&key)
            {
                names.push((option, format!("{}: {key}", entry.spelled)));
            }
        }
    }
    names
}
