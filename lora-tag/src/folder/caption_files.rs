//! Caption files, and the history of those that are replaced.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use lora_data::atomic;

use super::conflict::OnConflict;
use super::options::{FolderOptions, Output};
use crate::captions::{Change, History};
use crate::error::Result;
use crate::options::Style;

/// Writes caption files.
#[derive(Debug)]
pub(super) struct CaptionFiles {
    /// The folder that has the history.
    folder: PathBuf,
    style: Style,
    on_conflict: OnConflict,
    /// The captions that this run replaces, once there is one.
    replaced: Option<Change>,
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
            replaced: None,
        }
    }

    /// Writes a caption. That of an existing file is recorded before, so that it can be restored.
    pub(super) fn write(&mut self, file: &Path, caption: &str) -> Result<()> {
        // As the originals: sd-scripts ends the line, SD-Trainer does not.
        let end = match self.style {
            Style::SdTrainer => "",
            Style::SdScripts => "\n",
        };
        let text = format!("{caption}{end}");
        if !file.exists() {
            return Ok(atomic::write(file, |out| out.write_all(text.as_bytes()))?);
        }
        let change = match &mut self.replaced {
            Some(change) => change,
            replaced => {
                let command = format!("tag --on-conflict {}", self.on_conflict.name());
                replaced.insert(History::open(&self.folder)?.begin(&command))
            }
        };
        change.write(file, &text)
    }

    /// Completes the record of replaced captions.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.replaced.take().map_or(Ok(()), Change::finish)
    }
}
