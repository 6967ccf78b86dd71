//! Latents and outputs of the text encoders in sd-scripts' cache files.
//!
//! ```text
//! a.png ──▶ a_0512x0768_sdxl.npz   latents, latents_flipped, alpha_mask, original_size, crop_ltrb
//! a.txt ──▶ a_te_outputs.npz       hidden_state1, hidden_state2, pool2
//!           .lora-trainer-cache.jsonl   the origin of each cache file in the folder
//! ```
//!
//! sd-scripts uses any file with the right arrays, even if the image has changed since.
//! [`CacheRecords`] record the origin of each file. A file without a record comes from another
//! program; reading it checks its arrays.
//!
//! ```
//! use lora_data::Size;
//! use lora_data::cache::{CachedLatents, LatentsRequest};
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
//! let request = LatentsRequest { size, flipped: false, alpha_mask: None };
//! assert_eq!(CachedLatents::read(&path, &request)?, latents);
//!
//! let mirrored = CachedLatents::read(&path, &LatentsRequest { flipped: true, ..request });
//! assert!(mirrored.is_err_and(|error| error.is_bad_cache()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod latents;
mod names;
mod npy;
mod npz;
mod record;
mod text;

pub use self::latents::{CachedLatents, LatentsFile, LatentsRequest, LatentsSample};
pub use self::names::{
    LatentsFamily, LatentsName, latents_candidates, latents_path, parse_latents_path, text_path,
};
pub use self::record::{
    CacheRecords, Origin, RetainedEntries, SourceFingerprint, StaleReason, Validity, is_newer_than,
};
pub use self::text::{CachedText, FloatFormat, TextShape};
