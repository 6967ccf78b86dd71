//! The captions of a folder of images.

/// The captions of a folder of images.
#[derive(Debug)]
pub struct Captions {}
