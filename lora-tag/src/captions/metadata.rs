//! Captions from and for sd-scripts' JSON metadata (`in_json`), and from file names.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lora_data::atomic;
use lora_data::metadata_file::{MetadataFields, read_existing};
use serde_json::{Map, Value, json};

use super::folder::{Captions, Entry, unique_files};
use super::plan::{Plan, PlannedCaption};
use super::real_path::real_path;
use crate::error::{Error, Result};

/// A field of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataField {
    /// `caption`, usually a sentence.
    Caption,
    /// `tags`.
    Tags,
}

/// An import of captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The changes.
    pub plan: Plan,
    /// Caption files with text that are left as they are.
    pub kept: Vec<PathBuf>,
    /// The number of these images for which the metadata has no entry.
    pub without_entry: usize,
    /// The entries for other images, among them those that do not exist: keys or paths.
    pub other_entries: Vec<String>,
}

impl Captions {
    /// Plans to write captions from a JSON file. Its keys are paths of images, absolute or relative
    /// to the folder, with or without an extension. Without a field, a caption is `caption` and
    /// `tags`. Existing captions with text are only replaced if `overwrite` is set.
    ///
    /// # Errors
    /// [`Error::Data`] with all problems of the file. An entry for a missing image is none.
    pub fn plan_import(
        &self,
        entries: &[&Entry],
        file: &Path,
        field: Option<MetadataField>,
        overwrite: bool,
    ) -> Result<Import> {
        let fields = match field {
            None => MetadataFields::Both,
            Some(MetadataField::Caption) => MetadataFields::Caption,
            Some(MetadataField::Tags) => MetadataFields::Tags,
        };
        let separator = &self.options().caption_separator;
        let separator = if separator.ends_with(char::is_whitespace) {
            separator.clone()
        } else {
            format!("{separator} ")
        };
        let found = read_existing(file, Some(self.folder()), &separator, fields)?;
        let mut other_entries = found.missing;
        let images: HashSet<PathBuf> = entries
            .iter()
            .map(|entry| real_path(&entry.image))
            .collect();
        let others = found.entries.iter().map(|entry| &entry.path);
        let others = others.filter(|path| !images.contains(&real_path(path)));
        other_entries.extend(others.map(|path| self.relative(path)));
        let by_path: HashMap<PathBuf, String> = found
            .entries
            .into_iter()
            .map(|entry| (real_path(&entry.path), entry.caption))
            .collect();
        let caption = |entry: &Entry| by_path.get(&real_path(&entry.image)).cloned();
        Ok(Import {
            other_entries,
            ..self.import(entries, overwrite, caption)
        })
    }

    /// Plans to write the name of each image, without its extension, as its caption.
    #[must_use]
    pub fn plan_import_of_names(&self, entries: &[&Entry], overwrite: bool) -> Import {
        self.import(entries, overwrite, |entry| {
            Some(entry.image.file_stem()?.to_str()?.to_owned())
        })
    }

    fn import(
        &self,
        entries: &[&Entry],
        overwrite: bool,
        caption: impl Fn(&Entry) -> Option<String>,
    ) -> Import {
        let mut import = Import {
            plan: Plan::default(),
            kept: Vec::new(),
            without_entry: 0,
            other_entries: Vec::new(),
        };
        for entry in unique_files(entries) {
            let Some(caption) = caption(entry) else {
                import.without_entry += 1;
                continue;
            };
            import.plan.considered += usize::from(entry.text.is_some());
            let old = entry.text.as_deref().unwrap_or_default();
            if old.trim_start_matches('\u{feff}').trim() == caption {
                continue;
            }
            if !overwrite && !self.parse(old).is_empty() {
                import.kept.push(entry.file.clone());
                continue;
            }
            import.plan.captions.push(PlannedCaption {
                file: entry.file.clone(),
                old: entry.text.clone(),
                new: caption + "\n",
            });
        }
        import
    }
}

