//! What is at fault.

use std::path::Path;

use super::Error;

impl Error {
    /// The file or folder at fault, where there is one; of several errors that of the first.
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
            Self::Several { problems } => problems.first()?.path(),
            Self::MaskWithoutImage { .. }
            | Self::AllImagesSkipped { .. }
            | Self::InvalidOption { .. } => None,
        }
    }

    /// How the system refused a file or folder, where that is what went wrong; of several errors,
    /// the first.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Self::FolderNotFound { .. } => Some(std::io::ErrorKind::NotFound),
            Self::Io { error, .. } => Some(error.kind()),
            Self::UnreadableImage { refused, .. } => *refused,
            Self::Several { problems } => problems.first()?.io_error_kind(),
            _ => None,
        }
    }
}
