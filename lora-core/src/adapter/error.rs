//! What can be wrong with adapters and their files.

/// Why adapters can't be made or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No layer is a target.
    #[error("no layer of the model is a target of the adapters")]
    NoTargets,
    /// A LoRA file that does not fit the adapters; every misfit is listed.
    #[error("the LoRA does not fit: {}", .0.join("; "))]
    Misfit(Vec<String>),
}
