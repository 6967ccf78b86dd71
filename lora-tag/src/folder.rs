//! Captions for a folder of images.

mod ahead;
mod caption_files;
mod conflict;
mod list;
mod metadata;
mod options;
mod source;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use lora_data::{Notice, most_frequent};

use self::caption_files::CaptionFiles;
pub use self::conflict::OnConflict;
use self::conflict::merged;
use self::list::{Listed, Task, list};
use self::metadata::MetadataFile;
pub use self::options::{FolderOptions, Output};
pub use self::source::ScoreSource;
use self::source::Source;
use crate::error::{Error, Result};
use crate::scores::Scores;

/// A folder of images that is listed but not yet tagged.
#[derive(Debug)]
pub struct FolderJob {
    options: FolderOptions,
    plan: FolderPlan,
    tasks: Vec<Task>,
    failed: Vec<TagEvent>,
    metadata: Option<MetadataFile>,
    captions: CaptionFiles,
}

/// Writes captions for a folder of images: an iterator that handles one image per call.
///
/// Images are decoded ahead on other threads. Each caption file is written atomically, so a run can
/// be stopped at any time, and the next one goes on with the images that have no caption. A run
/// that changes captions ([`OnConflict`]) is in the [`History`](crate::captions::History) of the
/// folder.
///
/// The error of a single image is an event, and the others are tagged all the same. An error of the
/// iterator ends it: the model fails, or the disk is full.
#[derive(Debug)]
pub struct FolderTagger {
    options: FolderOptions,
    source: Source,
    plan: FolderPlan,
    /// Events that are not reported yet.
    waiting: VecDeque<TagEvent>,
    /// The error that ends the run, until it is reported.
    failure: Option<Error>,
    is_over: bool,
    metadata: Option<MetadataFile>,
    captions: CaptionFiles,
    frequency: HashMap<String, usize>,
}

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderPlan {
    /// The images in the folder.
    pub images: usize,
    /// The images that have a caption already and are left out.
    pub done: usize,
    /// The images that are tagged in this run, with those that turn out to be unreadable.
    pub remaining: usize,
    /// Notices about the folder.
    pub notices: Vec<Notice>,
}

/// What became of an image.
#[derive(Debug)]
#[non_exhaustive]
pub enum TagEvent {
    /// It has its tags.
    Tagged(TaggedImage),
    /// It cannot be tagged; the others are.
    Failed {
        /// The image.
        image: PathBuf,
        /// The reason.
        error: Error,
    },
}

/// An image with its tags.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaggedImage {
    /// The image.
    pub image: PathBuf,
    /// The caption file, which may exist already; `None` if captions go into one file.
    pub file: Option<PathBuf>,
    /// The tags, without those of an existing caption.
    pub tags: Vec<String>,
    /// The caption as written.
    pub caption: String,
    /// The probabilities of all tags.
    pub scores: Scores,
}

impl FolderJob {
    /// Lists the images of a folder. `from_scores` announces [`ScoreSource::Files`].
    ///
    /// # Errors
    /// [`Error::Data`] for an unreadable folder or one without images, [`Error::OnlySubfolders`],
    /// [`Error::CaptionList`] for a damaged file of captions, and [`Error::Option`] for an unusable
    /// option.
    pub fn new(folder: &Path, options: FolderOptions, from_scores: bool) -> Result<Self> {
        options.check(from_scores)?;
        let metadata = match &options.output {
            Output::Metadata(path) => Some(MetadataFile::open(path, options.on_conflict)?),
            Output::NextToImages | Output::Folder(_) => None,
        };
        let Listed {
            images,
            tasks,
            failed,
            notices,
        } = list(folder, &options, from_scores, metadata.as_ref())?;
        let remaining = tasks.len() + failed.len();
        Ok(Self {
            plan: FolderPlan {
                images,
                done: images - remaining,
                remaining,
                notices,
            },
            captions: CaptionFiles::new(folder, &options),
            options,
            tasks,
            failed,
            metadata,
        })
    }

