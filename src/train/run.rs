//! What follows from configuration and data before anything is trained.

use lora_core::adapter::{AdapterSet, Dropout};
use lora_core::layers::{LayerSpec, NetworkKind};
use lora_data::{Dataset, DatasetReport, Notice, StepCount};
use lora_models::lora::{BlockTargets, LearningRateGroup, LearningRates, RankAlpha, Targets};
use lora_models::text::TokenLimit;
use lora_models::{Checkpoint, CheckpointOptions, Family};

use super::objective;
use super::step::Algorithm;
use crate::config::rules::LengthFacts;
use crate::config::{Compat, PredictionType, TrainConfig, TrainLength};
use crate::error::{Error, Result};
use crate::warning::Warning;

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

    /// The facts that rules depend on.
    pub(super) fn facts(self) -> LengthFacts {
        LengthFacts {
            epochs: self.epochs,
            total_steps: self.total_steps,
        }
    }
}

/// The data set's report, with what was noticed when its folders were found.
pub(super) fn report(dataset: &Dataset, notices: &[Notice]) -> DatasetReport {
    let mut report = dataset.report();
    report
        .notices
        .splice(0..0, notices.iter().map(ToString::to_string));
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
            alpha: config.effective_network_alpha() as f32,
        },
        conv: config
            .effective_conv_dim_and_alpha()
            .map(|(rank, alpha)| RankAlpha {
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
pub(super) fn adopt_alphas(config: &mut TrainConfig, adapters: &AdapterSet) -> Vec<Warning> {
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
            let reason =
                format!("{asked} differs from alpha {alpha} of the file of `network_weights`");
            warnings.push(Warning::unused(name, reason));
        }
        *option = Some(alpha);
    }
    warnings
}

/// Whether the network that a layer is part of is to be trained.
pub(super) fn trains(config: &TrainConfig, layer: &LayerSpec) -> bool {
    match layer.path.network().kind() {
        NetworkKind::Unet => config.trains_unet(),
        NetworkKind::TextEncoder => config.trains_text_encoder(),
        NetworkKind::Vae => false,
    }
}

/// Takes over ranks, alphas and networks of the LoRA file that the adapters are like, and says
/// where the configuration asks for others.
pub(super) fn adopt_shape(config: &mut TrainConfig, adapters: &AdapterSet) -> Vec<Warning> {
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
        let reason = "`dim_from_weights` takes it from the file of `network_weights`";
        warnings.push(Warning::unused("conv_dim", reason));
    }
    (config.conv_dim, config.conv_alpha) = conv.unzip();
    let has = |kind| {
        slots
            .iter()
            .any(|slot| slot.layer.path.network().kind() == kind)
    };
    if config.trains_text_encoder() && !has(NetworkKind::TextEncoder) {
        config.network_train_unet_only = true;
        let reason = "the file has no adapters of the text encoder: only the UNet is trained";
        warnings.push(Warning::unusual("network_weights", reason));
    }
    if config.trains_unet() && !has(NetworkKind::Unet) {
        config.network_train_text_encoder_only = true;
        let reason = "the file has no adapters of the UNet: only the text encoder is trained";
        warnings.push(Warning::unusual("network_weights", reason));
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
        unet: config.effective_unet_lr(),
        text_encoder: config.effective_text_encoder_lrs(),
        loraplus_lr_ratio: config.loraplus_lr_ratio,
        loraplus_unet_lr_ratio: config.loraplus_unet_lr_ratio,
        loraplus_text_encoder_lr_ratio: config.loraplus_text_encoder_lr_ratio,
        block_lr_weights: config.block_lr_weights(family),
    };
    let misfit = |source| Error::Adapter { file: None, source };
    let naming = family.lora_naming();
    let of_parameters = rates.per_parameter(adapters, naming).map_err(misfit)?;
    Ok(Rates {
        of_parameters,
        groups: rates.groups(adapters, naming).map_err(misfit)?,
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