/// Writes the captions of entries as JSON metadata: paths relative to the folder, with the caption
/// in this field. Images without a caption are left out; their number is returned.
///
/// # Errors
/// [`Error::Exists`] unless the file may be replaced, and [`Error::Data`] if it cannot be written.
pub fn export_metadata(
    captions: &Captions,
    entries: &[&Entry],
    file: &Path,
    field: MetadataField,
    replace: bool,
) -> Result<usize> {
    if !replace && file.exists() {
        return Err(Error::Exists {
            paths: vec![file.into()],
            advice: "add --force to replace it",
        });
    }
    let field = match field {
        MetadataField::Caption => "caption",
        MetadataField::Tags => "tags",
    };
    let mut list = Map::new();
    for entry in entries {
        let text = captions.parse(entry.text.as_deref().unwrap_or_default());
        let lines: Vec<&str> = text.lines().collect();
        if !lines.is_empty() {
            let value = json!({ field: lines.join("\n") });
            list.insert(captions.relative(&entry.image), value);
        }
    }
    let left_out = entries.len() - list.len();
    atomic::write(file, |out| {
        serde_json::to_writer_pretty(&mut *out, &Value::Object(list))?;
        writeln!(out)
    })?;
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::{CaptionsOptions, History};

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("images/sub")).unwrap();
        for name in ["a.png", "b.png", "sub/c.png"] {
            std::fs::write(dir.path().join("images").join(name), name).unwrap();
        }
        std::fs::write(dir.path().join("images/a.txt"), "old\n").unwrap();
        dir
    }

    fn open(dir: &tempfile::TempDir) -> Captions {
        let options = CaptionsOptions {
            recursive: true,
            ..CaptionsOptions::default()
        };
        Captions::open(dir.path().join("images"), &options).unwrap()
    }

    fn texts(captions: &Captions) -> Vec<Option<&str>> {
        let entries = captions.entries().iter();
        entries.map(|entry| entry.text.as_deref()).collect()
    }

    #[test]
    fn captions_are_imported_and_exported() {
        let dir = folder();
        let list = dir.path().join("list.json");
        let text = r#"{"a": {"caption": "a cat", "tags": "cat"}, "sub/c.png": {"tags": "dog"}}"#;
        std::fs::write(&list, text).unwrap();
        let captions = open(&dir);
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        let import = captions.plan_import(&entries, &list, None, false).unwrap();
        assert_eq!(import.kept, [dir.path().join("images/a.txt")]);
        assert_eq!((import.without_entry, import.plan.captions.len()), (1, 1));
        let one = captions.plan_import(&entries[..1], &list, None, false);
        assert_eq!(one.unwrap().other_entries, ["sub/c.png"]);
        let tags = Some(MetadataField::Tags);
        let import = captions.plan_import(&entries, &list, tags, true).unwrap();
        let history = History::open(captions.folder()).unwrap();
        import.plan.apply(&history, "import").unwrap();
        let captions = open(&dir);
        assert_eq!(texts(&captions), [Some("cat\n"), None, Some("dog\n")]);
        let error = captions.plan_import(&entries, &list, Some(MetadataField::Caption), true);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("`sub/c.png`: `caption` has no text")
        );

        let out = dir.path().join("out.json");
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        let export =
            |replace| export_metadata(&captions, &entries, &out, MetadataField::Tags, replace);
        assert_eq!(export(false).unwrap(), 1);
        let message = export(false).unwrap_err().to_string();
        assert!(message.ends_with("out.json: already exists; add --force to replace it"));
        assert_eq!(export(true).unwrap(), 1);
        let written: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
        assert_eq!(
            written,
            json!({"a.png": {"tags": "cat"}, "sub/c.png": {"tags": "dog"}})
        );
        let import = captions.plan_import(&entries, &out, None, true).unwrap();
        assert!(import.plan.captions.is_empty() && import.plan.considered == 2);
    }

    #[test]
    fn entries_for_missing_images_are_ignored() {
        let dir = folder();
        let list = dir.path().join("list.json");
        let text = r#"{"a.png": {"tags": "cat"}, "gone.png": {}, "gone/b.png": {"tags": "dog"}}"#;
        std::fs::write(&list, text).unwrap();
        let captions = open(&dir);
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        let import = captions.plan_import(&entries, &list, None, true).unwrap();
        assert_eq!(import.other_entries, ["gone.png", "gone/b.png"]);
        assert_eq!((import.plan.captions.len(), import.without_entry), (1, 2));
    }

    #[test]
    fn names_become_captions() {
        let dir = folder();
        let captions = open(&dir);
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        let import = captions.plan_import_of_names(&entries, false);
        assert_eq!((import.kept.len(), import.plan.created()), (1, 2));
        let import = captions.plan_import_of_names(&entries, true);
        let news: Vec<&str> = import
            .plan
            .captions
            .iter()
            .map(|caption| &*caption.new)
            .collect();
        assert_eq!(news, ["a\n", "b\n", "c\n"]);
    }
}
