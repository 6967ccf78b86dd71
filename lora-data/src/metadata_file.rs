//! Lists of images with their captions: sd-scripts' metadata for fine tuning (`metadata_file`),
//! in JSON.
//!
//! ```json
//! {
//!     "a.png": {"caption": "a cat on a chair", "tags": "cat, chair"},
//!     "folder/b": {"tags": "dog", "train_resolution": [576, 448]}
//! }
//! ```
//!
//! A key is a path, absolute or relative to `image_dir`, with or without the image's extension.
//! One that names a folder and has no such image there is tried relative to the working
//! directory, as sd-scripts does. The caption is `caption`, else `tags`; where both are given, the
//! tags follow each line of the caption, so that none of several lines lacks them.
//!
//! `train_resolution` is the size that the tool chose which wrote the file: the image's bucket is
//! that of this size. Other fields are left to the tools that share the file.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::bucket::Size;
use crate::error::{Error, Result};
use crate::listing::{check_folder, extensions};
use crate::tree::{self, SyntaxError, Table, Value, shortened};

mod listing;

use self::listing::{Folders, Search};

/// An image of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    /// The file.
    pub path: PathBuf,
    /// What it shows: not empty; several lines where the list has several.
    pub caption: String,
    /// The bucket that the writer of the list chose.
    pub train_resolution: Option<Size>,
}

/// One thing that is wrong in a list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataProblem {
    /// The entry; empty where the file itself cannot be read.
    pub key: String,
    /// What is wrong.
    pub kind: MetadataProblemKind,
}

/// What is wrong with an entry of a list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataProblemKind {
    /// The text is not JSON, or not an object.
    Syntax {
        /// The line, counted from 1.
        line: Option<usize>,
        /// The parser's reason.
        reason: String,
    },
    /// The list is empty.
    NoEntries,
    /// No image has this name.
    NoImage {
        /// The folder that it was looked for in.
        dir: PathBuf,
    },
    /// The folder of the image cannot be read.
    UnreadableFolder {
        /// The folder.
        dir: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Several images have this name, but for their extensions.
    Ambiguous {
        /// Their file names, sorted.
        found: Vec<String>,
    },
    /// An image that an entry before has already.
    GivenTwice {
        /// The key of that entry.
        first: String,
    },
    /// Neither `caption` nor `tags` has text.
    NoCaption,
    /// A field given twice in one entry.
    FieldTwice {
        /// The field.
        field: &'static str,
    },
    /// A value of the wrong type.
    Value {
        /// The field; `None` for the entry itself.
        field: Option<&'static str>,
        /// The value that was found.
        found: String,
        /// What was expected in its place.
        expected: &'static str,
    },
}

/// Reads a list of images, in the order of the file. `separator` is put between caption and tags.
///
/// Each folder is listed once, however many entries it has. No image is opened.
///
/// # Errors
/// [`Error::Io`] for an unreadable file, [`Error::FolderNotFound`] or [`Error::NotAFolder`] for a
/// wrong `image_dir`, and [`Error::Metadata`] with what is wrong in the list: the first problems,
/// and how many there are beyond.
pub fn read(
    file: impl AsRef<Path>,
    image_dir: Option<&Path>,
    separator: &str,
) -> Result<Vec<MetadataEntry>> {
    let file = file.as_ref();
    let io = |error| Error::io(file, error);
    if let Some(dir) = image_dir {
        check_folder(dir)?;
    }
    let mut text = BufReader::with_capacity(1 << 16, File::open(file).map_err(io)?);
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if text.fill_buf().map_err(io)?.starts_with(MARK) {
        text.consume(MARK.len());
    }
    let mut reader = Reader {
        image_dir,
        separator,
        ..Reader::default()
    };
    let mut json = serde_json::Deserializer::from_reader(text);
    match reader.deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) if reader.first_keys.is_empty() && reader.problems.is_empty() => {
            reader.report("", MetadataProblemKind::NoEntries);
        }
        Ok(()) => {}
        Err(error) if error.is_io() => return Err(io(error.into())),
        Err(error) => {
            let SyntaxError { line, message } = tree::json_error(&error);
            // What stops the reading is told, however much was wrong before.
            reader.problems.truncate(MOST_PROBLEMS - 1);
            reader.report(
                "",
                MetadataProblemKind::Syntax {
                    line,
                    reason: message,
                },
            );
        }
    }
    let Reader {
        entries,
        problems,
        more,
        ..
    } = reader;
    if problems.is_empty() {
        Ok(entries)
    } else {
        Err(Error::Metadata {
            file: file.into(),
            problems,
            more,
        })
    }
}

