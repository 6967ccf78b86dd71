//! The options of a run over a folder.

use std::path::PathBuf;

use super::conflict::OnConflict;
use crate::error::{Error, Result};
use crate::options::TagOptions;
use crate::scores::LEAST_KEPT;

/// Where captions are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// A text file next to each image.
    #[default]
    NextToImages,
    /// Text files in this folder, in the subfolders of their images.
    Folder(PathBuf),
    /// One file with all captions (sd-scripts' `output_path`): JSON lines if its name ends in
    /// `.jsonl`, otherwise sd-scripts' metadata JSON.
    Metadata(PathBuf),
}

/// The options of a run over a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderOptions {
    /// The options that turn probabilities into captions.
    pub tags: TagOptions,
    /// Tag the images in subfolders, too.
    pub recursive: bool,
    /// The extension of caption files.
    pub caption_extension: String,
    /// What happens to images that have a caption.
    pub on_conflict: OnConflict,
    /// Where captions are written.
    pub output: Output,
    /// Write the probabilities to a file next to each image, too ([`Scores::path_for`]).
    ///
    /// [`Scores::path_for`]: crate::Scores::path_for
    pub scores: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Images per batch. A model whose file fixes the batch takes that.
    pub batch: usize,
    /// Threads that decode images; `None` takes one per processor, at most four.
    pub workers: Option<usize>,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self {
            tags: TagOptions::default(),
            recursive: false,
            caption_extension: ".txt".into(),
            on_conflict: OnConflict::default(),
            output: Output::default(),
            scores: false,
            dry_run: false,
            batch: 1,
            workers: None,
        }
    }
}

impl FolderOptions {
    pub(super) fn check(&self, from_scores: bool) -> Result<()> {
        self.tags.check()?;
        let least = self.tags.least_threshold();
        if from_scores && least < LEAST_KEPT {
            return Err(Error::Option {
                option: "threshold",
                found: least.to_string(),
                expected: format!(
                    "at least {LEAST_KEPT}, since files of scores have no smaller probabilities"
                ),
            });
        }
        if self.batch == 0 {
            return Err(Error::Option {
                option: "batch",
                found: "0".into(),
                expected: "a number ≥ 1".into(),
            });
        }
        Ok(())
    }
}
