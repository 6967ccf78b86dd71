//! Warnings about a dataset that can be trained all the same.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::count::count;

/// Something in a folder that is not used for training or may be a mistake.
///
/// Displayed as one line without a prefix; serialized as that text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A folder whose name is not of the form `N_name`.
    NotNamed {
        /// The folder.
        path: PathBuf,
    },
    /// A folder whose number of repeats is 0.
    ZeroRepeats {
        /// The folder.
        path: PathBuf,
    },
    /// A folder named `N_name` without images.
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Images next to folders named `N_name`: only those folders are used.
    LooseImages {
        /// The folder that contains both.
        path: PathBuf,
        /// The number of images directly in it.
        images: usize,
    },
    /// A folder inside a folder that is not searched recursively.
    Nested {
        /// The inner folder.
        path: PathBuf,
    },
    /// A link to a folder that was already listed.
    Loop {
        /// The link.
        path: PathBuf,
    },
    /// Images in formats that cannot be decoded.
    UnknownFormat(FileSummary),
    /// Caption files without an image of the same name.
    CaptionWithoutImage(FileSummary),
    /// Images whose names differ only in the extension, so that they share a caption file.
    SharedStem(FileSummary),
    /// Images without any caption: they are trained with an empty one.
    NoCaption(FileSummary),
    /// A folder in which the file of image sizes cannot be written (`cache_info`).
    SizesNotSaved {
        /// The folder.
        path: PathBuf,
    },
    /// Regularisation images beyond the number of training images.
    UnusedRegularisation(FileSummary),
}

/// A number of files, with the path of the first one for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// The first file by name.
    pub first: PathBuf,
    /// The number of files.
    pub count: usize,
}

impl FileSummary {
    /// Counts these files; `None` if there are none.
    pub(crate) fn from_paths(paths: impl IntoIterator<Item = PathBuf>) -> Option<Self> {
        let mut paths = paths.into_iter();
        let first = paths.next()?;
        Some(Self {
            first,
            count: 1 + paths.count(),
        })
    }
}

impl fmt::Display for FileSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.first.display())?;
        match self.count {
            1 => Ok(()),
            count => write!(f, " and {} more", count - 1),
        }
    }
}

impl Notice {
    /// The folder that is not used, with the reason.
    fn ignored_folder(&self) -> Option<(&Path, &'static str)> {
        Some(match self {
            Self::NotNamed { path } => (path, "its name is not of the form `N_name`"),
            Self::ZeroRepeats { path } => (path, "its number of repeats is 0"),
            Self::Empty { path } => (path, "it contains no images"),
            Self::Nested { path } => (
                path,
                "subfolders are not searched (set `recursive = true` to include them)",
            ),
            Self::Loop { path } => (path, "it links to a folder that is already used"),
            _ => return None,
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((path, reason)) = self.ignored_folder() {
            return write!(f, "ignoring the folder `{}`: {reason}", path.display());
        }
        match self {
            Self::NotNamed { .. }
            | Self::ZeroRepeats { .. }
            | Self::Empty { .. }
            | Self::Nested { .. }
            | Self::Loop { .. } => Ok(()),
            Self::LooseImages { path, images } => write!(
                f,
                "ignoring {} directly in `{}`: only its `N_name` folders are used",
                count(*images, "image"),
                path.display()
            ),
            Self::UnknownFormat(files) => {
                write!(f, "ignoring images in an unsupported format: {files}")
            }
            Self::CaptionWithoutImage(files) => write!(f, "caption without an image: {files}"),
            Self::SharedStem(files) => write!(
                f,
                "images that differ only in extension share a caption file: {files}"
            ),
            Self::NoCaption(files) => write!(
                f,
                "no caption file and no class tokens; training with an empty caption: {files}"
            ),
            Self::SizesNotSaved { path } => write!(
                f,
                "cannot write to `{}`; the sizes of its images are read again in each run",
                path.display()
            ),
            Self::UnusedRegularisation(files) => write!(
                f,
                "ignoring regularisation images beyond the number of training images: {files}"
            ),
        }
    }
}

impl Serialize for Notice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_sentences() {
        let path = PathBuf::from("data/x");
        let files = FileSummary::from_paths(["a.png".into(), "b.png".into(), "c.png".into()]);
        for (notice, text) in [
            (
                Notice::LooseImages {
                    path: path.clone(),
                    images: 1,
                },
                "ignoring 1 image directly in `data/x`: only its `N_name` folders are used",
            ),
            (
                Notice::ZeroRepeats { path },
                "ignoring the folder `data/x`: its number of repeats is 0",
            ),
            (
                Notice::SharedStem(FileSummary::from_paths(["a.png".into()]).unwrap()),
                "images that differ only in extension share a caption file: `a.png`",
            ),
            (
                Notice::UnknownFormat(files.unwrap()),
                "ignoring images in an unsupported format: `a.png` and 2 more",
            ),
        ] {
            assert_eq!(notice.to_string(), text);
            assert_eq!(serde_json::to_value(&notice).unwrap(), text);
        }
        assert_eq!(FileSummary::from_paths([]), None);
    }
}
