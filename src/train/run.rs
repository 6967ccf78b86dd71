//! What follows from configuration and data before anything is trained.

use lora_core::adapter::{
    AdapterSet, BlockTargets, Dropout, LearningRateGroup, LearningRates, RankAlpha, Targets,
};
use lora_core::layers::LayerSpec;
use lora_data::{Dataset, DatasetReport, Notice, StepCount};
use lora_models::text::TokenLimit;
use lora_models::{Checkpoint, CheckpointOptions, Family};

use super::objective;
use super::step::Algorithm;
use crate::config::{Compat, Mismatch, PredictionType, TrainConfig, TrainLength};
use crate::error::{Error, Problem, ProblemKind, Result};

/// The counts of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub(super) batches_per_epoch: u64,
    pub(super) steps_per_epoch: u64,
    pub(super) epochs: u64,
    pub(super) total_steps: u64,
}

impl Length {
    pub(super) fn new(config: &TrainConfig, batches_per_epoch: usize) -> Self {
        let count = StepCount {
            batches_per_epoch,
            gradient_accumulation_steps: config.gradient_accumulation_steps as usize,
            num_processes: 1,
        };
        let (epochs, total_steps) = match config.length() {
            TrainLength::Epochs(epochs) => {
                (epochs as usize, count.steps_of_epochs(epochs as usize))
            }
            TrainLength::Steps(steps) => (count.epochs_of_steps(steps as usize), steps as usize),
        };
        Self {
            batches_per_epoch: batches_per_epoch as u64,
            steps_per_epoch: count.steps_per_epoch() as u64,
            epochs: epochs as u64,
            total_steps: total_steps as u64,
        }
    }
}

/// What can hardly be meant, once the run's length is known.
pub(super) fn doubts(config: &TrainConfig, length: Length) -> Vec<String> {
    let mut doubts = Vec::new();
    let (warmup, total) = (
        config.lr_warmup_steps.resolve(length.total_steps),
        length.total_steps,
    );
    let follows_schedule = config
        .optimizer()
        .is_ok_and(|optimizer| optimizer.takes_schedule());
    if follows_schedule && warmup >= total {
        doubts.push(format!(
            "`lr_warmup_steps`: the warm-up takes {warmup} steps and the run {total}; the full \
             learning rate is never reached"
        ));
    }
    if let Some(interval) = config
        .sample_every_n_epochs
        .filter(|interval| u64::from(*interval) > length.epochs)
    {
        let epochs = length.epochs;
        doubts.push(format!(
            "`sample_every_n_epochs` is {interval} and the run has {epochs} epochs: no preview is \
             drawn"
        ));
    }
    doubts.extend(config.warnings());
    doubts.extend(unused_data(config));
    doubts
}

/// Options of images and captions that other ones leave without effect.
fn unused_data(config: &TrainConfig) -> Vec<String> {
    let default = TrainConfig::new("", "");
    let with_dataset_config = [
        (
            "train_data_dir",
            !config.train_data_dir.as_os_str().is_empty(),
        ),
        ("reg_data_dir", config.reg_data_dir.is_some()),
        ("in_json", config.in_json.is_some()),
        (
            "conditioning_data_dir",
            config.conditioning_data_dir.is_some(),
        ),
    ];
    let with_in_json = [
        ("class_tokens", config.class_tokens.is_some()),
        ("recursive", config.recursive),
        (
            "caption_extension",
            config.caption_extension != default.caption_extension,
        ),
        ("strict_captions", config.strict_captions),
    ];
    let unused: (&[(&str, bool)], &str) = match (&config.dataset_config, &config.in_json) {
        (Some(_), _) => (
            &with_dataset_config,
            "`dataset_config` says which images and folders are used",
        ),
        (None, Some(_)) => (
            &with_in_json,
            "the file of `in_json` says what the images and captions are",
        ),
        (None, None) => (&[], ""),
    };
    let (options, reason) = unused;
    options
        .iter()
        .filter(|(_, is_given)| *is_given)
        .map(|(name, _)| format!("`{name}` is not used: {reason}"))
        .collect()
}

