//! Journals: the changes of a command, each recorded before it is made.

use std::fs;
use std::path::{Path, PathBuf};

use lora_data::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The name of the journal in the folder of a command.
pub(super) const FILE: &str = "journal.jsonl";

/// A line of a journal. Paths are relative to the folder of images, if they are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub(super) enum Record {
    /// The first line.
    Start {
        command: String,
        /// Seconds since 1970.
        time: u64,
    },
    /// A file gets new content. `old` is `None` if it did not exist; `new` is a SHA-256.
    Write {
        path: String,
        old: Option<Content>,
        new: String,
    },
    /// A file moves.
    Move {
        from: String,
        to: String,
        /// For a link, its targets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<Link>,
    },
    /// A file moves to `stored` in the folder of the command.
    Delete { path: String, stored: String },
    /// The last line, if the command was not interrupted.
    End,
}

/// The targets of a link before and after it moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) old: String,
    pub(super) new: String,
}

/// The content of a file: text if it is UTF-8, otherwise hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredContent", into = "StoredContent")]
pub(super) struct Content(pub(super) Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredContent {
    Text(String),
    Hex { hex: String },
}

impl From<Content> for StoredContent {
    fn from(content: Content) -> Self {
        String::from_utf8(content.0).map_or_else(
            |error| Self::Hex {
                hex: hex(error.as_bytes()),
            },
            Self::Text,
        )
    }
}

impl TryFrom<StoredContent> for Content {
    type Error = &'static str;

    fn try_from(stored: StoredContent) -> Result<Self, &'static str> {
        let digits = match stored {
            StoredContent::Text(text) => return Ok(Self(text.into_bytes())),
            StoredContent::Hex { hex } => hex,
        };
        let bytes: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes.map(Self).ok_or("not hexadecimal digits")
    }
}

/// A journal as it is on the disk.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) command: String,
    pub(super) time: u64,
    pub(super) changes: Vec<Record>,
    /// True if the command was not interrupted.
    pub(super) is_complete: bool,
}

impl Journal {
    /// Reads the journal in the folder of a command. Without one, no change was made.
    ///
    /// An interrupted command may leave damaged lines at the end. The changes in them were not
    /// made, since the journal was not yet on the disk.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            read => read.map_err(Error::io(&path, "read"))?,
        };
        let mut journal = Self::default();
        let mut damage = None;
        for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let record = match line.strip_suffix(b"\n") {
                Some(line) => serde_json::from_slice(line).map_err(|error| error.to_string()),
                None => Err("the line is incomplete".into()),
            };
            match (record, &damage) {
                (Ok(Record::End), None) => journal.is_complete = true,
                // The end shows that the damaged line had been complete.
                (Ok(Record::End), Some((line, reason))) => {
                    return Err(Error::Journal {
                        path,
                        line: *line,
                        reason: String::clone(reason),
                    });
                }
                (_, Some(_)) => {}
                (Ok(Record::Start { command, time }), None) => {
                    (journal.command, journal.time) = (command, time);
                }
                (Ok(change), None) => journal.changes.push(change),
                (Err(reason), None) => damage = Some((index + 1, reason)),
            }
        }
        Ok(journal)
    }
}

/// The path as recorded: relative to the folder if it is in it, otherwise absolute.
pub(super) fn recorded(folder: &Path, path: &Path) -> Result<String> {
    let path = std::path::absolute(path).map_err(Error::io(path, "find"))?;
    let folder = std::path::absolute(folder).map_err(Error::io(folder, "find"))?;
    let path = match path.strip_prefix(folder) {
        Ok(inner) => inner.to_path_buf(),
        Err(_) => path,
    };
    utf8(path)
}

/// The path as text.
pub(super) fn utf8(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::NameNotUtf8 {
            path: PathBuf::from(path),
        })
}

/// The SHA-256 of a content in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// The content of a file, `None` if it does not exist.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, "read")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Journal> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        Journal::read(dir.path())
    }

    #[test]
    fn any_content_is_recorded() {
        for bytes in [&b""[..], b"a, b\r\n", b"\xff\xfea\0"] {
            let line = serde_json::to_string(&Content(bytes.into())).unwrap();
            let content: Content = serde_json::from_str(&line).unwrap();
            assert_eq!(content.0, bytes, "{line}");
        }
        assert!(serde_json::from_str::<Content>("{\"hex\": \"zz\"}").is_err());
    }

    #[test]
    fn only_the_end_of_an_interrupted_journal_may_be_damaged() {
        let start = "{\"record\": \"start\", \"command\": \"sort\", \"time\": 5}\n";
        let change = "{\"record\": \"move\", \"from\": \"a\", \"to\": \"b\"}\n";
        let end = "{\"record\": \"end\"}\n";
        let journal = read(&[start, change, end].concat()).unwrap();
        assert_eq!((journal.command.as_str(), journal.time), ("sort", 5));
        assert_eq!((journal.changes.len(), journal.is_complete), (1, true));
        for text in [
            [start, change, "{\"reco"].concat(),
            [start, change, end.trim()].concat(),
            [start, change, "\0\0\n", change].concat(),
        ] {
            let journal = read(&text).unwrap();
            assert_eq!((journal.changes.len(), journal.is_complete), (1, false));
        }
        let message = read(&[start, "\0\0\n", end].concat()).unwrap_err();
        assert!(
            message.to_string().contains("journal.jsonl: line 2: "),
            "{message}"
        );
        assert!(read("").unwrap().changes.is_empty());
    }
}
