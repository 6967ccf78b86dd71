//! Lists of images with their captions: sd-scripts' JSON metadata for fine tuning
//! (`metadata_file`).
//!
//! ```json
//! {
//!     "a.png": {"caption": "a cat on a chair", "tags": "cat, chair"},
//!     "folder/b": {"tags": "dog", "train_resolution": [576, 448]}
//! }
//! ```
//!
//! A key is a path, absolute or relative to `image_dir`, with or without the image's extension.
//! If a key includes a folder and there is no such image in `image_dir`, the path relative to the
//! working directory is tried, as in sd-scripts. The caption is `caption`, else `tags`; if both are
//! given, the tags are appended to each line of the caption.
//!
//! `train_resolution` is a size chosen by the tool that wrote the file: the image's bucket is the
//! bucket of this size. Other fields are ignored.

mod search;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use self::search::{Folders, Search};
use super::listing::check_folder;
use crate::config::tree::{self, SyntaxError, Table, Value};
use crate::error::{Error, Result};
pub use crate::error::{MetadataProblem, MetadataProblemKind};
use crate::size::Size;

/// An image of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    /// The file.
    pub path: PathBuf,
    /// Its caption: not empty, and of several lines if it has several in the list.
    pub caption: String,
    /// The size that decides its bucket.
    pub train_resolution: Option<Size>,
}

/// The fields of an entry that make up its caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataFields {
    /// `caption` and `tags`, joined if both are given.
    #[default]
    Both,
    /// Only `caption`.
    Caption,
    /// Only `tags`.
    Tags,
}

/// The entries of a list that may name missing images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialMetadata {
    /// The entries of existing images, in the order of the file.
    pub entries: Vec<MetadataEntry>,
    /// The keys of the other entries, in the order of the file.
    pub missing: Vec<String>,
}

/// Reads a list of images in the order of the file. `separator` joins caption and tags.
///
/// Each folder is listed only once. No image is opened.
///
/// # Errors
/// [`Error::Io`] for an unreadable file, [`Error::FolderNotFound`] or [`Error::NotAFolder`] for a
/// wrong `image_dir`, and [`Error::Metadata`] with the first problems of the list and the number of
/// further ones.
pub fn read(
    file: impl AsRef<Path>,
    image_dir: Option<&Path>,
    separator: &str,
) -> Result<Vec<MetadataEntry>> {
    let reader = Reader {
        image_dir,
        separator,
        ..Reader::default()
    };
    Ok(reader.read(file.as_ref())?.entries)
}

/// Like [`read`], but with only these fields as the caption, and entries of missing images are left
/// out.
///
/// # Errors
/// Those of [`read`]. An entry without these fields is a problem, too; a missing image is none.
pub fn read_existing(
    file: impl AsRef<Path>,
    image_dir: Option<&Path>,
    separator: &str,
    fields: MetadataFields,
) -> Result<PartialMetadata> {
    let reader = Reader {
        image_dir,
        separator,
        fields,
        missing: Some(Vec::new()),
        ..Reader::default()
    };
    reader.read(file.as_ref())
}

/// The most problems that are listed; the others are counted.
const MOST_PROBLEMS: usize = 50;

#[derive(Default)]
struct Reader<'a> {
    image_dir: Option<&'a Path>,
    separator: &'a str,
    fields: MetadataFields,
    folders: Folders,
    entries: Vec<MetadataEntry>,
    /// The key of each image.
    first_keys: HashMap<PathBuf, String>,
    /// The keys of missing images, if they are no problem.
    missing: Option<Vec<String>>,
    problems: Vec<MetadataProblem>,
    more: usize,
}

