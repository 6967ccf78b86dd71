//! Facts about base, images and length that rules depend on.

use lora_core::diffusion::PredictionType;
use lora_data::{Alpha, DataConfig, ImageSource, Source};
use lora_models::{Checkpoint, Family};

/// Facts about the base checkpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BaseFacts {
    pub(crate) family: Family,
    /// The prediction type that the checkpoint itself declares.
    pub(crate) declared_prediction_type: Option<PredictionType>,
    /// The prediction type as configured, else as declared.
    pub(crate) prediction_type: Option<PredictionType>,
    /// True if the base was trained with zero terminal SNR.
    pub(crate) zero_terminal_snr: bool,
    /// The scaling factor that the VAE declares, if it is not that of the family.
    pub(crate) other_scaling_factor: Option<f64>,
}

impl BaseFacts {
    pub(crate) fn new(checkpoint: &Checkpoint) -> Self {
        Self {
            family: checkpoint.family(),
            declared_prediction_type: checkpoint.declared_prediction_type(),
            prediction_type: checkpoint.prediction_type(),
            zero_terminal_snr: checkpoint.zero_terminal_snr(),
            other_scaling_factor: checkpoint.vae_scaling_factor_mismatch(),
        }
    }
}

/// Facts about the images and captions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataFacts {
    /// True if no augmentation changes the images on every use.
    pub(crate) allows_cached_latents: bool,
    /// True if nothing changes the captions on every use.
    pub(crate) has_fixed_captions: bool,
    /// True if a program gives images that are not in files.
    pub(crate) has_images_in_memory: bool,
    /// True if there is a folder of masks.
    pub(crate) has_mask_folder: bool,
    /// True if transparency is a loss mask.
    pub(crate) has_alpha_masks: bool,
}

impl DataFacts {
    pub(crate) fn new(data: &DataConfig) -> Self {
        let subsets = || data.datasets.iter().flat_map(|dataset| &dataset.subsets);
        Self {
            allows_cached_latents: subsets()
                .all(|subset| subset.augmentation.allows_cached_latents()),
            has_fixed_captions: subsets().all(|subset| subset.captions.is_fixed()),
            has_images_in_memory: subsets().any(|subset| has_images_in_memory(&subset.source)),
            has_mask_folder: subsets().any(|subset| subset.conditioning_data_dir.is_some()),
            has_alpha_masks: subsets().any(|subset| subset.alpha == Alpha::Mask),
        }
    }
}

fn has_images_in_memory(source: &Source) -> bool {
    let Source::Images { images, .. } = source else {
        return false;
    };
    images
        .iter()
        .any(|image| matches!(image.image, ImageSource::Memory(_)))
}

/// Facts about the length of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LengthFacts {
    pub(crate) epochs: u64,
    pub(crate) total_steps: u64,
}
