//! Reading configuration files, and what becomes of each of their keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::entries::{self, Entry};
use super::foreign::{self, Verdict};
use super::form::{self, Form};
use super::options::{self, network_arg};
use super::validate::beside_images;
use super::value::{arguments, describe};
use super::{MixedPrecision, TrainConfig, Value};
use crate::error::{Error, Problem, ProblemKind, Result};

/// A configuration file that has been read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConfigFile {
    /// What it comes to.
    pub config: TrainConfig,
    /// What became of each key, in the file's order; those that were given beside it come last.
    pub keys: Vec<KeyUse>,
    /// The options that the preset set and the file did not, with their values.
    pub preset_set: Vec<(String, Value)>,
    /// Where the file is another program's: options that it does not give and that have another
    /// default in sd-scripts, with both values, this program's first.
    pub other_defaults: Vec<(String, [String; 2])>,
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// The key, as it was spelled.
    pub key: String,
    /// Its line in the file, counted from 1; `None` for one that was given beside the file.
    pub line: Option<usize>,
    /// What became of it.
    pub class: KeyClass,
    /// Why, or as what; may be empty.
    pub note: String,
}

/// What becomes of a key at its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyClass {
    /// It sets an option.
    Used,
    /// What it asks for is always so.
    Implied,
    /// It changes nothing, for the reason in the note.
    Ignored,
    /// What it asks for is not there, which is an error.
    Unsupported,
}

impl fmt::Display for KeyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Used => "used",
            Self::Implied => "implied",
            Self::Ignored => "ignored",
            Self::Unsupported => "unsupported",
        })
    }
}

impl TrainConfig {
    /// Reads a configuration file of this program, sd-scripts or SD-Trainer: one key an option, or
    /// sections of such keys, whose names mean nothing. Options that are given beside the file go
    /// before those of the file, which need not give what they give, and is not read for it.
    ///
    /// # Errors
    /// [`Error::Io`] for an unreadable file. [`Error::Config`] with all of the file's problems:
    /// unknown options, values of the wrong type or out of range, options given twice, what is not
    /// supported, and what [`validate`](Self::validate) finds.
    pub fn read(path: impl AsRef<Path>, overrides: &[(String, Value)]) -> Result<ConfigFile> {
        let (file, problems) = ConfigFile::read_all(path.as_ref(), overrides)?;
        file.unless(problems, path.as_ref())
    }

    /// As [`read`](Self::read), for a run that a program gives images to
    /// ([`Trainer::with_images`](crate::Trainer::with_images)): the file need not name any.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_beside_images(
        path: impl AsRef<Path>,
        overrides: &[(String, Value)],
    ) -> Result<ConfigFile> {
        let (file, problems) = ConfigFile::read_all(path.as_ref(), overrides)?;
        file.unless(beside_images(problems), path.as_ref())
    }
}

impl ConfigFile {
    /// The keys of a class.
    pub fn keys_of(&self, class: KeyClass) -> impl Iterator<Item = &KeyUse> {
        self.keys.iter().filter(move |key| key.class == class)
    }

    /// As from a file with these options and nothing else, for programs that have options by their
    /// names.
    ///
    /// # Errors
    /// [`Error::Config`] as from [`TrainConfig::read_beside_images`].
    pub fn from_options(options: &[(String, Value)]) -> Result<Self> {
        let refuse = |problems| Error::Config {
            file: None,
            problems,
        };
        let (file, problems) = Self::parse("", options).map_err(refuse)?;
        let problems = beside_images(problems);
        if problems.is_empty() {
            Ok(file)
        } else {
            Err(refuse(problems))
        }
    }

