//! The captions of a folder, and their changes.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lora_models::Tokenizer;
use lora_trainer::tag::Error;
use lora_trainer::tag::captions::{
    Captions, CaptionsOptions, Entry, History, Import, MetadataField, Plan, Relocation,
    export_metadata,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::background::run;
use crate::caption_edit::CaptionEdit;
use crate::caption_filter::FilterDict;
use crate::caption_records::{CaptionChange, CaptionCommand, CaptionEntry, UndoneCommand};
use crate::caption_stats::stats_dict;
use crate::error::ErrorClass;
use crate::tag_error::{message, to_tag_exception};
use crate::value::choice;

/// The captions of a folder: the native part of `lora_trainer.Captions`.
///
/// The captions are read again before and after each change. Lists of images choose entries.
#[pyclass(frozen, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct CaptionFolder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    options: CaptionsOptions,
    /// `None` if a change has left no images in the folder.
    captions: Mutex<Option<Arc<Captions>>>,
}

/// The images that a call is about; `None` for all.
type Images = Option<HashSet<PathBuf>>;
/// The changed captions, the number of captions that were looked at, tags of the edit that none of
/// them has, and captions whose first tag alone is too long.
type Edited = (
    Vec<CaptionChange>,
    usize,
    Vec<(String, Option<String>)>,
    Vec<PathBuf>,
);
/// The changed captions, the captions that are kept, the number of images without an entry, and the
/// entries for other images.
type Imported = (Vec<CaptionChange>, Vec<PathBuf>, usize, Vec<String>);

impl Shared {
    /// Reads the folder again.
    fn reload(&self) -> Result<Arc<Captions>, Error> {
        let captions = Arc::new(Captions::open(&self.folder, &self.options)?);
        self.set(Some(Arc::clone(&captions)));
        Ok(captions)
    }

    /// Reads the folder again after a change, which may have left no images.
    fn reload_after_change(&self) -> Result<(), Error> {
        match self.reload() {
            Err(Error::OnlySubfolders { .. } | Error::Data(lora_data::Error::NoImages { .. })) => {
                self.set(None);
                Ok(())
            }
            read => read.map(|_| ()),
        }
    }

    fn set(&self, captions: Option<Arc<Captions>>) {
        *self.captions.lock().unwrap_or_else(PoisonError::into_inner) = captions;
    }

    fn get(&self) -> Option<Arc<Captions>> {
        self.captions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn apply_plan(&self, plan: &Plan, command: &str) -> Result<(), Error> {
        let applied = plan.apply(&History::open(&self.folder)?, command);
        self.reload_after_change().and(applied)
    }
}

fn chosen<'a>(captions: &'a Captions, images: &Images) -> Vec<&'a Entry> {
    let is_chosen = |entry: &&Entry| {
        let images = images.as_ref();
        images.is_none_or(|images| images.contains(&entry.image))
    };
    captions.entries().iter().filter(is_chosen).collect()
}

fn changes(plan: Plan) -> Vec<CaptionChange> {
    plan.captions.into_iter().map(Into::into).collect()
}

fn metadata_field(py: Python<'_>, field: &str) -> PyResult<MetadataField> {
    choice(
        py,
        "field",
        field,
        &["caption", "tags"],
        |name| match name {
            "caption" => Some(MetadataField::Caption),
            "tags" => Some(MetadataField::Tags),
            _ => None,
        },
    )
}

