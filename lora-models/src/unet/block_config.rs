//! The settings that all blocks of the UNet share.

/// Epsilon of the group norms in resnets and before the last convolution.
pub(super) const GROUP_NORM_EPS: f64 = 1e-5;

/// The settings of a block of one level.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockConfig {
    /// Width of the time embedding.
    pub(super) time_embed_dim: usize,
    /// Width of the encoder hidden states.
    pub(super) cross_attention_dim: usize,
    /// Groups of the group norms.
    pub(super) groups: usize,
    /// Attention heads.
    pub(super) heads: usize,
    /// True if the layers before and after the transformer blocks are linear layers, false if they
    /// are 1x1 convolutions. Both compute the same; only their adapters differ in shape.
    pub(super) use_linear_projection: bool,
    /// True if each resnet is followed by a transformer.
    pub(super) has_attention: bool,
}
