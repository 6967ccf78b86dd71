//! The errors of this crate.

mod cause;
mod dataset_config_problem;
mod metadata_problem;
mod text;

use std::path::{Path, PathBuf};

pub use self::dataset_config_problem::{DatasetConfigProblem, DatasetConfigProblemKind};
pub use self::metadata_problem::{MetadataProblem, MetadataProblemKind};
pub(crate) use self::text::shortened;
use self::text::{notice_lines, only_captions, problem_list, quoted, quoted_or};
use crate::count::count;
use crate::extensions::listed_extensions;
use crate::notice::{FileSummary, Notice};
use crate::size::Size;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most errors that one message lists.
const MOST_LISTED: usize = 20;

/// An error that names the file, folder or option at fault, the value found there and the value
/// expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder does not exist.
    #[error("`{}`: no such folder", path.display())]
    FolderNotFound {
        /// The missing folder.
        path: PathBuf,
    },
    /// The path of a folder leads to a file.
    #[error("`{}` is a file; expected the folder that contains the images", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// No file of the folder has an image extension, or a list has no images.
    #[error(
        "`{}`: no images found{}; expected files with the extension {}{}",
        path.display(), only_captions(*captions), listed_extensions(), notice_lines(notices)
    )]
    NoImages {
        /// The folder or list.
        path: PathBuf,
        /// The number of caption files in it.
        captions: usize,
        /// The reasons why its other contents are not used.
        notices: Vec<Notice>,
    },
    /// A folder whose name has an image extension.
    #[error("`{}` is a folder with the extension of an image; rename it", path.display())]
    FolderNamedAsFile {
        /// The folder.
        path: PathBuf,
    },
    /// Several errors at once.
    #[error("{}", problem_list(
        &problems[..problems.len().min(MOST_LISTED)],
        problems.len().saturating_sub(MOST_LISTED)
    ))]
    Multiple {
        /// At least two errors.
        problems: Vec<Self>,
    },
    /// An image has no caption file, but every image must have one.
    #[error(
        "`{}`: no caption file; expected `{}` (`strict_captions`)",
        path.display(), expected.display()
    )]
    ImageWithoutCaption {
        /// The image.
        path: PathBuf,
        /// The expected caption file.
        expected: PathBuf,
    },
    /// A caption file has no image, but every caption file must have one.
    #[error("`{}`: no image with this name (`strict_captions`)", path.display())]
    CaptionWithoutImage {
        /// The caption file.
        path: PathBuf,
    },
    /// An image has no mask.
    #[error(
        "`{}`: no mask; expected an image with the same name in `{}`",
        path.display(), dir.display()
    )]
    MaskMissing {
        /// The image.
        path: PathBuf,
        /// The folder of masks (`conditioning_data_dir`).
        dir: PathBuf,
    },
    /// Masks belong to no image.
    #[error("masks without an image of the same name: {files}")]
    MaskWithoutImage {
        /// The masks.
        files: FileSummary,
    },
    /// Two images with the same name would use one mask.
    #[error(
        "`{}` and `{}` would use the same mask in `{}`; rename one of them",
        first.display(), second.display(), dir.display()
    )]
    SharedMask {
        /// The first image.
        first: PathBuf,
        /// The second image.
        second: PathBuf,
        /// The folder of masks.
        dir: PathBuf,
    },
    /// One image has two masks.
    #[error(
        "`{}` and `{}` are masks of the same image; remove one",
        first.display(), second.display()
    )]
    AmbiguousMask {
        /// The first mask.
        first: PathBuf,
        /// The second mask.
        second: PathBuf,
    },
    /// A mask does not have the size of its image.
    #[error(
        "`{}` is {found}; expected {expected}, the size of its image `{}`",
        path.display(), image.display()
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// The size of the mask.
        found: Size,
        /// The image.
        image: PathBuf,
        /// The size of the image.
        expected: Size,
    },
    /// No subfolder has a name of the form `N_name`.
    #[error(
        "`{}`: no subfolder is named `N_name` (N is the number of repeats); found {}; for example, \
         rename `{}` to `10_{}`",
        path.display(), quoted(found), found.first().map_or("name", String::as_str),
        found.first().map_or("name", String::as_str)
    )]
    NoNamedFolders {
        /// The folder that was searched for subfolders.
        path: PathBuf,
        /// The names of its subfolders, sorted.
        found: Vec<String>,
    },
    /// An epoch has more images, counting repeats, than can be listed.
    #[error(
        "`{}`: with {} an epoch has {}; expected at most {most}",
        path.display(), count(*repeats, "repeat"), count(*images, "image")
    )]
    TooManyRepeats {
        /// The folder with the most repeats.
        path: PathBuf,
        /// Its repeats.
        repeats: usize,
        /// Images per epoch, counting repeats.
        images: usize,
        /// The upper limit of images per epoch.
        most: usize,
    },
    /// Every image was skipped as unusable.
    #[error("no usable images left: skipped {}; the first: {first}", count(*skipped, "image"))]
    AllImagesSkipped {
        /// The number of skipped images.
        skipped: usize,
        /// The reason for skipping the first one.
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
    /// A file that cannot be written ([`atomic`](crate::atomic)).
    #[error("{}: cannot {action}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, as a verb: `write`, `read back`.
        action: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An image cannot be decoded: it is truncated, damaged or in an unsupported format.
    #[error("`{}`: unreadable image: {reason}", path.display())]
    UnreadableImage {
        /// The image.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
        /// The kind of error if the operating system refused to read the file.
        refused: Option<std::io::ErrorKind>,
    },
    /// An image does not have the size that its header announced, or was replaced since the scan.
    #[error(
        "`{}` was {expected} when the folder was scanned but decodes to {found}",
        path.display()
    )]
    ImageChanged {
        /// The image.
        path: PathBuf,
        /// The size at the scan.
        expected: Size,
        /// The size of the decoded image.
        found: Size,
    },
    /// No bucket is small enough for an image.
    #[error(
        "`{}` is {size}, too small or too narrow for a bucket: without upscaling, both sides \
         (after downscaling to the resolution) must be at least {step} px (`bucket_reso_steps`); \
         remove the image or set `bucket_no_upscale = false`",
        path.display()
    )]
    ImageTooSmall {
        /// The image.
        path: PathBuf,
        /// The size of the image.
        size: Size,
        /// The step of the bucket sides in pixels.
        step: u32,
    },
    /// A caption file has no text in its first line or, with `enable_wildcard`, in any line.
    #[error(
        "`{}`: empty caption; expected the caption in the first line (remove the file to use the \
         folder's class tokens)",
        path.display()
    )]
    EmptyCaption {
        /// The caption file.
        path: PathBuf,
    },
    /// A caption file is not UTF-8.
    #[error(
        "`{}`: not UTF-8 at byte {offset}; expected a text file saved as UTF-8",
        path.display()
    )]
    CaptionNotUtf8 {
        /// The caption file.
        path: PathBuf,
        /// The number of valid bytes before the first invalid one.
        offset: usize,
    },
    /// A caption file is UTF-16, which some editors call "Unicode".
    #[error("`{}`: saved as UTF-16; expected a text file saved as UTF-8", path.display())]
    CaptionUtf16 {
        /// The caption file.
        path: PathBuf,
    },
    /// A caption file is too large to be one.
    #[error("`{}` has {bytes} bytes; expected a caption of at most {most} bytes", path.display())]
    CaptionTooLarge {
        /// The caption file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The upper limit in bytes.
        most: u64,
    },
    /// A folder or device has the name of a caption file.
    #[error("`{}` is {found}; expected a text file with the caption", path.display())]
    NotACaptionFile {
        /// The path of the caption file.
        path: PathBuf,
        /// `a folder`, or `a device or pipe`.
        found: &'static str,
    },
    /// A `dataset_config` file has unknown, misplaced, missing, invalid or conflicting keys.
    #[error(
        "{}: {}",
        file.as_deref().map_or_else(|| "dataset config".into(), quoted_path),
        problem_list(problems, 0)
    )]
    DatasetConfig {
        /// The file; `None` for text without a file.
        file: Option<PathBuf>,
        /// All problems, at least one.
        problems: Vec<DatasetConfigProblem>,
    },
    /// A list of images (`metadata_file`) has unusable entries.
    #[error("{}: {}", quoted_path(file), problem_list(problems, *more))]
    Metadata {
        /// The file.
        file: PathBuf,
        /// The first problems, at least one.
        problems: Vec<MetadataProblem>,
        /// The number of further problems.
        more: usize,
    },
    /// An option has an unusable value.
    #[error("`{option} = {found}`: expected {expected}")]
    InvalidOption {
        /// The option in sd-scripts' spelling.
        option: &'static str,
        /// Its value.
        found: String,
        /// The allowed values.
        expected: String,
    },
    /// A folder or special file has the name of a cache file.
    #[error("`{}` is a folder or a special file; expected a cache file or nothing", path.display())]
    CacheNotAFile {
        /// The path of the cache file.
        path: PathBuf,
    },
    /// A cache file is truncated, damaged or not an npz file.
    #[error("`{}`: damaged cache file: {reason}", path.display())]
    CacheDamaged {
        /// The cache file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A cache file lacks a required array.
    #[error("`{}`: no array `{key}`; found {}", path.display(), quoted_or(found, "no arrays"))]
    CacheKeyMissing {
        /// The cache file.
        path: PathBuf,
        /// The name of the missing array.
        key: String,
        /// The names of its arrays.
        found: Vec<String>,
    },
    /// The shape of a cached array does not match the bucket, the caption length or the model.
    #[error("`{}`: `{key}` has shape {found:?}; expected {expected:?}", path.display())]
    CacheShape {
        /// The cache file.
        path: PathBuf,
        /// The name of the array.
        key: String,
        /// Its shape.
        found: Vec<u64>,
        /// The required shape.
        expected: Vec<u64>,
    },
    /// A cached array has elements of an unsupported type.
    #[error("`{}`: `{key}` has elements of type `{found}`; expected {expected}", path.display())]
    CacheDtype {
        /// The cache file.
        path: PathBuf,
        /// The name of the array.
        key: String,
        /// The element type as NumPy writes it.
        found: String,
        /// The supported types.
        expected: &'static str,
    },
    /// A cached array contains an impossible number, such as NaN or a width of 0.
    #[error("`{}`: `{key}` contains {found}; expected {expected}", path.display())]
    CacheValue {
        /// The cache file.
        path: PathBuf,
        /// The name of the array.
        key: String,
        /// The number and its index: `NaN at [0, 3, 5]`.
        found: String,
        /// The allowed numbers.
        expected: &'static str,
    },
}

fn quoted_path(path: &Path) -> String {
    format!("`{}`", path.display())
}