    /// What a run is going to do.
    #[must_use]
    pub fn plan(&self) -> &FolderPlan {
        &self.plan
    }

    /// Starts to decode the images.
    #[must_use]
    pub fn start(self, source: ScoreSource) -> FolderTagger {
        FolderTagger {
            source: Source::start(source, self.tasks, &self.options),
            options: self.options,
            plan: self.plan,
            waiting: self.failed.into(),
            failure: None,
            is_over: false,
            metadata: self.metadata,
            captions: self.captions,
            frequency: HashMap::new(),
        }
    }
}

impl FolderTagger {
    /// Lists the images of a folder and starts to decode those that have no caption yet.
    ///
    /// # Errors
    /// Those of [`FolderJob::new`].
    pub fn new(folder: &Path, source: ScoreSource, options: FolderOptions) -> Result<Self> {
        let from_scores = matches!(source, ScoreSource::Files);
        Ok(FolderJob::new(folder, options, from_scores)?.start(source))
    }

    /// What this run is going to do.
    #[must_use]
    pub fn plan(&self) -> &FolderPlan {
        &self.plan
    }

    /// How often each tag was written so far, the most frequent first.
    #[must_use]
    pub fn frequency(&self) -> Vec<(String, usize)> {
        let counts = self.frequency.iter();
        most_frequent(counts.map(|(tag, count)| (tag.clone(), *count)))
    }

    /// The folder whose [`History`](crate::captions::History) has this run; `None` if it changed no
    /// caption.
    #[must_use]
    pub fn history(&self) -> Option<&Path> {
        self.captions.history()
    }

    /// Completes a file with all captions ([`Output::Metadata`]) and the record of changed
    /// captions. Call it at the end, also if the run was stopped.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Io`] if a file cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.captions.finish()?;
        match &mut self.metadata {
            Some(metadata) if !self.options.dry_run => metadata.finish(),
            _ => Ok(()),
        }
    }

    /// Handles the next batch of images.
    fn advance(&mut self) -> Result<()> {
        let batch = self.source.next_batch()?;
        self.is_over = batch.is_empty();
        for (task, scores) in batch {
            let event = match scores.and_then(|scores| self.write(&task, scores)) {
                Ok(tagged) => TagEvent::Tagged(tagged),
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => TagEvent::Failed {
                    image: task.image,
                    error,
                },
            };
            self.waiting.push_back(event);
        }
        Ok(())
    }

    fn write(&mut self, task: &Task, scores: Scores) -> Result<TaggedImage> {
        let options = &self.options;
        if options.scores && !options.dry_run {
            scores.write(&Scores::path_for(&task.image))?;
        }
        let tags = options.tags.tags(&scores);
        let caption = match &task.existing {
            Some(existing) => merged(&tags, existing, options),
            None => tags.join(&options.tags.caption_separator),
        };
        for tag in &tags {
            *self.frequency.entry(tag.clone()).or_default() += 1;
        }
        if task.writes_caption && !options.dry_run {
            match (&mut self.metadata, &task.file) {
                (Some(metadata), _) => metadata.add(&task.image, &caption, scores.image_size)?,
                (None, Some(file)) => self.captions.write(file, &caption)?,
                (None, None) => {}
            }
        }
        Ok(TaggedImage {
            image: task.image.clone(),
            file: task.file.clone(),
            tags,
            caption,
            scores,
        })
    }
}

impl Iterator for FolderTagger {
    type Item = Result<TagEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.waiting.is_empty()
            && !self.is_over
            && let Err(error) = self.advance()
        {
            self.is_over = true;
            self.failure = Some(error);
        }
        // The images of a batch that were written before an error are reported before it.
        let event = self.waiting.pop_front();
        event.map(Ok).or_else(|| self.failure.take().map(Err))
    }
}

/// True for an error that every further image would have, too.
fn is_fatal(error: &Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error, Error::Model { .. })
        || error.io_error_kind().is_some_and(|kind| {
            matches!(
                kind,
                FileTooLarge | QuotaExceeded | ReadOnlyFilesystem | StorageFull
            )
        })
}
