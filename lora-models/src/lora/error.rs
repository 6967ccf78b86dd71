//! Errors of targets, learning rates and LoRA files.

use lora_core::adapter;

/// Why adapters can't be made or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pattern of layers that matches no possible target.
    #[error(
        "`{option}`: the pattern `{pattern}` matches no layer that is a target of the adapters"
    )]
    Pattern {
        /// `include` or `exclude`.
        option: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// A list that has not one entry for each block of the UNet.
    #[error("`{option}` has {found} entries, expected {expected}, one for each block of the UNet")]
    BlockCount {
        /// The option of sd-scripts.
        option: &'static str,
        /// The number of entries.
        found: usize,
        /// The number of blocks.
        expected: usize,
    },
    /// A negative or infinite weight of a block's learning rate.
    #[error("the learning-rate weight of block {block} is {found}, expected a number ≥ 0")]
    BlockWeight {
        /// The block.
        block: usize,
        /// The weight.
        found: f64,
    },
    /// Adapters that can't be made, or a file that does not fit them.
    #[error(transparent)]
    Adapter(#[from] adapter::Error),
}