/// The data set's report, with what was noticed when its folders were found.
pub(super) fn report(dataset: &Dataset, notices: &[Notice]) -> DatasetReport {
    let mut report = dataset.report();
    report.notices.splice(0..0, notices.iter().cloned());
    report
}

pub(super) fn targets(config: &TrainConfig, family: Family) -> Targets {
    let sizes =
        |dims: &[u32]| (!dims.is_empty()).then(|| dims.iter().map(|dim| *dim as usize).collect());
    let alphas = |alphas: &[f64]| {
        (!alphas.is_empty()).then(|| alphas.iter().map(|alpha| *alpha as f32).collect())
    };
    Targets {
        linear: RankAlpha {
            rank: config.network_dim as usize,
            alpha: config.linear_alpha() as f32,
        },
        conv: config.conv_rank_and_alpha().map(|(rank, alpha)| RankAlpha {
            rank: rank as usize,
            alpha: alpha as f32,
        }),
        unet: config.trains_unet(),
        text_encoder: config.trains_text_encoder(),
        blocks: BlockTargets {
            dims: sizes(&config.block_dims),
            alphas: alphas(&config.block_alphas),
            conv_dims: sizes(&config.conv_block_dims),
            conv_alphas: alphas(&config.conv_block_alphas).or_else(|| {
                // `conv_alpha` holds for blocks, too, where `conv_dim` gives none of the others a
                // rank.
                let alpha = config.conv_alpha.filter(|_| config.conv_dim.is_none())?;
                Some(vec![alpha as f32; config.conv_block_dims.len()])
            }),
            lr_weights: config.block_lr_weights(family),
        },
        include: config.include_patterns.clone(),
        exclude: config.exclude_patterns.clone(),
        // There, a network that was made from a file widens the choice of those made later.
        widened: config.compat == Compat::SdScripts && !config.base_weights.is_empty(),
    }
}

/// Takes over the alphas of the LoRA file that the adapters were filled from, and says where the
/// configuration asks for others.
pub(super) fn adopt_alphas(config: &mut TrainConfig, adapters: &AdapterSet) -> Vec<String> {
    let in_file = |is_conv: bool| {
        let mut slots = adapters.slots().iter();
        slots
            .find(|slot| (slot.layer.kind.kernel() > 1) == is_conv)
            .map(|slot| f64::from(slot.alpha))
    };
    let alphas = [in_file(false), in_file(true)];
    let options = [
        ("network_alpha", &mut config.network_alpha),
        ("conv_alpha", &mut config.conv_alpha),
    ];
    let mut warnings = Vec::new();
    for ((name, option), alpha) in options.into_iter().zip(alphas) {
        let Some(alpha) = alpha else { continue };
        if let Some(asked) = option.filter(|asked| *asked != alpha) {
            warnings.push(format!(
                "`{name}` = {asked} is not used: the file of `network_weights` has alpha {alpha}"
            ));
        }
        *option = Some(alpha);
    }
    warnings
}

/// Whether the network that a layer is part of is to be trained.
pub(super) fn trains(config: &TrainConfig, layer: &LayerSpec) -> bool {
    match layer.path.as_str().starts_with("unet.") {
        true => config.trains_unet(),
        false => config.trains_text_encoder(),
    }
}

