//! What `compat = "sd-scripts"` brings back.

use lora_models::Family;

use super::{Compat, MixedPrecision, TrainConfig};

impl TrainConfig {
    /// What this run does as sd-scripts does although it is not what is meant, or not what others
    /// do; nothing without `compat = "sd-scripts"`. `base_is_zero_terminal` tells whether the base
    /// was trained with zero terminal SNR.
    pub fn reproduced(&self, family: Family, base_is_zero_terminal: bool) -> Vec<String> {
        if self.compat == Compat::None {
            return Vec::new();
        }
        let is_sdxl = family == Family::Sdxl;
        let captions = self.caption_prefix.is_some()
            || self.caption_suffix.is_some()
            || self.keep_tokens_separator.is_some();
        let defaults = self.resolution.is_none()
            || self.max_bucket_reso.is_none()
            || self.base_dtype.is_none();
        let is_frozen =
            !self.text_encoder_lr.is_empty() && self.text_encoder_learning_rates() == [0.0; 2];
        let latents = format!(
            "latents and noise are rounded to {} before they are mixed",
            self.mixed_precision
        );
        let all = [
            (
                true,
                "Exif rotation of images is ignored, 16-bit grey is clipped",
            ),
            (
                captions,
                "prefix and suffix stand around captions as a whole, keep_tokens_separator stays \
                 in unshuffled ones",
            ),
            (
                is_sdxl && defaults,
                "SDXL's defaults are those of SD 1.5 (resolution, max_bucket_reso, base_dtype)",
            ),
            (
                is_sdxl,
                "crop positions are those of the image fitted into its bucket",
            ),
            (
                is_sdxl,
                "the projection of the pooled caption of a single file is transposed",
            ),
            (self.mixed_precision != MixedPrecision::No, latents.as_str()),
            (
                self.ends_in_noise(base_is_zero_terminal) && self.weighs_by_snr(),
                "losses are weighted by the SNR before the schedule ends in noise",
            ),
            (
                self.cache_latents_to_disk,
                "latents are kept in files without the image's size in their name",
            ),
            (
                self.unet_lr == Some(0.0)
                    && self.trains_unet()
                    && self.text_encoder_learning_rates() != [0.0; 2],
                "the UNet gets adapters without learning rate, whose gradients add up in the norm",
            ),
            (
                is_frozen && self.trains_text_encoder(),
                "the text encoder gets adapters without learning rate, whose gradients add up in \
                 the norm",
            ),
            (
                !self.base_weights.is_empty() && self.conv_dim.is_none(),
                "after base_weights the linear layers and 1x1 convolutions of resnets are targets, \
                 too",
            ),
            (
                self.clip_skip == Some(0) && !is_sdxl,
                "clip_skip = 0 takes the embeddings through the final norm",
            ),
            (
                self.sample_prompts.is_some(),
                "previews use the training's noise schedule and clip_sample",
            ),
        ];
        all.into_iter()
            .filter(|(applies, _)| *applies)
            .map(|(_, text)| text.to_owned())
            .collect()
    }
}

impl TrainConfig {
    fn weighs_by_snr(&self) -> bool {
        self.min_snr().is_some()
            || self.scale_v_pred_loss_like_noise_pred
            || self.v_pred_like_loss.is_some()
            || self.debiased_estimation_loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_applies_is_told() {
        let base = TrainConfig::new("", "");
        assert!(base.reproduced(Family::Sdxl, true).is_empty());
        let as_sd_scripts = TrainConfig {
            compat: Compat::SdScripts,
            ..base
        };
        assert_eq!(as_sd_scripts.reproduced(Family::Sd1, false).len(), 1);
        assert_eq!(as_sd_scripts.reproduced(Family::Sdxl, true).len(), 4);
        let further = TrainConfig {
            mixed_precision: MixedPrecision::Fp16,
            text_encoder_lr: vec![0.0],
            base_weights: vec!["a".into()],
            clip_skip: Some(0),
            sample_prompts: Some("a cat".into()),
            ..as_sd_scripts
        };
        let told = further.reproduced(Family::Sd1, false);
        assert_eq!(told.len(), 6, "{told:?}");
        assert!(
            told.iter().any(|line| line.contains("rounded to fp16")),
            "{told:?}"
        );
    }
}
