//! What a user should know of a data set, though it can be trained.

use std::fmt;
use std::path::PathBuf;

/// Something in a folder that takes no part in training, or may not be meant.
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
    /// Images beside the folders named `N_name`, which are used.
    BesideNamedFolders {
        /// The folder that holds both.
        path: PathBuf,
        /// How many images lie directly in it.
        images: usize,
    },
    /// A folder within a folder of which only the images directly in it are used.
    Nested {
        /// The inner folder.
        path: PathBuf,
    },
    /// A link to a folder that was listed already.
    Loop {
        /// The link.
        path: PathBuf,
    },
    /// Images of a format that cannot be decoded.
    UnknownFormat(Several),
    /// Caption files without an image of that name.
    CaptionWithoutImage(Several),
    /// Images whose names differ in the extension only, so that they share a caption file.
    SharedStem(Several),
    /// Images without any caption: they are trained on an empty one.
    NoCaption(Several),
    /// A folder where the sizes of its images cannot be kept (`cache_info`).
    NothingKept {
        /// The folder.
        path: PathBuf,
    },
    /// Regularisation images beyond the number of training images.
    RegularisationLeftOut(Several),
}

/// How many files, with the first of them for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several {
    /// The first, by name.
    pub first: PathBuf,
    /// How many there are.
    pub count: usize,
}

impl Several {
    /// Counts these files; `None` where there are none.
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Option<Self> {
        let mut paths = paths.into_iter();
        let first = paths.next()?;
        Some(Self {
            first,
            count: 1 + paths.count(),
        })
    }
}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.first.display())?;
        match self.count {
            1 => Ok(()),
            count => write!(f, " and {} more", count - 1),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNamed { path } => {
                write!(
                    f,
                    "`{}` is not used: its name is not of the form N_name",
                    path.display()
                )
            }
            Self::ZeroRepeats { path } => write!(
                f,
                "`{}` is not used: its number of repeats is 0",
                path.display()
            ),
            Self::Empty { path } => {
                write!(f, "`{}` is not used: it holds no images", path.display())
            }
            Self::BesideNamedFolders { path, images } => {
                let path = path.display();
                write!(
                    f,
                    "{images} images directly in `{path}` are not used: its folders named \
                     N_name are"
                )
            }
            Self::Nested { path } => {
                write!(
                    f,
                    "`{}` is not used: only the images beside it are (`recursive = true` takes \
                     both)",
                    path.display()
                )
            }
            Self::Loop { path } => {
                write!(
                    f,
                    "`{}` is not used: it leads to a folder that was listed before",
                    path.display()
                )
            }
            Self::UnknownFormat(files) => write!(
                f,
                "not used, since this program cannot decode the format: {files}"
            ),
            Self::CaptionWithoutImage(files) => write!(f, "caption without an image: {files}"),
            Self::SharedStem(files) => {
                write!(
                    f,
                    "another image has the same name but for the extension, and the same caption \
                     file: {files}"
                )
            }
            Self::NoCaption(files) => {
                write!(
                    f,
                    "no caption file and no class words, trained on an empty caption: {files}"
                )
            }
            Self::NothingKept { path } => {
                write!(
                    f,
                    "`{}` cannot be written to: the sizes of its images are read anew each time",
                    path.display()
                )
            }
            Self::RegularisationLeftOut(files) => {
                write!(
                    f,
                    "not used, since there are as many regularisation as training images without \
                     them: {files}"
                )
            }
        }
    }
}
