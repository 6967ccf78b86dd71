//! Caption files, and the history of runs that change them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lora_data::atomic;

use super::conflict::OnConflict;
use super::options::{FolderOptions, Output};
use crate::captions::{Change, History};
use crate::error::{Error, Result};
use crate::options::Style;

/// Writes caption files.
#[derive(Debug)]
pub(super) struct CaptionFiles {
    /// The folder that has the history.
    folder: PathBuf,
    style: Style,
    on_conflict: OnConflict,
    /// The record of a run that changes captions, once there is one.
    change: Option<Change>,
    has_history: bool,
}

impl CaptionFiles {
    pub(super) fn new(folder: &Path, options: &FolderOptions) -> Self {
        let folder = match &options.output {
            Output::Folder(target) => target,
            Output::NextToImages | Output::Metadata(_) => folder,
        };
        Self {
            folder: folder.into(),
            style: options.tags.style,
            on_conflict: options.on_conflict,
            change: None,
            has_history: false,
        }
    }

    /// Writes a caption. Unless existing captions are ignored, it is recorded before, so that the
    /// whole run can be undone.
    pub(super) fn write(&mut self, file: &Path, caption: &str) -> Result<()> {
        // As the originals: sd-scripts ends the line, SD-Trainer does not.
        let end = match self.style {
            Style::SdTrainer => "",
            Style::SdScripts => "\n",
        };
        let text = format!("{caption}{end}");
        if self.on_conflict == OnConflict::Ignore {
            return Ok(atomic::write(file, |out| out.write_all(text.as_bytes()))?);
        }
        let change = match &mut self.change {
            Some(change) => change,
            change => {
                fs::create_dir_all(&self.folder)
                    .map_err(Error::io(&self.folder, "create the folder"))?;
                let command = format!("tag --on-conflict {}", self.on_conflict.name());
                change.insert(History::open(&self.folder)?.begin(&command))
            }
        };
        change.write(file, &text)?;
        self.has_history = true;
        Ok(())
    }

    /// The folder whose history has this run, if it changed a caption.
    pub(super) fn history(&self) -> Option<&Path> {
        self.has_history.then_some(self.folder.as_path())
    }

    /// Completes the record of the run.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.change.take().map_or(Ok(()), Change::finish)
    }
}
