//! Progress of filling a cache.

/// How an image or caption was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// It was encoded.
    Encoded,
    /// A file of an earlier run is used.
    Reused,
}
