//! The families of Stable Diffusion.

use std::fmt;

use crate::hidden_act::HiddenAct;
use crate::lora::Naming;

/// A family of base models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Stable Diffusion 1.x: CLIP-L.
    Sd1,
    /// Stable Diffusion 2.x: OpenCLIP-H.
    Sd2,
    /// SDXL: CLIP-L and OpenCLIP bigG; the UNet also takes a pooled caption embedding and time ids.
    Sdxl,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 3] = [Self::Sd1, Self::Sd2, Self::Sdxl];

    /// The name on the command line and in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd1 => "sd15",
            Self::Sd2 => "sd2",
            Self::Sdxl => "sdxl",
        }
    }

    /// The factor from encoded values to latents.
    #[must_use]
    pub fn scaling_factor(self) -> f64 {
        match self {
            Self::Sd1 | Self::Sd2 => 0.18215,
            Self::Sdxl => 0.13025,
        }
    }

    /// The naming of adapters in this family's LoRA files.
    #[must_use]
    pub fn lora_naming(self) -> Naming {
        match self {
            Self::Sd1 | Self::Sd2 => Naming::Sd,
            Self::Sdxl => Naming::Sdxl,
        }
    }

    /// Attention heads of a level with this many channels: always 8 in SD 1.x, one per 64 channels
    /// in later families.
    pub(crate) fn heads(self, channels: usize) -> usize {
        match self {
            Self::Sd1 => 8,
            Self::Sd2 | Self::Sdxl => (channels / 64).max(1),
        }
    }

    /// The activations of the first and the second text encoder.
    pub(crate) fn hidden_acts(self) -> [HiddenAct; 2] {
        match self {
            Self::Sd1 | Self::Sdxl => [HiddenAct::QuickGelu, HiddenAct::Gelu],
            Self::Sd2 => [HiddenAct::Gelu, HiddenAct::Gelu],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "Stable Diffusion 1.x",
            Self::Sd2 => "Stable Diffusion 2.x",
            Self::Sdxl => "SDXL",
        })
    }
}