impl Reader<'_> {
    fn read(mut self, file: &Path) -> Result<PartialMetadata> {
        let io = |error| Error::io(file, error);
        if let Some(dir) = self.image_dir {
            check_folder(dir)?;
        }
        let mut text = BufReader::with_capacity(1 << 16, File::open(file).map_err(io)?);
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if text.fill_buf().map_err(io)?.starts_with(MARK) {
            text.consume(MARK.len());
        }
        let mut json = serde_json::Deserializer::from_reader(text);
        match (&mut self).deserialize(&mut json).and_then(|()| json.end()) {
            Ok(()) if self.is_empty() => {
                self.report("", MetadataProblemKind::NoEntries);
            }
            Ok(()) => {}
            Err(error) if error.is_io() => return Err(io(error.into())),
            Err(error) => {
                let SyntaxError { line, message } = tree::json_error(&error);
                // The syntax error is always listed, even after many other problems.
                self.problems.truncate(MOST_PROBLEMS - 1);
                self.report(
                    "",
                    MetadataProblemKind::Syntax {
                        line,
                        reason: message,
                    },
                );
            }
        }
        if self.problems.is_empty() {
            Ok(PartialMetadata {
                entries: self.entries,
                missing: self.missing.unwrap_or_default(),
            })
        } else {
            Err(Error::Metadata {
                file: file.into(),
                problems: self.problems,
                more: self.more,
            })
        }
    }

    /// True if the list has no entry.
    fn is_empty(&self) -> bool {
        let missing = self.missing.as_ref().is_none_or(Vec::is_empty);
        self.first_keys.is_empty() && self.problems.is_empty() && missing
    }

    fn entry(&mut self, key: &str, value: &Value) {
        let search = self.search(Path::new(key));
        if let (Search::Missing(_), Some(missing)) = (&search, &mut self.missing) {
            missing.push(key.into());
            return;
        }
        let path = self.image(key, search);
        let Some(table) = value.as_table() else {
            let (found, expected) = (value.to_string(), "an object with `caption` or `tags`");
            return self.report(
                key,
                MetadataProblemKind::Value {
                    field: None,
                    found,
                    expected,
                },
            );
        };
        let before = self.problems.len() + self.more;
        let caption = self
            .field(key, table, "caption", "text", text)
            .unwrap_or_default();
        let tags = self
            .field(key, table, "tags", "text such as \"cat, chair\"", text)
            .unwrap_or_default();
        let expected = "width and height in pixels, such as [512, 768]";
        let train_resolution = self.field(key, table, "train_resolution", expected, size);
        let caption = match self.fields {
            MetadataFields::Both => join(caption.trim(), tags.trim(), self.separator),
            MetadataFields::Caption => caption.trim().into(),
            MetadataFields::Tags => tags.trim().into(),
        };
        if caption.is_empty() && self.problems.len() + self.more == before {
            let kind = match self.fields {
                MetadataFields::Both => MetadataProblemKind::NoCaption,
                MetadataFields::Caption => MetadataProblemKind::NoText { field: "caption" },
                MetadataFields::Tags => MetadataProblemKind::NoText { field: "tags" },
            };
            self.report(key, kind);
        }
        if let Some(path) = path {
            self.entries.push(MetadataEntry {
                path,
                caption,
                train_resolution,
            });
        }
    }

    /// The image of this key, unless another entry has it.
    fn image(&mut self, key: &str, search: Search) -> Option<PathBuf> {
        let kind = match search {
            Search::Found(path) => match self.first_keys.get(&path) {
                None => {
                    self.first_keys.insert(path.clone(), key.into());
                    return Some(path);
                }
                Some(first) => MetadataProblemKind::GivenTwice {
                    first: first.clone(),
                },
            },
            Search::Ambiguous(found) => MetadataProblemKind::Ambiguous { found },
            Search::Missing(dir) => MetadataProblemKind::NoImage { dir },
            Search::Unreadable(dir, reason) => {
                MetadataProblemKind::UnreadableFolder { dir, reason }
            }
        };
        self.report(key, kind);
        None
    }

    fn search(&mut self, key: &Path) -> Search {
        let base = self.image_dir.unwrap_or(Path::new(""));
        if key.file_name().is_none() {
            return Search::Missing(base.into());
        }
        let search = self.folders.search(&base.join(key));
        let names_folder = key.parent().is_some_and(|parent| parent != Path::new(""));
        if matches!(search, Search::Missing(_)) && self.image_dir.is_some() && names_folder {
            let elsewhere = self.folders.search(key);
            if matches!(elsewhere, Search::Found(_) | Search::Ambiguous(_)) {
                return elsewhere;
            }
        }
        search
    }

    /// The value of an optional field.
    fn field<T>(
        &mut self,
        key: &str,
        table: &Table,
        field: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let mut values = table
            .iter()
            .filter(|(name, _)| name == field)
            .map(|(_, node)| &node.value);
        let (value, second) = (values.next()?, values.next());
        if second.is_some() {
            self.report(key, MetadataProblemKind::FieldTwice { field });
        }
        if *value == Value::Null {
            return None;
        }
        let read = read(value);
        if read.is_none() {
            self.report(
                key,
                MetadataProblemKind::Value {
                    field: Some(field),
                    found: value.to_string(),
                    expected,
                },
            );
        }
        read
    }

    fn report(&mut self, key: &str, kind: MetadataProblemKind) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(MetadataProblem {
                key: key.into(),
                kind,
            });
        } else {
            self.more += 1;
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_text().map(Into::into)
}

fn size(value: &Value) -> Option<Size> {
    let side = |value: &Value| match value {
        Value::Integer(side) => u32::try_from(*side).ok().filter(|side| *side > 0),
        _ => None,
    };
    match value.as_list()? {
        [width, height] => Some(Size::new(side(&width.value)?, side(&height.value)?)),
        _ => None,
    }
}

/// Appends tags to each line of a caption. The tags are joined into one line, since each line is a
/// caption of its own.
fn join(caption: &str, tags: &str, separator: &str) -> String {
    if caption.is_empty() || tags.is_empty() {
        return [caption, tags].concat();
    }
    let tags: Vec<&str> = tags
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let tags = tags.join(separator);
    let lines = caption
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .map(|line| format!("{line}{separator}{tags}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads entry by entry, so that the whole file is never in memory.
impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"a.png\": {\"caption\": \"a cat\"}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            self.entry(&key, &value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
