//! Reading configuration files.

use std::path::Path;

use serde_json::Value;

use super::config_file::ConfigFile;
use super::entries::{self, Entry};
use super::imports::gui_form;
use super::key::KeyClass;
use super::reader::Reader;
use crate::config::options;
use crate::config::rules::without_missing_images;
use crate::config::train_config::TrainConfig;
use crate::error::{Error, Problem, Result};

impl TrainConfig {
    /// Reads a configuration file; see [`read`](Self::read), which also gives the outcome of each
    /// key.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_toml_file_with(path, &[])
    }

    /// As [`from_toml_file`](Self::from_toml_file), with options that take precedence over those
    /// of the file. The file need not set them, and its own values for them are not read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_toml_file_with(
        path: impl AsRef<Path>,
        options: &[(String, Value)],
    ) -> Result<Self> {
        Ok(Self::read(path, options)?.config)
    }

    /// Reads the text of a configuration file; see [`read`](Self::read).
    ///
    /// # Errors
    /// [`Error::Config`] with all of the text's problems.
    pub fn from_toml_str(text: &str) -> Result<Self> {
        let (file, problems) = ConfigFile::parse(text, &[]).map_err(|problems| Error::Config {
            file: None,
            problems,
        })?;
        Error::config(problems)?;
        Ok(file.config)
    }

    /// Reads a configuration file of this program, sd-scripts or SD-Trainer: one key per option,
    /// or sections of such keys, whose names have no meaning. `overrides` take precedence over the
    /// options of the file, which need not set them, and whose own values for them are not read.
    ///
    /// # Errors
    /// [`Error::Io`] for an unreadable file. [`Error::Config`] with all of the file's problems:
    /// unknown options, values of the wrong type or out of range, options set twice, unsupported
    /// ones, and the problems of [`validate`](Self::validate).
    pub fn read(path: impl AsRef<Path>, overrides: &[(String, Value)]) -> Result<ConfigFile> {
        let (file, problems) = ConfigFile::read_all(path.as_ref(), overrides)?;
        file.unless(problems, path.as_ref())
    }

    /// As [`read`](Self::read), for a run with images of a program
    /// ([`Trainer::with_images`](crate::Trainer::with_images)): the file need not name any.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_beside_images(
        path: impl AsRef<Path>,
        overrides: &[(String, Value)],
    ) -> Result<ConfigFile> {
        let (file, problems) = ConfigFile::read_all(path.as_ref(), overrides)?;
        file.unless(without_missing_images(problems), path.as_ref())
    }
}

impl ConfigFile {
    /// As from a file with these options and nothing else, for programs that have options by their
    /// names.
    ///
    /// # Errors
    /// [`Error::Config`] as from [`TrainConfig::read_beside_images`].
    pub fn from_options(options: &[(String, Value)]) -> Result<Self> {
        let (file, problems) = Self::parse("", options).map_err(|problems| Error::Config {
            file: None,
            problems,
        })?;
        Error::config(without_missing_images(problems))?;
        Ok(file)
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

    /// Reads as much as possible, and returns the problems with it.
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
        let mut parsed = entries::parse(text)?;
        // Both the file's own entries and those that the form's rules make of them give way.
        parsed
            .entries
            .retain(|entry| !is_overridden(entry, overrides));
        let mut form = gui_form::rewrite(parsed.entries);
        form.entries
            .retain(|entry| !is_overridden(entry, overrides));
        for (key, value) in overrides {
            form.entries.push(Entry::new(key, value.clone(), None));
        }
        let mut reader = Reader::new(form.keys, form.problems);
        for entry in &parsed.about_preset {
            reader.report(entry, KeyClass::Ignored, "describes the preset");
        }
        reader.read(form.entries);
        Ok(reader.finish())
    }
}

/// True if one of the overrides sets the same option.
fn is_overridden(entry: &Entry, overrides: &[(String, Value)]) -> bool {
    let spec = options::option(&entry.key);
    overrides.iter().any(|(key, _)| {
        *key == entry.key || spec.is_some_and(|spec| spec.names().any(|name| name == key))
    })
}
