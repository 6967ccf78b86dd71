//! Tools for the captions of a folder of images: filters, edits, figures, and a history that undoes
//! every change.
//!
//! ```
//! use lora_tag::captions::{Captions, CaptionsOptions, Edit, Filter, History, Position};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let folder = dir.path();
//! # image::RgbImage::new(8, 8).save(folder.join("a.png"))?;
//! # std::fs::write(folder.join("a.txt"), "1girl, smile")?;
//! let captions = Captions::open(folder, &CaptionsOptions::default())?;
//! let filter = Filter {
//!     with: vec!["smile".into()],
//!     ..Filter::default()
//! };
//! let add = Edit::Add {
//!     tags: vec!["my character".into()],
//!     position: Position::First,
//! };
//! let plan = captions.plan(&captions.select(&filter)?, &add, &|text| text.len() / 4)?;
//! plan.apply(&History::open(folder)?, "add \"my character\" --first")?;
//! # assert_eq!(std::fs::read_to_string(folder.join("a.txt"))?, "my character, 1girl, smile");
//!
//! History::open(folder)?.undo()?;
//! # assert_eq!(std::fs::read_to_string(folder.join("a.txt"))?, "1girl, smile");
//! # Ok(())
//! # }
//! ```
//!
//! # Layers
//!
//! Files use only files further to the left:
//!
//! ```text
//! pattern, caption_text, respelling ◀── edit, folder ◀── filter, plan, stats, relocation
//! caption_text ◀── difference
//! journal, files, fault, stop ◀── links ◀── change, undo ◀── history ◀── plan, relocation
//! plan ◀── editor, metadata
//! real_path ◀── links, metadata, relocation
//! ```

mod caption_text;
mod difference;
mod edit;
mod editor;
mod filter;
mod folder;
mod history;
mod metadata;
mod pattern;
mod plan;
mod real_path;
mod relocation;
mod respelling;
mod stats;

pub use self::caption_text::CaptionText;
pub use self::difference::{Piece, PieceKind, difference};
pub use self::edit::{Edit, Position, Replacement, Scope, SortBy, TokenCounter};
pub use self::editor::edit_in_editor;
pub use self::filter::Filter;
pub use self::folder::{Captions, CaptionsOptions, Entry};
pub use self::history::change::Change;
pub use self::history::undo::{KeptFile, Undone};
pub use self::history::{History, HistoryEntry};
pub use self::metadata::{Import, MetadataField, export_metadata};
pub use self::plan::{Plan, PlannedCaption};
pub use self::relocation::{Relocation, RelocationFiles};
pub use self::respelling::UnknownTag;
pub use self::stats::{LongCaptions, RepeatedTags, Stats, TagCount, TokenStats};