/// Takes over ranks, alphas and networks of the LoRA file that the adapters are like, and says
/// where the configuration asks for others.
pub(super) fn adopt_shape(config: &mut TrainConfig, adapters: &AdapterSet) -> Vec<String> {
    let slots = adapters.slots();
    let of_kind = |is_conv: bool| {
        slots
            .iter()
            .find(|slot| (slot.layer.kind.kernel() > 1) == is_conv)
    };
    let mut warnings = Vec::new();
    if let Some(slot) = of_kind(false) {
        config.network_dim = slot.rank as u32;
        config.network_alpha = Some(f64::from(slot.alpha));
    }
    let conv = of_kind(true).map(|slot| (slot.rank as u32, f64::from(slot.alpha)));
    if config.conv_dim.is_some() && config.conv_dim != conv.map(|(rank, _)| rank) {
        warnings.push(
            "`conv_dim` is not used: `dim_from_weights` takes it from the file of \
             `network_weights`"
                .into(),
        );
    }
    (config.conv_dim, config.conv_alpha) = conv.unzip();
    let has = |unet: bool| slots.iter().any(|slot| slot.is_unet() == unet);
    if config.trains_text_encoder() && !has(false) {
        config.network_train_unet_only = true;
        warnings.push(
            "the file of `network_weights` has no adapters of the text encoder: only the \
                 UNet is trained"
                .into(),
        );
    }
    if config.trains_unet() && !has(true) {
        config.network_train_text_encoder_only = true;
        warnings.push(
            "the file of `network_weights` has no adapters of the UNet: only the text \
                 encoder is trained"
                .into(),
        );
    }
    warnings
}

pub(super) fn token_limit(config: &TrainConfig) -> TokenLimit {
    match config.token_windows() {
        1 => TokenLimit::One,
        2 => TokenLimit::Two,
        _ => TokenLimit::Three,
    }
}

/// The learning rates before the schedule.
#[derive(Debug)]
pub(super) struct Rates {
    /// Of each parameter, by stack and row.
    pub(super) of_parameters: Vec<Vec<f64>>,
    /// Of each group, for logs.
    pub(super) groups: Vec<LearningRateGroup>,
}

pub(super) fn learning_rates(
    config: &TrainConfig,
    family: Family,
    adapters: &AdapterSet,
) -> Result<Rates> {
    let rates = LearningRates {
        unet: config.unet_learning_rate(),
        text_encoder: config.text_encoder_learning_rates(),
        loraplus_lr_ratio: config.loraplus_lr_ratio,
        loraplus_unet_lr_ratio: config.loraplus_unet_lr_ratio,
        loraplus_text_encoder_lr_ratio: config.loraplus_text_encoder_lr_ratio,
        block_lr_weights: config.block_lr_weights(family),
    };
    let misfit = |source| Error::Adapter { file: None, source };
    let of_parameters = rates.of(adapters).map_err(misfit)?;
    Ok(Rates {
        of_parameters,
        groups: rates.groups(adapters).map_err(misfit)?,
    })
}

/// How the run trains.
pub(super) fn algorithm(
    config: &TrainConfig,
    checkpoint: &Checkpoint,
    total_steps: u64,
    clip_skip: usize,
    rates: &Rates,
) -> Result<Algorithm> {
    let prediction_type = checkpoint
        .prediction_type()
        .unwrap_or(PredictionType::Epsilon);
    Ok(Algorithm {
        objective: objective::objective(config, prediction_type, checkpoint.zero_terminal_snr()),
        noise: objective::noise(config),
        noise_dtype: objective::noise_dtype(config),
        timesteps: config.min_timestep as usize..config.max_timestep as usize,
        clip_skip,
        gradient_accumulation_steps: config.gradient_accumulation_steps as usize,
        gradient_checkpointing: config.gradient_checkpointing,
        max_grad_norm: config.max_grad_norm,
        learning_rates: rates.of_parameters.clone(),
        lr_schedule: config.lr_schedule(total_steps)?,
        dropout: Dropout {
            network: config.network_dropout.unwrap_or(0.0) as f32,
            rank: config.rank_dropout.unwrap_or(0.0) as f32,
            module: config.module_dropout.unwrap_or(0.0) as f32,
        },
        scale_weight_norms: config.scale_weight_norms.filter(|limit| *limit > 0.0),
        keeps_idle_gradients: config.compat == Compat::SdScripts,
        seed: config.seed,
    })
}