#[pymethods]
impl CaptionFolder {
    #[new]
    #[pyo3(signature = (
        folder: "str | PathLike[str]",
        recursive: "bool",
        caption_extension: "str",
        caption_separator: "str"
    ))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        recursive: bool,
        caption_extension: String,
        caption_separator: String,
    ) -> PyResult<Self> {
        let options = CaptionsOptions {
            recursive,
            caption_extension,
            caption_separator,
        };
        let captions = Self {
            shared: Arc::new(Shared {
                folder,
                options,
                captions: Mutex::default(),
            }),
        };
        captions.reload(py)?;
        Ok(captions)
    }

    /// Reads the folder again.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |shared| shared.reload().map(|_| ()))
    }

    /// The folder.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.shared.folder.clone()
    }

    /// The text between tags.
    #[getter]
    fn separator(&self) -> String {
        self.shared.options.caption_separator.clone()
    }

    /// The images with their captions.
    #[pyo3(signature = (images: "set[Path] | None"))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python")]
    fn entries(&self, images: Images) -> Vec<CaptionEntry> {
        let Some(captions) = self.shared.get() else {
            return Vec::new();
        };
        let entry = |entry: &Entry| CaptionEntry {
            image: entry.image.clone(),
            file: entry.file.clone(),
            text: entry.text.clone(),
            tags: captions.tags(entry).into_iter().map(Into::into).collect(),
        };
        chosen(&captions, &images).into_iter().map(entry).collect()
    }

    /// The reasons why the captions of some images cannot be read.
    #[getter]
    fn problems(&self) -> Vec<String> {
        let captions = self.shared.get();
        captions.map_or_else(Vec::new, |captions| {
            captions.problems().iter().map(message).collect()
        })
    }

    /// Warnings about folders and images that are left out.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        let captions = self.shared.get();
        captions.map_or_else(Vec::new, |captions| {
            captions.notices().iter().map(ToString::to_string).collect()
        })
    }

    /// The images of these whose captions meet the conditions.
    #[pyo3(signature = (
        images: "set[Path] | None",
        conditions: "Mapping[str, object]"
    ) -> "list[Path]")]
    fn select(
        &self,
        py: Python<'_>,
        images: Images,
        conditions: FilterDict,
    ) -> PyResult<Vec<PathBuf>> {
        let filter = conditions.into();
        self.run(py, move |shared| {
            let captions = shared.reload()?;
            let selected = captions.select(&filter)?.into_iter();
            let is_chosen = |entry: &&Entry| {
                images
                    .as_ref()
                    .is_none_or(|images| images.contains(&entry.image))
            };
            let paths = selected.filter(is_chosen).map(|entry| entry.image.clone());
            Ok(paths.collect())
        })
    }

    /// Edits captions, or returns what would change: the changed captions, the number of captions
    /// that were looked at, tags of the edit that none of them has (with a tag that is spelled
    /// almost alike), and captions whose first tag alone is too long.
    #[pyo3(signature = (
        edit: "CaptionEdit",
        images: "set[Path] | None",
        command: "str | None"
    ) -> "tuple[list[CaptionChange], int, list[tuple[str, str | None]], list[Path]]")]
    fn edit(
        &self,
        edit: &Bound<'_, CaptionEdit>,
        images: Images,
        command: Option<String>,
    ) -> PyResult<Edited> {
        let inner = edit.get().0.clone();
        self.run(edit.py(), move |shared| {
            let captions = shared.reload()?;
            let tokenizer = Tokenizer::new();
            let entries = chosen(&captions, &images);
            let plan = captions.plan(&entries, &inner, &|text| tokenizer.ids(text).len())?;
            if let Some(command) = command {
                shared.apply_plan(&plan, &command)?;
            }
            let (considered, too_long) = (plan.considered, plan.too_long.clone());
            let unknown = plan.unknown_tags.iter();
            let unknown = unknown.map(|unknown| (unknown.tag.clone(), unknown.respelled.clone()));
            let unknown = unknown.collect();
            Ok((changes(plan), considered, unknown, too_long))
        })
    }

    /// Writes captions from a metadata file, or from the names of the images without one: the
    /// changed captions, the captions that are kept, the number of images without an entry, and
    /// the entries for other images.
    #[pyo3(signature = (
        images: "set[Path] | None",
        file: "Path | None",
        field: "str | None",
        overwrite: "bool",
        command: "str | None"
    ) -> "tuple[list[CaptionChange], list[Path], int, list[str]]")]
    fn import_captions(
        &self,
        py: Python<'_>,
        images: Images,
        file: Option<PathBuf>,
        field: Option<&str>,
        overwrite: bool,
        command: Option<String>,
    ) -> PyResult<Imported> {
        let field = field.map(|name| metadata_field(py, name)).transpose()?;
        self.run(py, move |shared| {
            let captions = shared.reload()?;
            let entries = chosen(&captions, &images);
            let Import {
                plan,
                kept,
                without_entry,
                other_entries,
            } = match file {
                Some(file) => captions.plan_import(&entries, &file, field, overwrite)?,
                None => captions.plan_import_of_names(&entries, overwrite),
            };
            if let Some(command) = command {
                shared.apply_plan(&plan, &command)?;
            }
            Ok((changes(plan), kept, without_entry, other_entries))
        })
    }

    /// Writes captions into a metadata file. Returns the number of captions.
    #[pyo3(signature = (images: "set[Path] | None", file: "Path", field: "str", replace: "bool"))]
    fn export_captions(
        &self,
        py: Python<'_>,
        images: Images,
        file: PathBuf,
        field: &str,
        replace: bool,
    ) -> PyResult<usize> {
        let field = metadata_field(py, field)?;
        self.run(py, move |shared| {
            let captions = shared.reload()?;
            let entries = chosen(&captions, &images);
            let left_out = export_metadata(&captions, &entries, &file, field, replace)?;
            Ok(entries.len() - left_out)
        })
    }

    /// Moves images with their files into another folder, or deletes them without one. Returns
    /// each file with its new path.
    #[pyo3(signature = (
        images: "set[Path] | None",
        destination: "Path | None",
        command: "str | None"
    ) -> "list[tuple[Path, Path | None]]")]
    fn relocate(
        &self,
        py: Python<'_>,
        images: Images,
        destination: Option<PathBuf>,
        command: Option<String>,
    ) -> PyResult<Vec<(PathBuf, Option<PathBuf>)>> {
        self.run(py, move |shared| {
            let captions = shared.reload()?;
            let entries = chosen(&captions, &images);
            let plan: Relocation = match destination {
                Some(folder) => captions.plan_move(&entries, &folder)?,
                None => captions.plan_delete(&entries),
            };
            if let Some(command) = command {
                let applied = plan.apply(&History::open(&shared.folder)?, &command);
                shared.reload_after_change().and(applied)?;
            }
            let pair = |file: &std::path::Path| (file.to_owned(), plan.target(file));
            Ok(plan.files().map(pair).collect())
        })
    }

    /// Undoes the newest command.
    fn undo(&self, py: Python<'_>) -> PyResult<UndoneCommand> {
        self.run(py, |shared| {
            let undone = History::open(&shared.folder)?.undo();
            let undone = shared.reload_after_change().and(undone)?;
            Ok(undone.into())
        })
    }

    /// The commands that can be undone, the newest first.
    fn history(&self, py: Python<'_>) -> PyResult<Vec<CaptionCommand>> {
        self.run(py, |shared| {
            let entries = History::open(&shared.folder)?.entries()?;
            Ok(entries.into_iter().map(Into::into).collect())
        })
    }

    /// Deletes the history.
    fn clear_history(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |shared| History::open(&shared.folder)?.clear())
    }

    /// Figures of the captions.
    #[pyo3(signature = (images: "set[Path] | None") -> "dict[str, Any]")]
    fn stats<'py>(&self, py: Python<'py>, images: Images) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.run(py, move |shared| {
            let captions = shared.reload()?;
            let tokenizer = Tokenizer::new();
            let entries = chosen(&captions, &images);
            Ok(captions.stats(&entries, &|text| tokenizer.ids(text).len()))
        })?;
        stats_dict(py, stats)
    }
}

impl CaptionFolder {
    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> PyResult<T> {
        let shared = Arc::clone(&self.shared);
        run(py, move || work(&shared))?.map_err(to_tag_exception(py, ErrorClass::Dataset))
    }
}
