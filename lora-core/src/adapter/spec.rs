//! An adapter to be made.

use crate::network::LayerSpec;

/// A layer that gets an adapter, and the adapter's size and name.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSpec {
    /// The layer.
    pub layer: LayerSpec,
    /// Width of the bottleneck.
    pub rank: usize,
    /// The output is scaled by alpha / rank.
    pub alpha: f32,
    /// Its name in LoRA files: keys without their endings.
    pub name: String,
}
