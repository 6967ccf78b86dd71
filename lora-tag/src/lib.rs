//! Captions for training images: taggers that write them, and tools that edit them.
//!
//! ```text
//! image ──▶ Tagger ──▶ Scores ──▶ TagOptions ──▶ caption file ──▶ Captions ──▶ caption file
//!           model.onnx  probability  thresholds,                    filters,     and History
//!           and labels  of each tag  order, spelling                edits
//! ```
//!
//! A [`Tagger`] is a WD or CL tagger in ONNX. Its [`Scores`] become a caption by [`TagOptions`],
//! which have the rules of SD-Trainer's tagger page or of sd-scripts' tagger ([`Style`]).
//! [`FolderTagger`] does this for a folder of images and decodes them ahead. [`Captions`] reads the
//! captions of a folder for figures and edits; every change can be undone ([`captions`]).
//!
//! This crate does not depend on burn. The feature `tagger` (on by default) has taggers, run by
//! rten; `ort` runs them with a libonnxruntime of the user, and `hub` downloads them.
//!
//! # Layers
//!
//! Files use only files further to the left:
//!
//! ```text
//! error ◀── category, images, kind ◀── replacement, scores ◀── options ◀── spelling, tagger ◀── compose
//!       ◀── captions                                                              ◀── folder
//! ```
//!
//! # Example
//!
#![cfg_attr(feature = "tagger", doc = "```no_run")]
#![cfg_attr(not(feature = "tagger"), doc = "```ignore")]
//! use lora_tag::{FolderOptions, FolderTagger, ModelPlaces, ScoreSource, TagEvent, Tagger};
//! use lora_tag::{TagOptions, TaggerOptions};
//!
//! # fn main() -> lora_tag::Result<()> {
//! let model = ModelPlaces::from_env().find("wd-vit-v3")?;
//! let tagger = Tagger::open(model, &TaggerOptions::default())?;
//! let options = FolderOptions {
//!     tags: TagOptions {
//!         threshold: 0.4,
//!         additional_tags: vec!["mycat".into()],
//!         ..TagOptions::default()
//!     },
//!     ..FolderOptions::default()
//! };
//! let source = ScoreSource::Tagger(tagger.into());
//! let mut run = FolderTagger::new("images/10_mycat".as_ref(), source, options)?;
//! for event in &mut run {
//!     match event? {
//!         TagEvent::Tagged(image) => println!("{}: {}", image.image.display(), image.caption),
//!         TagEvent::Failed { error, .. } => eprintln!("{error}"),
//!         _ => {}
//!     }
//! }
//! run.finish()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod captions;
mod category;
#[cfg(feature = "tagger")]
mod compose;
mod error;
#[cfg(feature = "tagger")]
mod folder;
mod images;
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
    FolderJob, FolderOptions, FolderPlan, FolderTagger, OnConflict, Output, ScoreSource, TagEvent,
    TaggedImage,
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
pub use self::tagger::{ModelPlaces, Runtime, Tagger, TaggerInput, TaggerOptions, default_tagger};
