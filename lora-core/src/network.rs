//! The networks of a base model, and the layers that adapters attach to.

use std::fmt;
use std::sync::Arc;

use crate::ops::ConvShape;

/// A network of a base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The UNet.
    Unet,
    /// The VAE, which never gets adapters.
    Vae,
    /// A text encoder, by its number from 0.
    TextEncoder(usize),
}

/// A [`Network`] without a text encoder's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkKind {
    /// The UNet.
    Unet,
    /// The VAE.
    Vae,
    /// Any text encoder.
    TextEncoder,
}

impl Network {
    /// The network of this name, as diffusers names the folders of a pipeline: `unet`, `vae`,
    /// `text_encoder`, `text_encoder_2`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "unet" => Some(Self::Unet),
            "vae" => Some(Self::Vae),
            "text_encoder" => Some(Self::TextEncoder(0)),
            _ => {
                let number: usize = name.strip_prefix("text_encoder_")?.parse().ok()?;
                (number > 1).then(|| Self::TextEncoder(number - 1))
            }
        }
    }

    /// The name in messages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Unet => "UNet",
            Self::Vae => "VAE",
            Self::TextEncoder(0) => "text encoder",
            Self::TextEncoder(1) => "second text encoder",
            Self::TextEncoder(_) => "further text encoder",
        }
    }

    /// The kind of network.
    #[must_use]
    pub fn kind(self) -> NetworkKind {
        match self {
            Self::Unet => NetworkKind::Unet,
            Self::Vae => NetworkKind::Vae,
            Self::TextEncoder(_) => NetworkKind::TextEncoder,
        }
    }
}

impl fmt::Display for Network {
    /// The name of [`from_name`](Self::from_name).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unet => f.write_str("unet"),
            Self::Vae => f.write_str("vae"),
            Self::TextEncoder(0) => f.write_str("text_encoder"),
            Self::TextEncoder(index) => write!(f, "text_encoder_{}", index + 1),
        }
    }
}

/// A layer's network and its path there, in diffusers' spelling.
///
/// As text, the network's name comes first: `unet.mid_block.attentions.0.proj_in`,
/// `text_encoder.text_model.encoder.layers.0.mlp.fc1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayerPath {
    network: Network,
    path: Arc<str>,
}

impl LayerPath {
    /// The layer at `path` of `network`, such as `mid_block.attentions.0.proj_in` of the UNet.
    #[must_use]
    pub fn new(network: Network, path: impl Into<Arc<str>>) -> Self {
        Self {
            network,
            path: path.into(),
        }
    }

    /// The layer of this text. None if it does not begin with the name of a network.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (network, path) = text.split_once('.')?;
        Some(Self::new(Network::from_name(network)?, path))
    }

    /// The network that the layer is part of.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The path in the network.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.network, self.path)
    }
}

/// A layer that an adapter can attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    /// Its network and path.
    pub path: LayerPath,
    /// The kind of layer.
    pub kind: LayerKind,
    /// Input features or channels.
    pub inputs: usize,
    /// Output features or channels.
    pub outputs: usize,
}

/// The kinds of layers that adapters attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// y = x Wᵀ + b.
    Linear,
    /// A convolution.
    Conv2d(ConvShape),
}

impl LayerKind {
    /// Height and width of the kernel; 1 for a linear layer.
    #[must_use]
    pub fn kernel(self) -> usize {
        match self {
            Self::Linear => 1,
            Self::Conv2d(shape) => shape.kernel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_text() {
        for (text, network, path) in [
            ("unet.conv_in", Network::Unet, "conv_in"),
            ("vae.encoder.conv_in", Network::Vae, "encoder.conv_in"),
            ("text_encoder.x.y", Network::TextEncoder(0), "x.y"),
            ("text_encoder_2.x", Network::TextEncoder(1), "x"),
        ] {
            let parsed = LayerPath::parse(text).expect("a path");
            assert_eq!(parsed, LayerPath::new(network, path));
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "unet",
            "other.conv_in",
            "text_encoder_1.x",
            "text_encoder_x.y",
        ] {
            assert_eq!(LayerPath::parse(text), None, "{text}");
        }
    }
}
