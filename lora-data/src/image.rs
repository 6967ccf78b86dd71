//! Image files to RGB pixels, as Pillow's `Image.convert("RGB")` gives them, and their way to the
//! size of a bucket.

pub(crate) mod augment;
mod convert;
pub(crate) mod decode;
pub(crate) mod header;
mod jpeg;
pub(crate) mod mask;
pub(crate) mod options;
pub(crate) mod raster;
pub mod resize;
