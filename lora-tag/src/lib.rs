//! Captions for training images: taggers that write them, and tools that edit them.
#![forbid(unsafe_code)]

pub mod captions;
mod error;

pub use self::captions::Captions;
pub use self::error::{Error, Result};