    fn unless(self, problems: Vec<Problem>, path: &Path) -> Result<Self> {
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(Error::Config {
                file: Some(path.into()),
                problems,
            })
        }
    }

    /// Reads as far as possible, with the problems beside.
    pub(crate) fn read_all(
        path: &Path,
        overrides: &[(String, Value)],
    ) -> Result<(Self, Vec<Problem>)> {
        let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
        // Editors of Windows put a mark before UTF-8.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| {
            let source =
                std::io::Error::new(std::io::ErrorKind::InvalidData, "expected text in UTF-8");
            Error::Io {
                path: path.into(),
                action: "read",
                source,
            }
        })?;
        Self::parse(text, overrides).map_err(|problems| Error::Config {
            file: Some(path.into()),
            problems,
        })
    }

    /// As [`read_all`](Self::read_all), from text.
    pub(super) fn parse(
        text: &str,
        overrides: &[(String, Value)],
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let parsed = entries::parse(text)?;
        let overridden = |entry: &Entry| {
            let names = options::option(&entry.key)
                .map(|spec| spec.names().collect::<Vec<_>>())
                .unwrap_or_default();
            overrides
                .iter()
                .any(|(key, _)| *key == entry.key || names.contains(&key.as_str()))
        };
        // Before the form's rules, which depend on what there is, and of what they have made of it.
        let mut form = form::rewrite(
            parsed
                .entries
                .into_iter()
                .filter(|entry| !overridden(entry))
                .collect(),
        );
        form.entries.retain(|entry| !overridden(entry));
        form.entries.extend(
            overrides
                .iter()
                .map(|(key, value)| Entry::new(key, value.clone(), None)),
        );
        let mut reading = Reading::new(form);
        for entry in &parsed.about_preset {
            reading.tell(entry, KeyClass::Ignored, "describes the preset");
        }
        reading.read();
        Ok(reading.finish())
    }
}

/// A file while it is read.
struct Reading {
    config: TrainConfig,
    entries: Vec<Entry>,
    keys: Vec<KeyUse>,
    problems: Vec<Problem>,
    /// The spelling and line of each option that was given.
    given: BTreeMap<&'static str, (String, Option<usize>)>,
    preset_set: Vec<(String, Value)>,
}

impl Reading {
    fn new(form: Form) -> Self {
        Self {
            config: TrainConfig::new("", ""),
            entries: form.entries,
            keys: form.uses,
            problems: form.problems,
            given: BTreeMap::new(),
            preset_set: Vec::new(),
        }
    }

    fn tell(&mut self, entry: &Entry, class: KeyClass, note: impl Into<String>) {
        self.keys.push(KeyUse {
            key: entry.spelled.clone(),
            line: entry.line,
            class,
            note: note.into(),
        });
    }

    fn refuse(&mut self, entry: &Entry, kind: ProblemKind) {
        self.problems.push(Problem {
            key: entry.spelled.clone(),
            line: entry.line,
            kind,
        });
    }

    fn read(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        // What a preset sets lies under everything else, and what is given beside the file over it.
        entries.sort_by_key(|entry| (entry.key != "preset", entry.line.is_none()));
        for entry in &entries {
            match (options::option(&entry.key), foreign::key(&entry.key)) {
                _ if form::is_unmade_choice(entry) => self.tell(entry, KeyClass::Ignored, "empty"),
                (Some(spec), _) => self.option(spec.name, entry, &entries),
                (None, Some(key)) => {
                    let Verdict { class, note } = key.verdict(&entry.value);
                    self.tell(entry, class, note);
                    if class == KeyClass::Unsupported {
                        let found = describe(&entry.value);
                        self.refuse(
                            entry,
                            ProblemKind::Unsupported {
                                found,
                                instead: note.into(),
                            },
                        );
                    }
                }
                (None, None) => {
                    let known = options::names().chain(foreign::keys().map(|key| key.name));
                    let nearest = options::nearest(&entry.key, known).map(Into::into);
                    self.refuse(entry, ProblemKind::Unknown { nearest });
                }
            }
        }
        for (name, value) in self
            .config
            .preset
            .map(super::Preset::values)
            .unwrap_or_default()
        {
            if !self.given.contains_key(name) {
                self.preset_set.push((name.into(), value));
            }
        }
    }

