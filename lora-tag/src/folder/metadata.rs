//! One file with all captions (sd-scripts' `output_path`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lora_data::{Size, atomic};
use serde_json::{Map, Value, json};

use super::conflict::OnConflict;
use crate::error::{Error, Result};

/// The time after which a file that is written as a whole is written again: so much is lost if the
/// program is killed.
const INTERVAL: Duration = Duration::from_secs(10);

/// A file with all captions, in one of two forms.
///
/// JSON lines are `{"image_path": …, "caption": …, "image_size": […]}` and are appended as they
/// come, unless existing captions are changed. JSON is `{PATH: {"tags": …, "image_size": […]}}`, as
/// `in_json` reads it, and is written as a whole now and then.
#[derive(Debug)]
pub(super) struct MetadataFile {
    path: PathBuf,
    is_lines: bool,
    entries: Entries,
    on_conflict: OnConflict,
    /// The file, once a line was appended.
    open: Option<File>,
    has_changed: bool,
    written: Instant,
}

/// The entries by the absolute path of the image, so that `a.png` and `./a.png` are one.
type Entries = BTreeMap<PathBuf, Entry>;

#[derive(Debug)]
struct Entry {
    /// The path as it is in the file.
    key: String,
    /// With fields of other programs.
    fields: Map<String, Value>,
}

impl MetadataFile {
    /// Reads the file if it exists.
    pub(super) fn open(path: &Path, on_conflict: OnConflict) -> Result<Self> {
        let extension = path.extension();
        let is_lines = extension.is_some_and(|name| name.eq_ignore_ascii_case("jsonl"));
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.map_err(Error::io(path, "read"))?,
        };
        let parsed = if text.trim().is_empty() {
            Ok(Entries::new())
        } else if is_lines {
            lines(&text)
        } else {
            object(&text)
        };
        Ok(Self {
            path: path.into(),
            is_lines,
            entries: parsed.map_err(|reason| damaged(path, reason))?,
            on_conflict,
            open: None,
            has_changed: false,
            written: Instant::now(),
        })
    }

    /// The caption of an image, if the file has one.
    pub(super) fn caption(&self, image: &Path) -> Result<Option<&str>> {
        let entry = self.entries.get(&absolute(image));
        match entry.and_then(|entry| entry.fields.get(self.field())) {
            None => Ok(None),
            Some(Value::String(caption)) => Ok(Some(caption)),
            Some(found) => {
                let (image, field) = (image.display(), self.field());
                let reason = format!("`{image}`: `{field}` is {found}; expected text");
                Err(damaged(&self.path, reason))
            }
        }
    }

    /// Adds or replaces a caption.
    pub(super) fn add(&mut self, image: &Path, caption: &str, size: Size) -> Result<()> {
        let field = self.field();
        let entry = self
            .entries
            .entry(absolute(image))
            .or_insert_with(|| Entry {
                key: image.to_string_lossy().into_owned(),
                fields: Map::new(),
            });
        entry.fields.insert(field.into(), caption.into());
        let size = json!([size.width, size.height]);
        entry.fields.insert("image_size".into(), size);
        if self.is_lines && self.on_conflict == OnConflict::Ignore {
            let line = entry.line();
            return self.append(&line).map_err(Error::io(&self.path, "write"));
        }
        self.has_changed = true;
        if self.written.elapsed() < INTERVAL {
            return Ok(());
        }
        self.finish()
    }

    fn append(&mut self, line: &str) -> std::io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            open => open.insert(open_at_line_start(&self.path)?),
        };
        // In one piece, so that an interruption leaves whole lines.
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Writes what is not yet in the file.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.has_changed {
            return Ok(());
        }
        let entries = self.entries.values();
        let text = if self.is_lines {
            entries.map(|entry| entry.line() + "\n").collect()
        } else {
            let object: BTreeMap<&str, &Map<String, Value>> = entries
                .map(|entry| (entry.key.as_str(), &entry.fields))
                .collect();
            serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
        };
        atomic::write(&self.path, |file| file.write_all(text.as_bytes()))?;
        self.has_changed = false;
        self.written = Instant::now();
        Ok(())
    }

    fn field(&self) -> &'static str {
        if self.is_lines { "caption" } else { "tags" }
    }
}

impl Entry {
    /// The entry as a line.
    fn line(&self) -> String {
        let mut fields = self.fields.clone();
        fields.insert("image_path".into(), self.key.as_str().into());
        Value::from(fields).to_string()
    }
}

fn absolute(image: &Path) -> PathBuf {
    std::path::absolute(image).unwrap_or_else(|_| image.into())
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::CaptionList {
        path: path.into(),
        reason,
    }
}

