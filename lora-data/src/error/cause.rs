//! Questions to an error: the file at fault, and what it prevents.

use std::path::{Path, PathBuf};

use super::Error;

impl Error {
    /// The file or folder at fault, if there is one; of several errors that of the first.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::FolderNotFound { path }
            | Self::NotAFolder { path }
            | Self::NoImages { path, .. }
            | Self::FolderNamedAsFile { path }
            | Self::ImageWithoutCaption { path, .. }
            | Self::CaptionWithoutImage { path }
            | Self::MaskMissing { path, .. }
            | Self::SharedMask { first: path, .. }
            | Self::AmbiguousMask { first: path, .. }
            | Self::MaskSize { path, .. }
            | Self::NoNamedFolders { path, .. }
            | Self::TooManyRepeats { path, .. }
            | Self::Io { path, .. }
            | Self::Write { path, .. }
            | Self::UnreadableImage { path, .. }
            | Self::ImageChanged { path, .. }
            | Self::ImageTooSmall { path, .. }
            | Self::EmptyCaption { path }
            | Self::CaptionNotUtf8 { path, .. }
            | Self::CaptionUtf16 { path }
            | Self::CaptionTooLarge { path, .. }
            | Self::NotACaptionFile { path, .. }
            | Self::Metadata { file: path, .. }
            | Self::CacheNotAFile { path }
            | Self::CacheDamaged { path, .. }
            | Self::CacheKeyMissing { path, .. }
            | Self::CacheShape { path, .. }
            | Self::CacheDtype { path, .. }
            | Self::CacheValue { path, .. } => Some(path),
            Self::DatasetConfig { file, .. } => file.as_deref(),
            Self::Multiple { problems } => problems.first()?.path(),
            Self::MaskWithoutImage { .. }
            | Self::AllImagesSkipped { .. }
            | Self::InvalidOption { .. } => None,
        }
    }

    /// The operating system's kind of error, if it refused a file or folder; of several errors that
    /// of the first.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Self::FolderNotFound { .. } => Some(std::io::ErrorKind::NotFound),
            Self::Io { error, .. } => Some(error.kind()),
            Self::Write { source, .. } => Some(source.kind()),
            Self::UnreadableImage { refused, .. } => *refused,
            Self::Multiple { problems } => problems.first()?.io_error_kind(),
            _ => None,
        }
    }

    /// True if the error is about one image, so that training can go on without that image.
    #[must_use]
    pub fn is_bad_image(&self) -> bool {
        matches!(
            self,
            Self::UnreadableImage { .. } | Self::ImageChanged { .. } | Self::ImageTooSmall { .. }
        )
    }

    /// True if the error is about the contents of a cache file, so that training can go on once the
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

    /// The errors that this one lists, or itself.
    #[must_use]
    pub fn into_parts(self) -> Vec<Self> {
        match self {
            Self::Multiple { problems } => problems,
            error => vec![error],
        }
    }

    /// One error for all of these; `None` if there are none.
    pub(crate) fn from_all(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 | 1 => problems.pop(),
            _ => Some(Self::Multiple { problems }),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            error,
        }
    }

    /// Creates the error for a failed write of `path`, for `map_err`.
    pub(crate) fn write(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Write {
            path: path.into(),
            action,
            source,
        }
    }

    pub(crate) fn unreadable_image(path: &Path, reason: String) -> Self {
        Self::UnreadableImage {
            path: path.into(),
            reason,
            refused: None,
        }
    }

    /// Turns the refusal to read an image file into that of an unreadable image.
    pub(crate) fn for_image(self) -> Self {
        match self {
            Self::Io { path, error } => Self::UnreadableImage {
                path,
                reason: error.to_string(),
                refused: Some(error.kind()),
            },
            other => other,
        }
    }
}
