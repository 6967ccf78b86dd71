//! What can go wrong between a folder and a batch.

use std::path::PathBuf;

use crate::bucket::Size;
use crate::dataset_config::{Problem, list};
use crate::metadata_file::MetadataProblem;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the file, folder or option at fault, what was found there and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder does not exist.
    #[error("`{}`: no such folder", path.display())]
    FolderNotFound {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A file was given where a folder is needed.
    #[error("`{}` is a file; expected the folder that holds the pictures", path.display())]
    NotAFolder {
        /// The file that was given.
        path: PathBuf,
    },
    /// A folder in which no file has a picture's extension.
    #[error("`{}`: no pictures found; expected files that end in {}", path.display(), crate::folder::extensions())]
    NoPictures {
        /// The folder that was searched.
        path: PathBuf,
    },
    /// Pictures lie beside, not in, the sub-folders whose names say how often they are repeated.
    #[error(
        "`{}` holds {count} pictures itself but no sub-folder named `N_name` with pictures; move them into a sub-folder such as \
         `10_name` (10 repeats an epoch), or give the folder as a flat one with its number of repeats",
        path.display()
    )]
    PicturesOutsideFolders {
        /// The folder that was searched for sub-folders.
        path: PathBuf,
        /// The number of pictures directly in it.
        count: usize,
    },
    /// No sub-folder has a name of the form `N_name`.
    #[error(
        "`{}`: no sub-folder is named `N_name`, where N is the number of repeats; found {}; rename for example `{}` to \
         `10_{}`",
        path.display(), quoted(found), found.first().map_or("name", String::as_str),
        found.first().map_or("name", String::as_str)
    )]
    NoNamedFolders {
        /// The folder that was searched for sub-folders.
        path: PathBuf,
        /// The names of the sub-folders that are there, sorted.
        found: Vec<String>,
    },
    /// More pictures in an epoch, repeats included, than can be listed.
    #[error(
        "`{}`: {repeats} repeats; with them an epoch has {pictures} pictures, expected at most {most}", path.display()
    )]
    TooManyRepeats {
        /// The folder with the most repeats.
        path: PathBuf,
        /// Its repeats.
        repeats: usize,
        /// Pictures in an epoch, repeats included.
        pictures: usize,
        /// The most that are possible.
        most: usize,
    },
    /// Every picture was skipped as unusable.
    #[error("none of the {skipped} pictures can be used; the first: {first}")]
    AllPicturesSkipped {
        /// The number of pictures skipped.
        skipped: usize,
        /// Why the first of them was skipped.
        first: String,
    },
    /// The operating system refused to read a file or folder.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A picture that cannot be decoded: truncated, damaged, or of a format that is not supported.
    #[error("`{}`: unreadable picture: {reason}", path.display())]
    UnreadablePicture {
        /// The picture.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// A picture whose pixels are not of the size that its header announced, or that was replaced since the scan.
    #[error("`{}` was {expected} when the folder was scanned but decodes to {found}", path.display())]
    PictureChanged {
        /// The picture.
        path: PathBuf,
        /// The size at the scan.
        expected: Size,
        /// The size of the decoded picture.
        found: Size,
    },
    /// A picture for which no bucket is small enough.
    #[error(
        "`{}` is {size}, too small or too narrow for a bucket: without enlarging, both sides (after reduction to the \
         training area) need at least {step} px (`bucket_reso_steps`); remove it or set `bucket_no_upscale = false`",
        path.display()
    )]
    PictureTooSmall {
        /// The picture.
        path: PathBuf,
        /// Its size.
        size: Size,
        /// The step of the bucket sides in pixels.
        step: u32,
    },
    /// A caption file without text in its first line.
    #[error(
        "`{}`: empty caption; expected the caption in the first line (remove the file to use the folder's class words)",
        path.display()
    )]
    EmptyCaption {
        /// The caption file.
        path: PathBuf,
    },
    /// A caption file that is not UTF-8.
    #[error("`{}`: not UTF-8 at byte {offset}; expected a text file saved as UTF-8", path.display())]
    CaptionNotUtf8 {
        /// The caption file.
        path: PathBuf,
        /// The number of valid bytes before the first invalid one.
        offset: usize,
    },
    /// A file of data sets (`dataset_config`) with keys that are unknown, misplaced, missing, out of range or in conflict;
    /// all of them at once.
    #[error("{}", list(file.as_deref(), problems, 0))]
    DatasetConfig {
        /// The file; `None` for text that a program gave.
        file: Option<PathBuf>,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// A list of pictures (`metadata_file`) with entries that cannot be used.
    #[error("{}", list(Some(file), problems, *more))]
    Metadata {
        /// The file.
        file: PathBuf,
        /// The first ones, at least one.
        problems: Vec<MetadataProblem>,
        /// How many there are beyond these.
        more: usize,
    },
    /// An option whose value cannot be used.
    #[error("`{option} = {found}`: expected {expected}")]
    InvalidOption {
        /// The option, in sd-scripts' spelling.
        option: &'static str,
        /// The value given.
        found: String,
        /// The values that are possible.
        expected: String,
    },
}

impl Error {
    /// Whether this error is about one picture, so that the run can go on without it.
    #[must_use]
    pub fn is_bad_picture(&self) -> bool {
        matches!(self, Self::UnreadablePicture { .. } | Self::PictureChanged { .. } | Self::PictureTooSmall { .. })
    }

    pub(crate) fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }
}

/// The first few names, each in backquotes.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
