//! The outcome of filling an entry of a cache.

/// The outcome for an image or caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillOutcome {
    /// It was encoded.
    Encoded,
    /// A file of an earlier run is used.
    Reused,
}
