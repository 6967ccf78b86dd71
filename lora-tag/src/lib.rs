//! Captions for training images: taggers that write them, and tools that edit them.
#![forbid(unsafe_code)]

pub mod captions;
mod category;
#[cfg(feature = "tagger")]
mod compose;
mod error;
#[cfg(feature = "tagger")]
mod folder;
mod kind;
#[cfg(feature = "tagger")]
mod options;
#[cfg(feature = "tagger")]
mod replacement;
mod scores;
#[cfg(feature = "tagger")]
mod spelling;
#[cfg(feature = "tagger")]
mod tagger;

pub use self::captions::Captions;
pub use self::category::Category;
pub use self::error::{Error, Result};
#[cfg(feature = "tagger")]
pub use self::folder::{
    FolderOptions, FolderPlan, FolderTagger, OnConflict, Output, ScoreSource, TagEvent, TaggedImage,
};
pub use self::kind::TaggerKind;
#[cfg(feature = "tagger")]
pub use self::options::{EMOTICONS, Position, Style, TagOptions, Underscores};
#[cfg(feature = "tagger")]
pub use self::replacement::Replacements;
pub use self::scores::{LEAST_KEPT, Score, Scores};
#[cfg(feature = "hub")]
pub use self::tagger::hub::{DownloadProgress, Hub};
#[cfg(feature = "tagger")]
pub use self::tagger::{ModelPlaces, Runtime, Tagger, TaggerInput, TaggerOptions};
