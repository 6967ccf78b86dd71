//! The error of this crate.

use std::path::{Path, PathBuf};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that names the file, tag or option at fault, the value found there and the value
/// expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder, image or caption that cannot be used, or a file that cannot be written.
    #[error(transparent)]
    Data(#[from] lora_data::Error),
    /// A file or folder that cannot be read or changed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, as a verb: `read`, `move`.
        action: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The list of a tagger's tags is damaged.
    #[error("{}: {reason}", path.display())]
    Labels {
        /// `selected_tags.csv` or `tag_mapping.json`.
        path: PathBuf,
        /// The line or entry at fault, and what is expected there.
        reason: String,
    },
    /// A file of scores is damaged.
    #[error("{}: not a file of `tag --scores`: {reason}", path.display())]
    Scores {
        /// The file.
        path: PathBuf,
        /// The entry at fault.
        reason: String,
    },
    /// A folder does not have the files of a tagger.
    #[error("{}: {reason}", path.display())]
    ModelFiles {
        /// The folder.
        path: PathBuf,
        /// What is missing or ambiguous.
        reason: String,
    },
    /// No tagger of this name or path.
    #[error(
        "{}\nsearched: {} ($LORA_TRAINER_MODELS names one more folder)\nPut the files of a tagger \
         into a folder of their own and name it with `--model`{}:{known}",
        no_tagger(name, *nearest, address.as_deref()), searched.join(", "), DOWNLOAD
    )]
    NoTagger {
        /// The name or path.
        name: String,
        /// A known tagger with a similar name.
        nearest: Option<&'static str>,
        /// The page of the tagger, if it is on the Hugging Face Hub.
        address: Option<String>,
        /// The places that were searched.
        searched: Vec<String>,
        /// SD-Trainer's taggers with their files and addresses, one per line.
        known: String,
    },
    /// A model that cannot be used as a tagger.
    #[error("{}: cannot be used as a tagger: {reason}", path.display())]
    Model {
        /// The `.onnx` file.
        path: PathBuf,
        /// What is wrong with it: damage, an unknown operator, an unexpected shape.
        reason: String,
    },
    /// A file that cannot be downloaded.
    #[error("{url}: {reason}")]
    Download {
        /// Its address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// Two images whose caption files, or files of scores, have the same name.
    #[error(
        "`{}` and `{}` would share the file `{}`; rename one of them",
        image.display(), other.display(), file.display()
    )]
    SharedCaption {
        /// The image.
        image: PathBuf,
        /// The other image.
        other: PathBuf,
        /// The file of both.
        file: PathBuf,
    },
    /// A file with all captions that cannot be read.
    #[error("{}: not a file of captions: {reason}", path.display())]
    CaptionList {
        /// The file.
        path: PathBuf,
        /// The line or entry at fault.
        reason: String,
    },
    /// The runtime of models cannot be used.
    #[error("onnxruntime: {reason}")]
    Runtime {
        /// The reason.
        reason: String,
    },
    /// An option has an unusable value.
    #[error("`{option}`: found {found}; expected {expected}")]
    Option {
        /// The option as on the command line, without dashes: `character-threshold`.
        option: &'static str,
        /// Its value.
        found: String,
        /// The allowed values.
        expected: String,
    },
    /// An option has a value that is not a regular expression or not a glob.
    #[error("`{option}`: found {found:?}; expected {expected}: {reason}")]
    Pattern {
        /// The option as on the command line, without dashes: `with-regex`.
        option: &'static str,
        /// Its value.
        found: String,
        /// `a regular expression` or `a glob`.
        expected: &'static str,
        /// The reason of the parser, with the position.
        reason: String,
    },
    /// A folder with images only in its subfolders, if at all.
    #[error(
        "{}: no images found, but {}; --recursive includes them",
        path.display(), lora_data::count(*subfolders, "subfolder")
    )]
    OnlySubfolders {
        /// The folder.
        path: PathBuf,
        /// The number of its subfolders.
        subfolders: usize,
    },
    /// A file name that no text file can record.
    #[error("{}: the name is not UTF-8; rename the file", path.display())]
    NameNotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The history of a folder has no command to undo.
    #[error("{}: nothing to undo", folder.display())]
    NothingToUndo {
        /// The folder.
        folder: PathBuf,
    },
    /// A journal of the history is damaged.
    #[error("{}: line {line}: {reason}; expected the record of a change", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The reason.
        reason: String,
    },
    /// A file or folder is not where it must be.
    #[error("{}: expected {expected} `{}`", path.display(), folder.display())]
    Place {
        /// The file or folder.
        path: PathBuf,
        /// Its expected relation to the folder: `an image in`, `a folder outside of`.
        expected: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// Files exist that would be overwritten.
    #[error("{}", existing_files(paths, advice))]
    Exists {
        /// The files, at least one.
        paths: Vec<PathBuf>,
        /// What the user can do: `--force overwrites it`.
        advice: &'static str,
    },
    /// A command was stopped before its end.
    #[error("stopped")]
    Stopped,
    /// No text editor is set.
    #[error("set VISUAL or EDITOR to the command of a text editor")]
    NoEditor,
    /// The text of a text editor cannot be used or written.
    #[error("{source}; {} is unchanged, and the edited copy is {}", path.display(), copy.display())]
    EditedText {
        /// The caption file.
        path: PathBuf,
        /// The file with the edited text.
        copy: PathBuf,
        /// The reason.
        source: Box<Error>,
    },
    /// An image has no file of scores.
    #[error(
        "{}: no such file; `lora-trainer tag --scores` writes the scores of tags next to each image",
        path.display()
    )]
    NoScores {
        /// The missing file.
        path: PathBuf,
    },
    /// The text editor cannot be started or reports a failure.
    #[error("editor `{command}`: {reason}; {} is unchanged", path.display())]
    Editor {
        /// The command.
        command: String,
        /// The reason of the system, or the exit code.
        reason: String,
        /// The caption file.
        path: PathBuf,
    },
}

