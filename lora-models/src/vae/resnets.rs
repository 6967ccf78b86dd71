//! The resnets of one level of the VAE.

use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

/// Epsilon of the VAE's group norms.
pub(super) const GROUP_NORM_EPS: f64 = 1e-6;

/// The resnets of a level of the encoder or decoder. `channels` is the current width.
pub(super) fn resnets(
    weights: &Weights,
    channels: &mut usize,
    groups: usize,
) -> Vec<ResnetBlock2D> {
    let mut resnets = Vec::new();
    for index in 0..weights.count("resnets") {
        let weights = weights.at("resnets").at(index);
        let resnet = resnet(&weights, *channels, groups);
        *channels = resnet.out_channels();
        resnets.push(resnet);
    }
    resnets
}

/// A resnet without time embedding.
pub(super) fn resnet(weights: &Weights, channels: usize, groups: usize) -> ResnetBlock2D {
    ResnetBlock2D::new(weights, channels, None, groups, GROUP_NORM_EPS)
}