fn object(text: &str) -> Result<Entries, String> {
    let object: BTreeMap<String, Map<String, Value>> = serde_json::from_str(text)
        .map_err(|error| format!("{error}; expected `{{IMAGE: {{\"tags\": …}}, …}}`"))?;
    let entries = object.into_iter();
    Ok(entries
        .map(|(key, fields)| (absolute(Path::new(&key)), Entry { key, fields }))
        .collect())
}

/// The entries of JSON lines. A last line without its end that is no entry was cut off by an
/// interruption and is left out.
fn lines(text: &str) -> Result<Entries, String> {
    let mut entries = Entries::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match parsed(line) {
            Ok(entry) => _ = entries.insert(absolute(Path::new(&entry.key)), entry),
            Err(_) if text.ends_with(line) => {}
            Err(reason) => {
                let expected = "expected `{\"image_path\": …, \"caption\": …}`";
                return Err(format!("line {}: {reason}; {expected}", index + 1));
            }
        }
    }
    Ok(entries)
}

fn parsed(line: &str) -> Result<Entry, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    match fields.remove("image_path") {
        Some(Value::String(key)) => Ok(Entry { key, fields }),
        _ => Err("no `image_path`".into()),
    }
}

/// Opens a file for appending lines: ends its last line, or removes one that was cut off.
fn open_at_line_start(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let content = std::fs::read_to_string(path)?;
    let whole = content.rfind('\n').map_or(0, |end| end + 1);
    let rest = &content[whole..];
    if rest.is_empty() {
        return Ok(file);
    }
    if parsed(rest).is_ok() {
        file.write_all(b"\n")?;
    } else {
        file.set_len(whole as u64)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, on_conflict: OnConflict) -> MetadataFile {
        MetadataFile::open(path, on_conflict).unwrap()
    }

    fn add(file: &mut MetadataFile, image: &str, caption: &str) {
        file.add(Path::new(image), caption, Size::new(3, 4))
            .unwrap();
    }

    #[test]
    fn lines_are_written_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/tags.jsonl");
        add(
            &mut open(&path, OnConflict::Ignore),
            "a.png",
            "1girl, \"x\"",
        );
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            written,
            "{\"caption\":\"1girl, \\\"x\\\"\",\"image_path\":\"a.png\",\"image_size\":[3,4]}\n"
        );
        for (end, expected) in [
            // Interrupted in the next line.
            (format!("{written}{{\"capt"), 2),
            // Written by a program that ends no line.
            (
                format!("{written}{{\"image_path\": \"c.png\", \"caption\": \"dog\"}}"),
                3,
            ),
        ] {
            std::fs::write(&path, end).unwrap();
            let mut file = open(&path, OnConflict::Ignore);
            assert!(file.caption(Path::new("./a.png")).unwrap().is_some());
            assert!(file.caption(Path::new("b.png")).unwrap().is_none());
            add(&mut file, "b.png", "cat");
            file.finish().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), expected);
            assert!(text.starts_with(&written) && text.ends_with("\n"));
            assert_eq!(open(&path, OnConflict::Ignore).entries.len(), expected);
        }
    }

    #[test]
    fn json_keeps_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.json");
        std::fs::write(&path, r#"{"b.png": {"caption": "a cat", "tags": "x"}}"#).unwrap();
        let mut file = open(&path, OnConflict::Append);
        assert_eq!(file.caption(Path::new("./b.png")).unwrap(), Some("x"));
        add(&mut file, "./b.png", "x, cat");
        file.finish().unwrap();
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected = json!({"caption": "a cat", "tags": "x, cat", "image_size": [3, 4]});
        assert_eq!(json, json!({"b.png": expected}));
    }

    #[test]
    fn a_killed_run_loses_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.json");
        let mut file = open(&path, OnConflict::Ignore);
        add(&mut file, "a.png", "cat");
        assert!(!path.exists());
        file.written -= INTERVAL;
        add(&mut file, "b.png", "dog");
        assert_eq!(open(&path, OnConflict::Ignore).entries.len(), 2);
    }

    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, part) in [
            ("a.jsonl", "{}\n", "line 1: no `image_path`; expected"),
            ("b.jsonl", "{\"image_path\": \"a\"}\nx\n", "line 2"),
            ("c.json", "[1]", "expected `{IMAGE: "),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let error = MetadataFile::open(&path, OnConflict::Copy)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
        let path = folder.path().join("d.json");
        std::fs::write(&path, r#"{"a": {"tags": 3}}"#).unwrap();
        let error = open(&path, OnConflict::Copy)
            .caption(Path::new("a"))
            .unwrap_err();
        assert!(
            error.to_string().contains("`tags` is 3; expected text"),
            "{error}"
        );
    }
}
