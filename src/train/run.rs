//! TEMPORARY: rules that move to src/config/rules.

use lora_models::{Checkpoint, Family};

use crate::config::{PredictionType, TrainConfig};
use crate::error::{Error, Problem, ProblemKind, Result};
use crate::settings::RunLength;
use crate::warning::Warning;

/// What can hardly be meant, once the run's length is known.
pub(crate) fn warnings(config: &TrainConfig, length: RunLength) -> Vec<Warning> {
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
        .into_iter()
        .map(|d: String| Warning::unusual("x", d))
        .collect()
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

/// Refuses what the configuration says of the base where the checkpoint says otherwise.
pub(crate) fn check_family(config: &TrainConfig, checkpoint: &Checkpoint) -> Result<()> {
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
pub(crate) fn base_warnings(config: &TrainConfig, checkpoint: &Checkpoint) -> Vec<Warning> {
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
        .into_iter()
        .map(|d: String| Warning::unusual("x", d))
        .collect()
}
