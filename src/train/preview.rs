//! Images from prompts: previews of a run, and images without training.

pub(crate) mod generator;
pub(crate) mod pipeline;