/// As many are listed, and beyond them their number.
const MOST_PROBLEMS: usize = 50;

#[derive(Default)]
struct Reader<'a> {
    image_dir: Option<&'a Path>,
    separator: &'a str,
    folders: Folders,
    entries: Vec<MetadataEntry>,
    /// The key that each image was found by.
    first_keys: HashMap<PathBuf, String>,
    problems: Vec<MetadataProblem>,
    more: usize,
}

impl Reader<'_> {
    fn entry(&mut self, key: &str, value: &Value) {
        let path = self.image(key);
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
        let caption = join(caption.trim(), tags.trim(), self.separator);
        if caption.is_empty() && self.problems.len() + self.more == before {
            self.report(key, MetadataProblemKind::NoCaption);
        }
        if let Some(path) = path {
            self.entries.push(MetadataEntry {
                path,
                caption,
                train_resolution,
            });
        }
    }

    /// The image of this key, which no other entry has.
    fn image(&mut self, key: &str) -> Option<PathBuf> {
        let kind = match self.search(Path::new(key)) {
            Search::Found(path) => match self.first_keys.get(&path) {
                None => {
                    self.first_keys.insert(path.clone(), key.into());
                    return Some(path);
                }
                Some(first) => MetadataProblemKind::GivenTwice {
                    first: first.clone(),
                },
            },
            Search::Several(found) => MetadataProblemKind::Ambiguous { found },
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
            if matches!(elsewhere, Search::Found(_) | Search::Several(_)) {
                return elsewhere;
            }
        }
        search
    }

    /// The value of a field that need not be given.
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

/// Tags behind each line of a caption. Tags stay in one line there, for a line is a caption of its
/// own.
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

/// Reads entry after entry, so that the file's text and tree are never in memory as a whole.
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

impl fmt::Display for MetadataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long enough for any path.
        const LONGEST: usize = 400;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", shortened(&self.key, LONGEST))?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for MetadataProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, reason } => {
                if let Some(line) = line {
                    write!(f, "line {line}: ")?;
                }
                write!(f, "not a list of images in JSON: {reason}")
            }
            Self::NoEntries => f.write_str("holds no entries; expected at least one image"),
            Self::NoImage { dir } => {
                let extensions = extensions();
                write!(
                    f,
                    "no such image in `{}`; expected this name, alone or with {extensions}",
                    dir.display()
                )
            }
            Self::UnreadableFolder { dir, reason } => {
                write!(f, "cannot list `{}`: {reason}", dir.display())
            }
            Self::Ambiguous { found } => {
                write!(
                    f,
                    "may be any of `{}`; write the extension, too",
                    found.join("`, `")
                )
            }
            Self::GivenTwice { first } => {
                write!(
                    f,
                    "its image was given before, as `{first}`; remove one of the entries"
                )
            }
            Self::NoCaption => f.write_str("neither `caption` nor `tags` has text"),
            Self::FieldTwice { field } => write!(f, "`{field}` is given twice"),
            Self::Value {
                field: Some(field),
                found,
                expected,
            } => {
                write!(f, "`{field}`: found {found}, expected {expected}")
            }
            Self::Value {
                field: None,
                found,
                expected,
            } => write!(f, "found {found}, expected {expected}"),
        }
    }
}

#[cfg(test)]
mod tests;