/// The existing files, of many only the first, with the advice.
fn existing_files(paths: &[PathBuf], advice: &str) -> String {
    const MOST: usize = 20;
    let listed: Vec<String> = paths
        .iter()
        .take(MOST)
        .map(|path| path.display().to_string())
        .collect();
    match (&listed[..], paths.len().saturating_sub(MOST)) {
        ([path], 0) => format!("{path}: already exists; {advice}"),
        (_, 0) => format!(
            "{} already exist; {advice}\n  {}",
            lora_data::count(paths.len(), "file"),
            listed.join("\n  ")
        ),
        (_, more) => format!(
            "{} already exist; {advice}\n  {}\n  and {more} more",
            lora_data::count(paths.len(), "file"),
            listed.join("\n  ")
        ),
    }
}

/// Says that a tagger was not found.
fn no_tagger(name: &str, nearest: Option<&str>, address: Option<&str>) -> String {
    match (address, nearest) {
        (Some(address), _) => {
            format!("`{name}`: this tagger is not on this computer; it is at {address}")
        }
        (None, Some(nearest)) => format!("`{name}`: no such tagger; did you mean `{nearest}`?"),
        (None, None) => format!("`{name}`: no such file, folder or tagger"),
    }
}

/// The other way to get a tagger.
const DOWNLOAD: &str = if cfg!(feature = "hub") {
    ", or fetch one with `--download`"
} else {
    " (`--download` fetches one in a build with the feature `hub`)"
};

impl Error {
    /// The file or folder at fault, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Data(error) => error.path(),
            Self::Io { path, .. }
            | Self::Labels { path, .. }
            | Self::Scores { path, .. }
            | Self::ModelFiles { path, .. }
            | Self::CaptionList { path, .. }
            | Self::SharedCaption { image: path, .. }
            | Self::Model { path, .. }
            | Self::OnlySubfolders { path, .. }
            | Self::NameNotUtf8 { path }
            | Self::NothingToUndo { folder: path }
            | Self::Journal { path, .. }
            | Self::Place { path, .. }
            | Self::NoScores { path }
            | Self::Editor { path, .. }
            | Self::EditedText { path, .. } => Some(path),
            Self::Exists { paths, .. } => paths.first().map(PathBuf::as_path),
            Self::NoTagger { .. }
            | Self::Runtime { .. }
            | Self::Download { .. }
            | Self::Option { .. }
            | Self::Pattern { .. }
            | Self::Stopped
            | Self::NoEditor => None,
        }
    }

    /// The system's kind of error, if it refused a file or folder.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Self::Data(error) => error.io_error_kind(),
            Self::Io { source, .. } => Some(source.kind()),
            Self::EditedText { source, .. } => source.io_error_kind(),
            _ => None,
        }
    }

    /// Creates the error for a failed action on `path`, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.into(),
            action,
            source,
        }
    }
}
