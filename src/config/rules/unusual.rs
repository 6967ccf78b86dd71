//! Values that are allowed and probably not intended.

use lora_core::diffusion::PredictionType;
use lora_models::Family;

use super::facts::{BaseFacts, LengthFacts};
use super::unused::{unused_data_options, unused_options};
use crate::config::effective::block_weights::block_counts;
use crate::config::train_config::TrainConfig;
use crate::config::values::{BlockWeights, OptimizerType, usual_learning_rates};
use crate::warning::Warning;

/// The warnings about a run of this length, whatever its base is.
pub(crate) fn run_warnings(config: &TrainConfig, length: &LengthFacts) -> Vec<Warning> {
    let mut warnings = length_warnings(config, length);
    warnings.extend(option_warnings(config));
    warnings.extend(unused_data_options(config));
    warnings
}

fn length_warnings(config: &TrainConfig, length: &LengthFacts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let steps = length.total_steps;
    let warmup = config.lr_warmup_steps.resolve(steps);
    let takes_schedule = config
        .optimizer()
        .is_ok_and(|optimizer| optimizer.takes_schedule());
    if takes_schedule && warmup >= steps {
        let reason = format!(
            "the warmup takes {} and the run has {}: the full learning rate is never reached",
            lora_data::count(warmup, "step"),
            lora_data::count(steps, "step")
        );
        warnings.push(Warning::unusual("lr_warmup_steps", reason));
    }
    if let Some(interval) = config.sample_every_n_epochs
        && u64::from(interval) > length.epochs
    {
        let reason = format!(
            "{interval} is more than the {} of the run: no previews will be generated during \
             training",
            lora_data::count(length.epochs, "epoch")
        );
        warnings.push(Warning::unusual("sample_every_n_epochs", reason));
    }
    warnings
}

/// The warnings about options by themselves.
fn option_warnings(config: &TrainConfig) -> Vec<Warning> {
    let mut warnings = rate_warnings(config);
    warnings.extend(unused_options(config));
    if config.effective_unet_lr() == 0.0 && config.effective_text_encoder_lrs() == [0.0; 2] {
        warnings.push(Warning::NothingTrained);
    }
    let rates = &config.text_encoder_lr;
    let is_frozen = !rates.is_empty() && rates.iter().all(|rate| *rate == 0.0);
    if is_frozen && config.trains_text_encoder() {
        warnings.push(Warning::unusual(
            "text_encoder_lr",
            "at 0, the text encoder's adapters take time and memory without effect; \
             `network_train_unet_only = true` removes them",
        ));
    }
    warnings
}

fn rate_warnings(config: &TrainConfig) -> Vec<Warning> {
    let optimizer = config.optimizer_type;
    let has_own_rates = config
        .optimizer()
        .is_ok_and(|optimizer| !optimizer.takes_schedule());
    if optimizer == OptimizerType::Adafactor && has_own_rates {
        return Vec::new();
    }
    let mut rates = Vec::new();
    if config.trains_unet() {
        rates.push(("unet_lr", config.effective_unet_lr()));
    }
    if config.trains_text_encoder() {
        let [first, second] = config.effective_text_encoder_lrs();
        rates.push(("text_encoder_lr", first));
        if second != first {
            rates.push(("text_encoder_lr", second));
        }
    }
    let usual = usual_learning_rates(optimizer);
    let unusual = rates
        .into_iter()
        .filter(|(_, rate)| *rate > 0.0 && !usual.contains(rate));
    unusual
        .map(|(option, rate)| Warning::unusual(option, unusual_rate(optimizer, rate)))
        .collect()
}

fn unusual_rate(optimizer: OptimizerType, rate: f64) -> String {
    if optimizer.adapts_learning_rate() {
        return format!(
            "{optimizer} estimates the learning rate itself and multiplies it by {rate:e}; 1 is \
             usual"
        );
    }
    if optimizer == OptimizerType::Adafactor {
        return format!("{rate:e} is far from the usual learning rates of {optimizer}");
    }
    let usual = usual_learning_rates(optimizer);
    format!(
        "{rate:e} is unusual; learning rates of {optimizer} are usually from {:e} to {:e}",
        usual.start(),
        usual.end()
    )
}

/// The warnings about options with this base.
pub(crate) fn base_warnings(config: &TrainConfig, base: &BaseFacts) -> Vec<Warning> {
    let mut warnings = block_warnings(config, base.family);
    warnings.extend(clip_skip_warning(config, base.family));
    warnings.extend(terminal_snr_warnings(config, base));
    if let (Some(factor), Some(vae)) = (base.other_scaling_factor, &config.vae) {
        let reason = format!(
            "{} declares the scaling factor {factor}, {family} has {}; the VAE may be for another \
             family",
            vae.display(),
            base.family.scaling_factor(),
            family = base.family,
        );
        warnings.push(Warning::unusual("vae", reason));
    }
    warnings
}

