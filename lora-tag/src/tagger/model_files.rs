//! The files of a tagger in a folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::kind::TaggerKind;

/// The names of the files with the tags.
pub(super) const LABELS: [(TaggerKind, &str); 2] = [
    (TaggerKind::Wd, "selected_tags.csv"),
    (TaggerKind::Cl, "tag_mapping.json"),
];

/// The model and the tags of a tagger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelFiles {
    pub(super) model: PathBuf,
    /// At least one; both kinds if the folder has both files.
    pub(super) labels: Vec<(TaggerKind, PathBuf)>,
}

impl ModelFiles {
    /// The files of a tagger, from its folder or its `.onnx` file.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::ModelFiles`] if a file is missing or several fit.
    pub(crate) fn find(path: &Path) -> Result<Self> {
        let (folder, model) = if path.is_dir() {
            (path, model_in(path)?)
        } else {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            (folder.unwrap_or(Path::new(".")), path.to_owned())
        };
        let labels: Vec<(TaggerKind, PathBuf)> = LABELS
            .map(|(kind, name)| (kind, folder.join(name)))
            .into_iter()
            .filter(|(_, path)| path.is_file())
            .collect();
        if labels.is_empty() {
            return Err(Error::ModelFiles {
                path: folder.into(),
                reason: "no file with the tags; expected `selected_tags.csv` (WD taggers) or \
                         `tag_mapping.json` (CL taggers) next to the model"
                    .into(),
            });
        }
        Ok(Self { model, labels })
    }

    /// True if a folder seems to be that of a tagger.
    pub(crate) fn is_tagger(folder: &Path) -> bool {
        LABELS.iter().any(|(_, name)| folder.join(name).is_file()) && model_in(folder).is_ok()
    }
}

/// `model.onnx`, else `model_optimized.onnx`, else the only other `.onnx` file.
fn model_in(folder: &Path) -> Result<PathBuf> {
    for name in ["model.onnx", "model_optimized.onnx"] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        if path.extension() == Some(OsStr::new("onnx")) {
            found.push(path);
        }
    }
    found.sort();
    match &mut found[..] {
        [only] => Ok(std::mem::take(only)),
        found => {
            let names: Vec<String> = found
                .iter()
                .filter_map(|path| path.file_name())
                .map(|name| format!("`{}`", name.to_string_lossy()))
                .collect();
            let reason = if names.is_empty() {
                "no model; expected `model.onnx`".to_owned()
            } else {
                format!(
                    "found {}; expected `model.onnx` or only one model, or name one of them",
                    names.join(", ")
                )
            };
            Err(Error::ModelFiles {
                path: folder.into(),
                reason,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    fn found(names: &[&str]) -> Result<String> {
        let folder = folder(names);
        let files = ModelFiles::find(folder.path())?;
        assert!(ModelFiles::is_tagger(folder.path()));
        Ok(files
            .model
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned())
    }

    #[test]
    fn the_model_of_a_folder() {
        for (names, expected) in [
            (
                &["a.onnx", "model.onnx", "tag_mapping.json"][..],
                "model.onnx",
            ),
            (
                &["a.onnx", "model_optimized.onnx", "tag_mapping.json"],
                "model_optimized.onnx",
            ),
            (&["a.onnx", "selected_tags.csv"], "a.onnx"),
        ] {
            assert_eq!(found(names).unwrap(), expected);
        }
        for (names, part) in [
            (
                &["a.onnx", "b.onnx", "selected_tags.csv"][..],
                "found `a.onnx`, `b.onnx`",
            ),
            (&["selected_tags.csv"], "no model; expected `model.onnx`"),
            (&["model.onnx"], "no file with the tags"),
        ] {
            let error = found(names).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_tags_next_to_a_model() {
        let folder = folder(&["a.onnx", "b.onnx", "selected_tags.csv", "tag_mapping.json"]);
        let files = ModelFiles::find(&folder.path().join("b.onnx")).unwrap();
        assert!(files.model.ends_with("b.onnx"));
        assert_eq!(files.labels.len(), 2);
    }
}
