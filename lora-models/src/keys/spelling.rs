//! How files spell the keys of a network.

pub(crate) use lora_core::layers::Network;

/// How a file spells the keys of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As single-file checkpoints do; text encoders as in the transformers library.
    Ldm,
    /// A text encoder as OpenCLIP spells it.
    OpenClip(OpenClip),
    /// As diffusers and transformers do, old and new names alike.
    Diffusers,
}

/// The prefix and the spelling of a network's keys in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spelling {
    pub(crate) prefix: &'static str,
    pub(crate) dialect: Dialect,
}

/// A part of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Whole,
    /// Of three equal ones along the first axis.
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

/// The part of an OpenCLIP text encoder that a family uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenClip {
    /// All layers but the last, whose states SD 2.x does not use, and no projection.
    WithoutLast,
    /// All layers, and the projection P of which x P is taken.
    Projected,
    /// As `Projected`, with x Pᵀ instead of x P, as sd-scripts reads a single file.
    ProjectedTransposed,
}