/// More or fewer factors than the base has blocks, which are cut or filled up.
fn block_warnings(config: &TrainConfig, family: Family) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let options = config.block_weight_options();
    for ((option, weights), blocks) in options.into_iter().zip(block_counts(family)) {
        let Some(BlockWeights::Numbers(numbers)) = weights else {
            continue;
        };
        if numbers.len() == blocks {
            continue;
        }
        let consequence = if numbers.len() > blocks {
            "the last ones are not used"
        } else {
            "the missing factors are 1"
        };
        let reason = format!(
            "{} for {} of {family}: {consequence}",
            lora_data::count(numbers.len(), "number"),
            lora_data::count(blocks, "block")
        );
        warnings.push(Warning::unusual(option, reason));
    }
    warnings
}

fn clip_skip_warning(config: &TrainConfig, family: Family) -> Option<Warning> {
    let skip = config.clip_skip?;
    match family {
        Family::Sd2 if skip > 1 => Some(Warning::unusual(
            "clip_skip",
            "the text encoder of SD 2.x already ends at the penultimate layer; it was trained with \
             `clip_skip` unset",
        )),
        Family::Sdxl if skip != 2 => Some(Warning::unused(
            "clip_skip",
            "SDXL always uses the penultimate layer of both text encoders",
        )),
        _ => None,
    }
}

fn terminal_snr_warnings(config: &TrainConfig, base: &BaseFacts) -> Option<Warning> {
    let predicts_noise = base
        .prediction_type
        .is_none_or(|kind| kind == PredictionType::Epsilon);
    let reason = match config.zero_terminal_snr? {
        false if base.zero_terminal_snr => {
            "is false, but the base was trained with zero terminal SNR"
        }
        true if base.family != Family::Sd2 && predicts_noise => {
            "the base uses epsilon prediction and learns nothing from a timestep that is pure noise"
        }
        _ => return None,
    };
    Some(Warning::unusual("zero_terminal_snr", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::tests::{base, facts};
    use crate::config::values::{Compat, WarmupSteps};

    fn warnings(config: &TrainConfig) -> Vec<String> {
        option_warnings(config)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn unusual_learning_rates() {
        for optimizer_type in OptimizerType::ALL {
            let config = TrainConfig {
                optimizer_type,
                ..base()
            };
            assert!(warnings(&config).is_empty(), "{optimizer_type}");
        }
        let high = warnings(&TrainConfig {
            unet_lr: Some(0.5),
            ..base()
        });
        assert!(
            high.len() == 1 && high[0].contains("`unet_lr`: 5e-1 is unusual"),
            "{high:?}"
        );
        let prodigy = TrainConfig {
            learning_rate: Some(1e-4),
            optimizer_type: OptimizerType::Prodigy,
            ..base()
        };
        let both = warnings(&prodigy);
        assert!(
            both.len() == 2 && both[1].contains("`text_encoder_lr`: Prodigy estimates"),
            "{both:?}"
        );
        let unet_only = TrainConfig {
            network_train_unet_only: true,
            ..prodigy
        };
        assert_eq!(warnings(&unet_only).len(), 1);
        let frozen = TrainConfig {
            text_encoder_lr: vec![0.0],
            ..base()
        };
        assert!(warnings(&frozen).is_empty());
        let frozen = warnings(&TrainConfig {
            compat: Compat::SdScripts,
            ..frozen
        });
        assert!(
            frozen.len() == 1 && frozen[0].contains("network_train_unet_only"),
            "{frozen:?}"
        );
    }

    #[test]
    fn unusual_values_for_the_family() {
        let config = TrainConfig {
            down_lr_weight: Some(BlockWeights::Numbers(vec![1.0; 12])),
            clip_skip: Some(2),
            ..base()
        };
        let warnings = |family| {
            let warnings = base_warnings(&config, &facts(family));
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(warnings(Family::Sd1).is_empty());
        assert!(warnings(Family::Sdxl)[0].contains("12 numbers for 9 blocks of SDXL"));
        assert!(warnings(Family::Sd2)[0].contains("`clip_skip`"));
    }

    #[test]
    fn a_warmup_as_long_as_the_run() {
        let length = LengthFacts {
            epochs: 1,
            total_steps: 10,
        };
        let warnings = |steps| {
            let lr_warmup_steps = WarmupSteps::Steps(steps);
            length_warnings(
                &TrainConfig {
                    lr_warmup_steps,
                    ..base()
                },
                &length,
            )
        };
        assert!(warnings(9).is_empty());
        let warning = warnings(10)[0].to_string();
        assert!(
            warning.contains("takes 10 steps and the run has 10 steps"),
            "{warning}"
        );
    }
}
