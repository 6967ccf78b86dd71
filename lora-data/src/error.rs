//! What can go wrong between a folder and a batch.

mod cause;
mod text;

use std::path::PathBuf;

use self::text::{captions_only, lines, listed, quoted, quoted_or};
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
    #[error("`{}` is a file; expected the folder that holds the images", path.display())]
    NotAFolder {
        /// The file that was given.
        path: PathBuf,
    },
    /// A folder in which no file has an image's extension, or a list without images.
    #[error(
        "`{}`: no images found{}; expected files that end in \
         {}{}", path.display(), captions_only(*captions),
        crate::listing::extensions(), lines(beside)
    )]
    NoImages {
        /// The folder that was searched, or the list.
        path: PathBuf,
        /// The number of caption files in it.
        captions: usize,
        /// What is there instead, as notices say it.
        beside: Vec<String>,
    },
    /// A folder whose name is that of a file.
    #[error("`{}` is a folder; expected an image, or a name without its \
         extension", path.display())]
    FolderNamedAsFile {
        /// The folder.
        path: PathBuf,
    },
    /// Several things at once.
    #[error("{}", listed(problems))]
    Several {
        /// At least two.
        problems: Vec<Self>,
    },
    /// An image without a caption file, where each must have one.
    #[error("`{}`: no caption; expected `{}` \
         (`strict_captions`)", path.display(), expected.display())]
    ImageWithoutCaption {
        /// The image.
        path: PathBuf,
        /// The file that was looked for.
        expected: PathBuf,
    },
    /// A caption file without an image, where each must have one.
    #[error("`{}`: no image of this name (`strict_captions`)", path.display())]
    CaptionWithoutImage {
        /// The caption file.
        path: PathBuf,
    },
    /// An image without its mask.
    #[error("`{}`: no mask; expected an image of the same name in \
         `{}`", path.display(), dir.display())]
    MaskMissing {
        /// The image.
        path: PathBuf,
        /// The folder of masks (`conditioning_data_dir`).
        dir: PathBuf,
    },
    /// Masks that belong to no image.
    #[error("masks without an image of the same name: {files}")]
    MaskWithoutImage {
        /// The masks.
        files: crate::notice::Several,
    },
    /// Two images of one name, for which there is one mask.
    #[error(
        "`{}` and `{}` would have the same mask in `{}`; rename one of \
         them", first.display(), second.display(), dir.display()
    )]
    SharedMask {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The folder of masks.
        dir: PathBuf,
    },
    /// Two masks for one image.
    #[error("`{}` and `{}` are masks of the same image; remove \
         one", first.display(), second.display())]
    AmbiguousMask {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A mask that is not of its image's size.
    #[error(
        "`{}` is {found}; expected {expected}, the size of its image \
         `{}`", path.display(), image.display()
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// Its size.
        found: Size,
        /// The image.
        image: PathBuf,
        /// The image's size.
        expected: Size,
    },
    /// No sub-folder has a name of the form `N_name`.
    #[error(
        "`{}`: no sub-folder is named `N_name`, where N is the number of repeats; found {}; rename \
         for example `{}` to \
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
    /// More images in an epoch, repeats included, than can be listed.
    #[error(
        "`{}`: {repeats} repeats; with them an epoch has {images} images, expected at most \
         {most}", path.display()
    )]
    TooManyRepeats {
        /// The folder with the most repeats.
        path: PathBuf,
        /// Its repeats.
        repeats: usize,
        /// Images in an epoch, repeats included.
        images: usize,
        /// The most that are possible.
        most: usize,
    },
    /// Every image was skipped as unusable.
    #[error("none of the {skipped} images can be used; the first: {first}")]
    AllImagesSkipped {
        /// The number of images skipped.
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
    /// An image that cannot be decoded: truncated, damaged, or of a format that is not supported.
    #[error("`{}`: unreadable image: {reason}", path.display())]
    UnreadableImage {
        /// The image.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
        /// Where it is the system that refuses: how.
        refused: Option<std::io::ErrorKind>,
    },
    /// An image whose pixels are not of the size that its header announced, or that was replaced
    /// since the scan.
    #[error("`{}` was {expected} when the folder was scanned but decodes to \
         {found}", path.display())]
    ImageChanged {
        /// The image.
        path: PathBuf,
        /// The size at the scan.
        expected: Size,
        /// The size of the decoded image.
        found: Size,
    },
    /// An image for which no bucket is small enough.
    #[error(
        "`{}` is {size}, too small or too narrow for a bucket: without enlarging, both sides \
         (after reduction to the \
         training area) need at least {step} px (`bucket_reso_steps`); remove it or set \
         `bucket_no_upscale = false`",
        path.display()
    )]
    ImageTooSmall {
        /// The image.
        path: PathBuf,
        /// Its size.
        size: Size,
        /// The step of the bucket sides in pixels.
        step: u32,
    },
    /// A caption file without text in its first line or, with `enable_wildcard`, in any line.
    #[error(
        "`{}`: empty caption; expected the caption in the first line (remove the file to use the \
         folder's class words)",
        path.display()
    )]
    EmptyCaption {
        /// The caption file.
        path: PathBuf,
    },
    /// A caption file that is not UTF-8.
    #[error("`{}`: not UTF-8 at byte {offset}; expected a text file saved as \
         UTF-8", path.display())]
    CaptionNotUtf8 {
        /// The caption file.
        path: PathBuf,
        /// The number of valid bytes before the first invalid one.
        offset: usize,
    },
    /// A caption file of two bytes a character, as some editors save "Unicode".
    #[error("`{}`: saved as UTF-16; expected a text file saved as UTF-8", path.display())]
    CaptionUtf16 {
        /// The caption file.
        path: PathBuf,
    },
    /// A caption file that is hardly one.
    #[error("`{}` has {bytes} bytes; expected a caption of at most {most}", path.display())]
    CaptionTooLarge {
        /// The caption file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The most that is read.
        most: u64,
    },
    /// Something that is no file has the name of a caption file.
    #[error("`{}` is {found}; expected a text file with the caption", path.display())]
    NotACaptionFile {
        /// The path of the caption file.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// A file of data sets (`dataset_config`) with keys that are unknown, misplaced, missing, out
    /// of range or in conflict; all of them at once.
    #[error("{}", list(file.as_deref(), problems, 0))]
    DatasetConfig {
        /// The file; `None` for text that a program gave.
        file: Option<PathBuf>,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// A list of images (`metadata_file`) with entries that cannot be used.
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
    /// Something that is no file has a cache file's name.
    #[error("`{}` is a folder or a special file; expected a cache file, or \
         nothing", path.display())]
    CacheNotAFile {
        /// What was found in its place.
        path: PathBuf,
    },
    /// A cache file that is truncated, damaged, or no npz at all.
    #[error("`{}`: damaged cache file: {reason}", path.display())]
    CacheDamaged {
        /// The cache file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A cache file without one of the arrays that are needed.
    #[error("`{}`: no array `{key}`; found {}", path.display(), quoted_or(found, "no arrays"))]
    CacheKeyMissing {
        /// The cache file.
        path: PathBuf,
        /// The array that is needed.
        key: String,
        /// The arrays that are there.
        found: Vec<String>,
    },
    /// An array in a cache file that does not belong to the image's bucket, the caption's length
    /// or the model.
    #[error("`{}`: `{key}` has shape {found:?}; expected {expected:?}", path.display())]
    CacheShape {
        /// The cache file.
        path: PathBuf,
        /// The array.
        key: String,
        /// Its shape.
        found: Vec<u64>,
        /// The shape that is needed.
        expected: Vec<u64>,
    },
    /// An array in a cache file whose elements are of a type that it can't have.
    #[error("`{}`: `{key}` has elements of type `{found}`; expected {expected}", path.display())]
    CacheDtype {
        /// The cache file.
        path: PathBuf,
        /// The array.
        key: String,
        /// Its type as NumPy writes it: `<i8`.
        found: String,
        /// The types that are possible.
        expected: &'static str,
    },
    /// An array in a cache file with a number that can't be: latents that are not finite, an image
    /// without width.
    #[error("`{}`: `{key}` holds {found}; expected {expected}", path.display())]
    CacheValue {
        /// The cache file.
        path: PathBuf,
        /// The array.
        key: String,
        /// The number and where it is: `NaN at [0, 3, 5]`.
        found: String,
        /// The numbers that are possible.
        expected: &'static str,
    },
}

impl Error {
    /// Whether this error is about one image, so that the run can go on without it.
    #[must_use]
    pub fn is_bad_image(&self) -> bool {
        matches!(
            self,
            Self::UnreadableImage { .. } | Self::ImageChanged { .. } | Self::ImageTooSmall { .. }
        )
    }

    /// For an image that the system refuses to read: it is as unusable as a broken one.
    pub(crate) fn of_image(self) -> Self {
        match self {
            Self::Io { path, error } => Self::UnreadableImage {
                path,
                reason: error.to_string(),
                refused: Some(error.kind()),
            },
            other => other,
        }
    }

    /// The errors that this one lists, or itself.
    #[must_use]
    pub fn into_parts(self) -> Vec<Self> {
        match self {
            Self::Several { problems } => problems,
            error => vec![error],
        }
    }

    /// One error for all of these; `None` where there are none.
    pub(crate) fn of_all(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 | 1 => problems.pop(),
            _ => Some(Self::Several { problems }),
        }
    }

    /// Whether this error is about the contents of a cache file, so that the run can go on once the
    /// file is made again.
    #[must_use]
    pub fn is_bad_cache(&self) -> bool {
        matches!(
            self,
            Self::CacheDamaged { .. }
                | Self::CacheKeyMissing { .. }
                | Self::CacheShape { .. }
                | Self::CacheDtype { .. }
                | Self::CacheValue { .. }
        )
    }

    pub(crate) fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            error,
        }
    }
}
