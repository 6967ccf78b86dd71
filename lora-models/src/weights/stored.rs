//! A tensor of a weight file, or a part of one.

/// The part of a stored tensor that makes up one tensor of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The whole tensor.
    Whole,
    /// One of three equal parts along the first axis.
    Third(usize),
    /// A matrix, transposed.
    Transposed,
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) part: Part,
}
