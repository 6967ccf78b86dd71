//! The behaviour of sd-scripts that `compat = "sd-scripts"` reproduces.

use lora_models::Family;

use crate::config::train_config::TrainConfig;
use crate::config::values::{Compat, MixedPrecision};

/// Sentences about what this run does as sd-scripts does, although it is not intended there or
/// differs from other programs; none without `compat = "sd-scripts"`. `base_is_zero_terminal` is
/// true if the base was trained with zero terminal SNR.
///
/// The configuration must not be resolved for a family yet.
pub(crate) fn reproduced(
    config: &TrainConfig,
    family: Family,
    base_is_zero_terminal: bool,
) -> Vec<String> {
    if config.compat == Compat::None {
        return Vec::new();
    }
    let mut lines =
        vec!["the EXIF orientation of images is ignored, 16-bit grey is clipped".to_owned()];
    lines.extend(data_lines(config, family));
    lines.extend(loss_lines(config, base_is_zero_terminal));
    lines.extend(adapter_lines(config));
    if config.clip_skip == Some(0) && family != Family::Sdxl {
        lines.push("clip_skip = 0 takes the embeddings through the final norm".into());
    }
    if config.sample_prompts.is_some() {
        lines.push("previews use the training's noise schedule and clip_sample".into());
    }
    lines
}

fn data_lines(config: &TrainConfig, family: Family) -> Vec<String> {
    let mut lines = Vec::new();
    let has_additions = config.caption_prefix.is_some()
        || config.caption_suffix.is_some()
        || config.keep_tokens_separator.is_some();
    if has_additions {
        lines.push(
            "prefix and suffix are added to captions as a whole, keep_tokens_separator stays in \
             captions that are not shuffled"
                .into(),
        );
    }
    if family == Family::Sdxl {
        let has_defaults = config.resolution.is_none()
            || config.max_bucket_reso.is_none()
            || config.base_dtype.is_none();
        if has_defaults {
            lines.push(
                "SDXL's defaults are those of SD 1.5 (resolution, max_bucket_reso, base_dtype)"
                    .into(),
            );
        }
        lines.push("crop positions are those of the image fitted into its bucket".into());
        lines.push("`text_projection` of single-file checkpoints is transposed".into());
    }
    lines
}

fn loss_lines(config: &TrainConfig, base_is_zero_terminal: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if config.mixed_precision != MixedPrecision::No {
        lines.push(format!(
            "latents and noise are rounded to {} before they are mixed",
            config.mixed_precision
        ));
    }
    let weights_by_snr = config.effective_min_snr_gamma().is_some()
        || config.scale_v_pred_loss_like_noise_pred
        || config.v_pred_like_loss.is_some()
        || config.debiased_estimation_loss;
    if config.effective_zero_terminal_snr(base_is_zero_terminal) && weights_by_snr {
        lines.push(
            "losses are weighted by the SNR before the schedule is rescaled to zero terminal SNR"
                .into(),
        );
    }
    if config.cache_latents_to_disk {
        lines.push("latent cache files are named without the image size".into());
    }
    lines
}

fn adapter_lines(config: &TrainConfig) -> Vec<String> {
    let mut lines = Vec::new();
    let text_rates = config.effective_text_encoder_lrs();
    if config.unet_lr == Some(0.0) && config.trains_unet() && text_rates != [0.0; 2] {
        lines.push(
            "the UNet gets adapters with learning rate 0, which count in the gradient norm".into(),
        );
    }
    let is_frozen = !config.text_encoder_lr.is_empty() && text_rates == [0.0; 2];
    if is_frozen && config.trains_text_encoder() {
        lines.push(
            "the text encoder gets adapters with learning rate 0, which count in the gradient \
             norm"
                .into(),
        );
    }
    if !config.base_weights.is_empty() && config.conv_dim.is_none() {
        lines.push(
            "after base_weights the linear layers and 1x1 convolutions of ResNet blocks are \
             targets, too"
                .into(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_apply_are_given() {
        let base = TrainConfig::new("", "");
        assert!(reproduced(&base, Family::Sdxl, true).is_empty());
        let as_sd_scripts = TrainConfig {
            compat: Compat::SdScripts,
            ..base
        };
        assert_eq!(reproduced(&as_sd_scripts, Family::Sd1, false).len(), 1);
        assert_eq!(reproduced(&as_sd_scripts, Family::Sdxl, true).len(), 4);
        let further = TrainConfig {
            mixed_precision: MixedPrecision::Fp16,
            text_encoder_lr: vec![0.0],
            base_weights: vec!["a".into()],
            clip_skip: Some(0),
            sample_prompts: Some("a cat".into()),
            ..as_sd_scripts
        };
        let lines = reproduced(&further, Family::Sd1, false);
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("rounded to fp16")),
            "{lines:?}"
        );
    }
}
