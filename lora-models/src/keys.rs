//! Spellings of a checkpoint's keys: paths in diffusers' spelling to keys of a file, and back.

mod open_clip;
mod paths;
mod spelling;
mod unet;
mod vae;

pub(crate) use paths::{file_key, keys_by_path};
pub(crate) use spelling::{Dialect, Network, OpenClip, Part, Spelling, Stored};
pub(crate) use unet::unet_to_ldm;
