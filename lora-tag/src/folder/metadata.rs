//! One file with all captions (sd-scripts' `output_path`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lora_data::{Size, atomic};
use serde_json::{Map, Value, json};

use super::conflict::OnConflict;
use crate::error::{Error, Result};

/// A file with all captions, in one of two forms.
///
/// JSON lines are `{"image_path": …, "caption": …, "image_size": […]}` and are written as they
/// come, unless existing captions are replaced. JSON is `{PATH: {"tags": …, "image_size": […]}}`,
/// as `metadata_file` reads it, and is written at the end.
#[derive(Debug)]
pub(super) struct MetadataFile {
    path: PathBuf,
    is_lines: bool,
    /// The entries by path of the image, with fields of other programs.
    entries: BTreeMap<String, Map<String, Value>>,
    on_conflict: OnConflict,
    /// The file, once a line was appended.
    open: Option<File>,
    has_changed: bool,
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
            Ok(BTreeMap::new())
        } else if is_lines {
            lines(&text)
        } else {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        };
        let entries = parsed.map_err(|reason| Error::CaptionList {
            path: path.into(),
            reason,
        })?;
        Ok(Self {
            path: path.into(),
            is_lines,
            entries,
            on_conflict,
            open: None,
            has_changed: false,
        })
    }

    pub(super) fn contains(&self, image: &Path) -> bool {
        self.caption(image).is_some()
    }

    pub(super) fn caption(&self, image: &Path) -> Option<&str> {
        self.entries.get(&key(image))?.get(self.field())?.as_str()
    }

    /// Adds or replaces a caption.
    pub(super) fn add(&mut self, image: &Path, caption: &str, size: Size) -> Result<()> {
        let key = key(image);
        let field = self.field();
        let entry = self.entries.entry(key.clone()).or_default();
        entry.insert(field.into(), caption.into());
        entry.insert("image_size".into(), json!([size.width, size.height]));
        if self.is_lines && self.on_conflict == OnConflict::Ignore {
            let line = line(&key, &self.entries[&key]);
            return self.append(&line).map_err(Error::io(&self.path, "write"));
        }
        self.has_changed = true;
        Ok(())
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
        let text = if self.is_lines {
            let lines = self.entries.iter();
            lines.map(|(key, entry)| line(key, entry) + "\n").collect()
        } else {
            serde_json::to_string_pretty(&self.entries).unwrap_or_default() + "\n"
        };
        atomic::write(&self.path, |file| file.write_all(text.as_bytes()))?;
        self.has_changed = false;
        Ok(())
    }

    fn field(&self) -> &'static str {
        if self.is_lines { "caption" } else { "tags" }
    }
}

fn key(image: &Path) -> String {
    image.to_string_lossy().into_owned()
}

/// An entry as a line.
fn line(key: &str, entry: &Map<String, Value>) -> String {
    let mut entry = entry.clone();
    entry.insert("image_path".into(), key.into());
    Value::from(entry).to_string()
}

/// The entries of JSON lines. A last line without its end was cut off by an interruption and is
/// left out.
fn lines(text: &str) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut entries = BTreeMap::new();
    for (index, line) in whole
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let number = index + 1;
        let mut entry: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        match entry.remove("image_path") {
            Some(Value::String(image)) => entries.insert(image, entry),
            _ => return Err(format!("line {number}: no `image_path`")),
        };
    }
    Ok(entries)
}

/// Opens a file for appending, after its last whole line.
fn open_at_line_start(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let content = std::fs::read(path)?;
    let whole = content
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    if whole < content.len() {
        file.set_len(whole as u64)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/tags.jsonl");
        let mut file = MetadataFile::open(&path, OnConflict::Ignore).unwrap();
        file.add(Path::new("a.png"), "1girl, \"x\"", Size::new(3, 4))
            .unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            written,
            "{\"caption\":\"1girl, \\\"x\\\"\",\"image_path\":\"a.png\",\"image_size\":[3,4]}\n"
        );
        // Interrupted in the next line.
        std::fs::write(&path, format!("{written}{{\"capt")).unwrap();
        let mut file = MetadataFile::open(&path, OnConflict::Ignore).unwrap();
        assert!(file.contains(Path::new("a.png")) && !file.contains(Path::new("b.png")));
        file.add(Path::new("b.png"), "cat", Size::new(1, 1))
            .unwrap();
        file.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with(&written));
    }

    #[test]
    fn json_keeps_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.json");
        std::fs::write(&path, r#"{"b.png": {"caption": "a cat", "tags": "x"}}"#).unwrap();
        let mut file = MetadataFile::open(&path, OnConflict::Append).unwrap();
        assert_eq!(file.caption(Path::new("b.png")), Some("x"));
        file.add(Path::new("b.png"), "x, cat", Size::new(1, 2))
            .unwrap();
        file.finish().unwrap();
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected = json!({"caption": "a cat", "tags": "x, cat", "image_size": [1, 2]});
        assert_eq!(json["b.png"], expected);
    }

    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, part) in [
            ("a.jsonl", "{}\n", "line 1: no `image_path`"),
            ("b.jsonl", "{\"image_path\": \"a\"}\nx\n", "line 2"),
            ("c.json", "[1]", "c.json"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let error = MetadataFile::open(&path, OnConflict::Copy)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
