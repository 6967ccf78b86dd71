//! Crops of a resized image.

use crate::size::Size;

/// The part of a resized image that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Columns cut at the left.
    pub left: u32,
    /// Rows cut at the top.
    pub top: u32,
    /// Size of the part.
    pub size: Size,
}