    fn option(&mut self, name: &'static str, entry: &Entry, entries: &[Entry]) {
        let refused_module = || {
            let module = entries.iter().find(|entry| entry.key == "network_module")?;
            foreign::instead_of("network_module", module, entries)
        };
        // Its settings are none of the adapters that there are.
        if name == "network_args" && refused_module().is_some() {
            return self.tell(entry, KeyClass::Unsupported, "of `network_module`");
        }
        for (option, spelling) in destinations(name, entry) {
            // Of options beside the file the last one holds.
            if let Some((first, Some(_))) =
                self.given.insert(option, (spelling.clone(), entry.line))
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
            Ok(()) if entry.is_told => {}
            Ok(()) => {
                let (class, note) = self.note(name, entry);
                self.tell(entry, class, note);
            }
            Err(problem) => {
                let found = describe(&entry.value);
                let kind = match foreign::instead_of(name, entry, entries) {
                    Some(instead) => {
                        self.tell(entry, KeyClass::Unsupported, instead.clone());
                        ProblemKind::Unsupported { found, instead }
                    }
                    None => problem.kind,
                };
                self.refuse(entry, kind);
            }
        }
    }

    /// What to tell of an option that was set.
    fn note(&self, name: &str, entry: &Entry) -> (KeyClass, String) {
        let config = &self.config;
        match name {
            "mixed_precision" if config.mixed_precision == MixedPrecision::Bf16 => (
                KeyClass::Used,
                "the base's weights are kept in bf16; layers compute in f32".into(),
            ),
            "mixed_precision" if config.mixed_precision == MixedPrecision::Fp16 => (
                KeyClass::Implied,
                "layers compute in f32, which holds all that fp16 does".into(),
            ),
            "max_token_length" if config.max_token_length == 255 => {
                (KeyClass::Used, "acts as 225".into())
            }
            "clip_skip" if config.clip_skip == Some(0) => {
                (KeyClass::Used, "without `compat`, as if not given".into())
            }
            _ if name != entry.key => (KeyClass::Used, format!("as `{name}`")),
            _ => (KeyClass::Used, String::new()),
        }
    }

    fn other_defaults(&self) -> Vec<(String, [String; 2])> {
        let is_others = self
            .keys
            .iter()
            .any(|key| matches!(key.class, KeyClass::Implied | KeyClass::Ignored));
        let missing = foreign::DEFAULTS
            .iter()
            .filter(|(name, _)| is_others && !self.given.contains_key(name));
        let values = missing.filter_map(|(name, there)| {
            let here = match *name {
                "network_alpha" => self.config.linear_alpha().to_string(),
                name => match options::option(name)?.get(&self.config) {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
            };
            (here != **there).then(|| ((*name).to_owned(), [here, (*there).to_owned()]))
        });
        values.collect()
    }

    fn finish(mut self) -> (ConfigFile, Vec<Problem>) {
        // An option whose own value was refused is not to be reported as missing or in conflict as
        // well.
        let is_refused = |spelling: &str, line: Option<usize>| {
            self.problems
                .iter()
                .any(|problem| problem.key == spelling && problem.line == line)
        };
        let refused: Vec<&str> = self
            .given
            .iter()
            .filter(|(_, (spelling, line))| is_refused(spelling, *line))
            .map(|(name, _)| *name)
            .collect();
        for mut problem in self.config.problems() {
            if refused.contains(&problem.key.as_str()) {
                continue;
            }
            problem.line = self
                .given
                .get(problem.key.as_str())
                .and_then(|(_, line)| *line);
            self.problems.push(problem);
        }
        self.problems
            .sort_by_key(|problem| (problem.line.is_none(), problem.line));
        self.keys.sort_by_key(|key| (key.line.is_none(), key.line));
        let other_defaults = self.other_defaults();
        let Self {
            config,
            keys,
            problems,
            preset_set,
            ..
        } = self;
        (
            ConfigFile {
                config,
                keys,
                preset_set,
                other_defaults,
            },
            problems,
        )
    }
}

/// The options that an entry sets, with the spellings it uses: more than one for `network_args`.
fn destinations(name: &'static str, entry: &Entry) -> Vec<(&'static str, String)> {
    let mut names = vec![(name, entry.spelled.clone())];
    if name == "network_args" {
        for (key, _) in arguments(&entry.value).unwrap_or_default() {
            // Where both are given, the option itself is used.
            let option = network_arg(&key).filter(|_| key != "dropout");
            names.extend(option.map(|option| (option, format!("{}: {key}", entry.spelled))));
        }
    }
    names
}
#[cfg(test)]
mod tests;