pub(super) fn checkpoint(config: &TrainConfig) -> CheckpointOptions {
    let mut model_config = config.model_config.clone();
    if let Some(v) = config.v_parameterization {
        let prediction_type = if v {
            PredictionType::VPrediction
        } else {
            PredictionType::Epsilon
        };
        model_config.prediction_type = Some(prediction_type);
    }
    CheckpointOptions {
        model_config,
        vae: config.vae.clone(),
        projection_as_sd_scripts: config.compat == Compat::SdScripts,
    }
}

/// Refuses what the configuration says of the base where the checkpoint says otherwise.
pub(super) fn check_family(config: &TrainConfig, checkpoint: &Checkpoint) -> Result<()> {
    let name = config.pretrained_model_name_or_path.display();
    let mut problems = config.check_family(checkpoint.family());
    let told = checkpoint.told_prediction_type();
    if let (Some(v), Some(told)) = (config.v_parameterization, told)
        && v != (told == PredictionType::VPrediction)
    {
        let found = if v { "noise" } else { "velocities" };
        let reason = format!("is {v}, but `{name}` says that it predicts {found}");
        problems.push(Problem::new(
            "v_parameterization",
            ProblemKind::Conflict(reason),
        ));
    }
    problems.extend(
        told.iter()
            .flat_map(|told| config.check_prediction_type(*told)),
    );
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Config {
            file: None,
            problems,
        })
    }
}

/// What can hardly be meant, or is not used, of this base.
pub(super) fn doubts_of_base(config: &TrainConfig, checkpoint: &Checkpoint) -> Vec<String> {
    let mut doubts = Vec::new();
    let family = checkpoint.family();
    doubts.extend(config.family_warnings(family));
    if family == Family::Sdxl && config.clip_skip.is_some_and(|skip| skip != 2) {
        doubts.push(
            "`clip_skip` is not used: SDXL always takes the states before the last layers".into(),
        );
    }
    if config.zero_terminal_snr == Some(false) && checkpoint.zero_terminal_snr() {
        doubts.push(
            "`zero_terminal_snr` is false, but the base was trained with zero terminal SNR".into(),
        );
    }
    let predicts_noise = checkpoint
        .prediction_type()
        .is_none_or(|kind| kind == PredictionType::Epsilon);
    if config.zero_terminal_snr == Some(true) && family != Family::Sd2 && predicts_noise {
        doubts.push(
            "`zero_terminal_snr`: the base predicts noise, of which it can learn nothing where \
             there is nothing else"
                .into(),
        );
    }
    if let (Some(factor), Some(vae)) = (checkpoint.foreign_scaling_factor(), &config.vae) {
        doubts.push(format!(
            "`vae`: {} says that its scaling factor is {factor}; that of {family} is {}, so it may \
             be of another family",
            vae.display(),
            family.scaling_factor()
        ));
    }
    doubts
}

/// Which of the text encoder's states is used, counted from the last, 1; the number of `layers` + 1
/// are the embeddings.
///
/// # Errors
/// [`Error::Config`] for a `clip_skip` that it has no layer for.
pub(super) fn clip_skip(config: &TrainConfig, layers: usize) -> Result<usize> {
    match config.clip_layer() as usize {
        0 => Ok(layers + 1),
        skip if skip <= layers => Ok(skip),
        skip => {
            let expected = format!("1 to {layers}, the text encoder's layers");
            Err(Error::option(
                "clip_skip",
                Mismatch {
                    found: skip.to_string(),
                    expected,
                },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WarmupSteps;

    #[test]
    fn a_warm_up_as_long_as_the_run_is_told() {
        let length = Length {
            batches_per_epoch: 10,
            steps_per_epoch: 10,
            epochs: 1,
            total_steps: 10,
        };
        let told = |steps| {
            let lr_warmup_steps = WarmupSteps::Steps(steps);
            doubts(
                &TrainConfig {
                    lr_warmup_steps,
                    ..TrainConfig::new("", "")
                },
                length,
            )
        };
        assert!(told(9).is_empty());
        let warning = told(10).concat();
        assert!(
            warning.contains("takes 10 steps and the run 10"),
            "{warning}"
        );
    }
}
