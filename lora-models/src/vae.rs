//! The autoencoder (VAE) between images and latents.

mod decoder;
mod encoder;
mod mid_block;
mod resnets;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::Conv2d;
use lora_core::ops::ConvShape;

use self::decoder::Decoder;
use self::encoder::Encoder;
use crate::family::Family;
use crate::model_config::VaeConfig;
use crate::weights::Weights;

/// Pixels per latent along each axis: three of the four levels halve the resolution.
pub const SCALE_FACTOR: usize = 8;

/// The VAE, with diffusers' names.
#[derive(Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
    decoder: Decoder,
    scaling_factor: f64,
    latent_channels: usize,
}

/// A Gaussian distribution over latents with independent elements.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Means. `[b, 4, h, w]`
    pub mean: Tensor<4>,
    /// Logarithms of the variances, clamped to -30..20. `[b, 4, h, w]`
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// Standard deviations. `[b, 4, h, w]`
    #[must_use]
    pub fn std(&self) -> Tensor<4> {
        (self.logvar.clone() * 0.5).exp()
    }

    /// mean + std · noise. `[b, 4, h, w]`
    #[must_use]
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + self.std() * noise
    }
}

impl AutoencoderKl {
    /// Builds the network from its tensors.
    #[must_use]
    pub fn new(weights: &Weights, config: &VaeConfig, family: Family) -> Self {
        let groups = config.norm_num_groups.unwrap_or(32);
        let moments = weights.width(&[
            ("quant_conv.weight", 0),
            ("quant_conv.weight", 1),
            ("quant_conv.bias", 0),
        ]);
        let latent_channels = weights.width(&[
            ("post_quant_conv.weight", 0),
            ("post_quant_conv.weight", 1),
            ("post_quant_conv.bias", 0),
        ]);
        if moments != 2 * latent_channels {
            weights.problem(format!(
                "the VAE's encoder has {moments} output channels, expected twice the decoder's \
                 {latent_channels} input channels"
            ));
        }
        Self {
            encoder: Encoder::new(&weights.at("encoder"), moments, groups),
            quant_conv: weights.conv2d("quant_conv", moments, moments, ConvShape::POINTWISE),
            post_quant_conv: weights.conv2d(
                "post_quant_conv",
                latent_channels,
                latent_channels,
                ConvShape::POINTWISE,
            ),
            decoder: Decoder::new(&weights.at("decoder"), latent_channels, groups),
            scaling_factor: config.scaling_factor.unwrap_or(family.scaling_factor()),
            latent_channels,
        }
    }

    /// Channels of the latents.
    #[must_use]
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }

    /// The factor from encoded values to the latents that the UNet takes.
    #[must_use]
    pub fn scaling_factor(&self) -> f64 {
        self.scaling_factor
    }

    /// The encoder's raw output: means, then logarithms of the variances.
    ///
    /// # Shapes
    /// - image: `[b, 3, 8 h, 8 w]` in -1..1
    /// - result: `[b, 8, h, w]`
    #[must_use]
    pub fn moments(&self, image: Tensor<4>) -> Tensor<4> {
        let cx = ForwardContext::base();
        self.quant_conv
            .forward(self.encoder.forward(image, &cx), &cx)
    }

    /// Encodes images to the distribution of their latents, not scaled.
    ///
    /// # Shapes
    /// - image: `[b, 3, 8 h, 8 w]` in -1..1
    #[must_use]
    pub fn encode(&self, image: Tensor<4>) -> Posterior {
        let moments = self.moments(image);
        let [b, _, h, w] = moments.dims();
        let c = self.latent_channels;
        let mean = moments.clone().slice([0..b, 0..c, 0..h, 0..w]);
        let logvar = moments
            .slice([0..b, c..2 * c, 0..h, 0..w])
            .clamp(-30.0, 20.0);
        Posterior { mean, logvar }
    }

    /// Decodes latents, not scaled, to images.
    ///
    /// # Shapes
    /// - latents: `[b, 4, h, w]`
    /// - result: `[b, 3, 8 h, 8 w]`, about -1..1, not clamped
    #[must_use]
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let cx = ForwardContext::base();
        self.decoder
            .forward(self.post_quant_conv.forward(latents, &cx), &cx)
    }
}
