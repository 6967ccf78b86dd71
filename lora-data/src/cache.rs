//! What the VAE and the text encoders make of images and captions, kept on disk in sd-scripts'
//! files.
//!
//! ```text
//! a.png ──▶ a_0512x0768_sdxl.npz   latents, latents_flipped, alpha_mask, original_size, crop_ltrb
//! a.txt ──▶ a_te_outputs.npz       hidden_state1, hidden_state2, pool2
//!           .lora-trainer-cache.jsonl   what each file of the folder was made from
//! ```
//!
//! sd-scripts uses any file whose arrays are there, even where the image has changed since.
//! [`CacheRecords`] keep what a file was made from; a file without a record is one to be read,
//! which checks its arrays.
//!
//! ```
//! use lora_data::Size;
//! use lora_data::cache::{CachedLatents, WantedLatents};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("a_0096x0064_sd.npz");
//! let size = Size::new(12, 8);
//! let latents = CachedLatents {
//!     size,
//!     latents: vec![0.5; 4 * 8 * 12],
//!     flipped: None,
//!     alpha_mask: None,
//!     original_size: Size::new(96, 64),
//!     crop_ltrb: [0.0, 0.0, 96.0, 64.0],
//! };
//! latents.write(std::fs::File::create(&path)?)?;
//!
//! let wanted = WantedLatents { size, flipped: false, alpha_mask: None };
//! assert_eq!(CachedLatents::read(&path, &wanted)?, latents);
//!
//! let mirrored = CachedLatents::read(&path, &WantedLatents { flipped: true, ..wanted });
//! assert!(mirrored.is_err_and(|error| error.is_bad_cache()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod latents;
mod names;
mod npy;
mod npz;
mod record;
mod text;

pub use self::latents::{CachedLatents, LatentsSample, OtherLatents, WantedLatents};
pub use self::names::{
    LatentsFamily, LatentsName, latents_candidates, latents_path, parse_latents_path, text_path,
};
pub use self::record::{CacheRecords, Kept, Origin, Seen, StaleReason, Validity, is_newer_than};
pub use self::text::{CachedText, FloatFormat, TextShape};
