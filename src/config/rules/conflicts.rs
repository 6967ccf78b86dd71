//! Rules between options.

use lora_models::Family;

use super::block_weights::{block_count, block_counts};
use super::options::{option, options};
use super::{LrScheduler, ModelTrainType, PredictionType, TrainConfig, WarmupSteps, optimizer};
use crate::error::{Error, Problem, ProblemKind};

/// Pixels of a side of a latent: sizes are multiples of it.
const LATENT: u32 = 8;
/// Bytes of `output_name`: file systems take 255, and steps, times and endings are added to it.
const MAX_NAME: usize = 150;

fn conflict(key: &str, reason: impl Into<String>) -> Problem {
    Problem::new(key, ProblemKind::Conflict(reason.into()))
}

/// The problem of a rule that is broken.
fn broken(is_broken: bool, key: &str, reason: &str) -> Option<Problem> {
    is_broken.then(|| conflict(key, reason))
}

impl TrainConfig {
    /// All rules that hold whatever the base is, given that each value is right by itself.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let mut problems = self.table_conflicts();
        problems.extend(self.data_conflicts());
        problems.extend(self.objective_conflicts());
        problems.extend(self.schedule_conflicts());
        problems.extend(self.rate_conflicts());
        problems.extend(self.network_conflicts());
        problems.extend(self.output_conflicts());
        problems
    }

    /// What is at odds with a base of this family: values that contradict it, and rules between
    /// options whose defaults depend on it.
    pub fn check_family(&self, family: Family) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = self.pretrained_model_name_or_path.display();
        if let Some(v2) = self.v2.filter(|v2| *v2 != (family == Family::Sd2)) {
            problems.push(conflict("v2", format!("is {v2}, but `{name}` is {family}")));
        }
        let is_sdxl = family == Family::Sdxl;
        if let Some(told) = self
            .model_train_type
            .filter(|told| (*told == ModelTrainType::SdxlLora) != is_sdxl)
        {
            problems.push(conflict(
                "model_train_type",
                format!("is {told}, but `{name}` is {family}"),
            ));
        }
        if self.cache_text_encoder_outputs_to_disk && !is_sdxl {
            let reason = format!(
                "is for SDXL only: there is no file format for it of {family}, as `{name}` is"
            );
            problems.push(conflict("cache_text_encoder_outputs_to_disk", reason));
        }
        if self.text_encoder_lr.len() > 1 && !is_sdxl {
            let found = format!("{} numbers", self.text_encoder_lr.len());
            problems.push(Problem::value(
                "text_encoder_lr",
                found,
                format!("one: {family} has one text encoder"),
            ));
        }
        let count = block_count(family);
        for (key, given) in [
            ("block_dims", self.block_dims.len()),
            ("block_alphas", self.block_alphas.len()),
            ("conv_block_dims", self.conv_block_dims.len()),
            ("conv_block_alphas", self.conv_block_alphas.len()),
        ] {
            if given != 0 && given != count {
                let expected = format!("{count}, the blocks of {family}");
                problems.push(Problem::value(key, format!("{given} numbers"), expected));
            }
        }
        // Each data set of a `dataset_config` has buckets of its own.
        if self.dataset_config.is_none() {
            problems.extend(self.bucket_conflicts(family));
        }
        problems
    }

    /// What is at odds with what the base predicts.
    pub fn check_prediction_type(&self, prediction_type: PredictionType) -> Vec<Problem> {
        let is_v = prediction_type == PredictionType::VPrediction;
        let needs = "needs a base that predicts velocities; this one predicts noise";
        let excludes = "is for bases that predict noise; this one predicts velocities";
        [
            broken(
                self.scale_v_pred_loss_like_noise_pred && !is_v,
                "scale_v_pred_loss_like_noise_pred",
                needs,
            ),
            broken(
                self.v_pred_like_loss.is_some_and(|share| share > 0.0) && is_v,
                "v_pred_like_loss",
                excludes,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// More or fewer weights of blocks than a base of this family has, as far as they are made to
    /// fit.
    pub(super) fn block_weight_doubts(&self, family: Family) -> Vec<String> {
        let parts = self
            .block_weight_options()
            .into_iter()
            .zip(block_counts(family));
        let doubt = |((key, weights), count): ((&str, Option<&super::BlockWeights>), usize)| {
            match weights {
                Some(super::BlockWeights::Numbers(numbers)) if numbers.len() > count => {
                    Some(format!(
                        "`{key}` has {} numbers and {family} {count} blocks: the last ones are not \
                         used",
                        numbers.len()
                    ))
                }
                Some(super::BlockWeights::Numbers(numbers)) if numbers.len() < count => {
                    Some(format!(
                        "`{key}` has {} numbers and {family} {count} blocks: the others count 1",
                        numbers.len()
                    ))
                }
                _ => None,
            }
        };
        parts.filter_map(doubt).collect()
    }

    /// What the table says of options that exclude or need others.
    fn table_conflicts(&self) -> Vec<Problem> {
        let is_on = |name: &str| option(name).is_some_and(|spec| spec.is_on(self));
        let mut problems = Vec::new();
        for spec in options().filter(|spec| spec.is_on(self)) {
            let excluded = spec.excludes.iter().filter(|name| is_on(name));
            problems.extend(excluded.map(|name| conflict(spec.name, format!("excludes `{name}`"))));
            if !spec.needs.is_empty() && !spec.needs.iter().any(|name| is_on(name)) {
                let names: Vec<String> =
                    spec.needs.iter().map(|name| format!("`{name}`")).collect();
                problems.push(conflict(
                    spec.name,
                    format!("needs {}", super::value::one_of(&names)),
                ));
            }
        }
        problems
    }

    fn data_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.caption_extension.starts_with('.') || self.caption_extension.contains(['/', '\\'])
        {
            let found = format!("\"{}\"", self.caption_extension);
            problems.push(Problem::value(
                "caption_extension",
                found,
                "an extension with its dot, such as \".txt\"",
            ));
        }
        let trained = self.trains_text_encoder();
        let to_disk = self.cache_text_encoder_outputs_to_disk;
        let needs = "needs `network_train_unet_only`: what is trained cannot be computed before";
        let broken = [
            broken(
                to_disk && self.cache_text_encoder_outputs == Some(false),
                "cache_text_encoder_outputs_to_disk",
                "needs `cache_text_encoder_outputs`",
            ),
            broken(
                self.cache_text_encoder_outputs == Some(true) && trained,
                "cache_text_encoder_outputs",
                needs,
            ),
            broken(
                to_disk && trained,
                "cache_text_encoder_outputs_to_disk",
                needs,
            ),
        ];
        problems.extend(broken.into_iter().flatten());
        // Sizes that are not given depend on the family: what is wrong with every one is told now.
        if self.dataset_config.is_none() {
            let of_families = Family::ALL.map(|family| self.bucket_conflicts(family));
            if of_families.iter().all(|problems| !problems.is_empty()) {
                problems.extend(of_families.into_iter().next().unwrap_or_default());
            }
        }
        problems
    }

    fn bucket_conflicts(&self, family: Family) -> Vec<Problem> {
        let mut problems = Vec::new();
        let resolution = self.resolution_for(family);
        let (width, height) = (resolution.width, resolution.height);
        let (short, long) = (width.min(height), width.max(height));
        let found = format!("{width} x {height}");
        let step = self.bucket_reso_steps;
        if !self.enable_bucket {
            if !width.is_multiple_of(LATENT) || !height.is_multiple_of(LATENT) {
                problems.push(Problem::value(
                    "resolution",
                    found,
                    format!("multiples of {LATENT}"),
                ));
            }
            return problems;
        }
        if !step.is_multiple_of(LATENT) {
            let expected = format!("a multiple of {LATENT}");
            problems.push(Problem::value(
                "bucket_reso_steps",
                step.to_string(),
                expected,
            ));
        } else if self.bucket_no_upscale {
            if short < step {
                let expected = format!("at least one of bucket_reso_steps, {step}");
                problems.push(Problem::value("resolution", found, expected));
            }
        } else {
            let max = self
                .max_bucket_reso_for(family)
                .div_ceil(step)
                .saturating_mul(step);
            let min = self.min_bucket_reso / step * step;
            if min == 0 || min > max {
                let expected = format!(
                    "at least bucket_reso_steps, {step}, and at most max_bucket_reso, {max}"
                );
                problems.push(Problem::value(
                    "min_bucket_reso",
                    self.min_bucket_reso.to_string(),
                    expected,
                ));
            } else if short < min || long > max {
                let expected =
                    format!("sides from min_bucket_reso, {min}, to max_bucket_reso, {max}");
                problems.push(Problem::value("resolution", found, expected));
            }
        }
        problems
    }

    fn objective_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.min_timestep >= self.max_timestep {
            let expected = format!("less than max_timestep, {}", self.max_timestep);
            problems.push(Problem::value(
                "min_timestep",
                self.min_timestep.to_string(),
                expected,
            ));
        }
        // A base that is said to predict velocities excludes `v_pred_like_loss` by the table.
        if self.v_parameterization == Some(false) {
            problems.extend(self.check_prediction_type(PredictionType::Epsilon));
        }
        if let Err(Error::Device { reason, .. }) = crate::device::check_name(&self.device) {
            problems.push(conflict(
                "device",
                format!("device \"{}\": {reason}", self.device),
            ));
        }
        problems
    }

    fn schedule_conflicts(&self) -> Vec<Problem> {
        let none = WarmupSteps::Steps(0);
        let is = |scheduler| self.lr_scheduler == scheduler;
        let rules = self.lr_scheduler_args.get("step_rules");
        let has_floor = is(LrScheduler::CosineWithMinLr) || is(LrScheduler::WarmupStableDecay);
        let mut problems: Vec<Problem> = [
            broken(
                is(LrScheduler::Constant) && self.lr_warmup_steps != none,
                "lr_warmup_steps",
                "a constant learning rate has no warm-up; `lr_scheduler \
                 = \"constant_with_warmup\"` has one",
            ),
            broken(
                self.lr_decay_steps != none && !is(LrScheduler::WarmupStableDecay),
                "lr_decay_steps",
                "needs `lr_scheduler = \"warmup_stable_decay\"`",
            ),
            broken(
                self.lr_decay_steps == none && is(LrScheduler::WarmupStableDecay),
                "lr_scheduler",
                "warmup_stable_decay needs `lr_decay_steps`",
            ),
            broken(
                self.lr_scheduler_min_lr_ratio.is_some() && !has_floor,
                "lr_scheduler_min_lr_ratio",
                "needs `lr_scheduler = \"cosine_with_min_lr\"` or `\"warmup_stable_decay\"`",
            ),
            broken(
                self.lr_scheduler_min_lr_ratio.is_none() && is(LrScheduler::CosineWithMinLr),
                "lr_scheduler",
                "cosine_with_min_lr needs `lr_scheduler_min_lr_ratio`",
            ),
            broken(
                self.lr_scheduler_timescale.is_some() && !is(LrScheduler::InverseSqrt),
                "lr_scheduler_timescale",
                "needs `lr_scheduler = \"inverse_sqrt\"`",
            ),
            broken(
                rules.is_none() && is(LrScheduler::PiecewiseConstant),
                "lr_scheduler",
                "piecewise_constant needs `lr_scheduler_args = [\"step_rules=…\"]`",
            ),
            broken(
                !self.lr_scheduler_args.is_empty() && !is(LrScheduler::PiecewiseConstant),
                "lr_scheduler_args",
                "needs `lr_scheduler = \"piecewise_constant\"`",
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some((key, text)) = self
            .lr_scheduler_args
            .0
            .iter()
            .find(|(key, _)| key != "step_rules")
        {
            problems.push(Problem::value(
                "lr_scheduler_args",
                format!("`{key}={text}`"),
                "step_rules",
            ));
        } else if let (true, Some(_), Err(wrong)) =
            (is(LrScheduler::PiecewiseConstant), rules, self.step_rules())
        {
            problems.push(Problem::value(
                "lr_scheduler_args",
                wrong.found,
                wrong.expected,
            ));
        }
        problems
    }

    /// Rules of learning rates and of the optimizer.
    fn rate_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match optimizer::optimizer_config(self.optimizer_type, &self.optimizer_args) {
            Err(wrong) => problems.push(Problem::value(
                "optimizer_args",
                wrong.found,
                wrong.expected,
            )),
            Ok(optimizer) => problems.extend(broken(
                optimizer.is_schedule_free() && self.ema_decay.is_some(),
                "ema_decay",
                &format!(
                    "excludes {}, which averages the adapters itself",
                    self.optimizer_type
                ),
            )),
        }
        if !self.optimizer_type.needs_one_learning_rate() {
            return problems;
        }
        let name = self.optimizer_type;
        let used = [(self.trains_unet(), vec![self.effective_unet_lr()])].into_iter();
        let used = used.chain([(
            self.trains_text_encoder(),
            self.effective_text_encoder_lrs().into(),
        )]);
        let mut rates: Vec<f64> = used
            .filter(|(is_trained, _)| *is_trained)
            .flat_map(|(_, rates)| rates)
            .filter(|rate| *rate > 0.0)
            .collect();
        rates.dedup();
        if let [first, second, ..] = rates.as_slice() {
            let reason = format!(
                "{name} finds one rate for all adapters and cannot use the factors {first} and \
                 {second}; \
                 set `unet_lr = 1` and `text_encoder_lr = 1`, or leave out both"
            );
            problems.push(conflict("optimizer_type", reason));
        }
        let ratios = [
            self.loraplus_lr_ratio,
            self.loraplus_unet_lr_ratio,
            self.loraplus_text_encoder_lr_ratio,
        ];
        let names = [
            "loraplus_lr_ratio",
            "loraplus_unet_lr_ratio",
            "loraplus_text_encoder_lr_ratio",
        ];
        let reason = format!(
            "needs an optimizer that takes several learning rates; {name} finds one for all \
             adapters"
        );
        for (key, ratio) in names.into_iter().zip(ratios) {
            problems.extend(broken(
                ratio.is_some_and(|ratio| ratio > 0.0 && ratio != 1.0),
                key,
                &reason,
            ));
        }
        for (key, weights) in self.block_weight_options() {
            problems.extend(broken(weights.is_some(), key, &reason));
        }
        problems
    }

    fn network_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (strengths, files) = (self.base_weights_multiplier.len(), self.base_weights.len());
        if strengths > files {
            let reason = format!("has {strengths} numbers for {files} files of `base_weights`");
            problems.push(conflict("base_weights_multiplier", reason));
        }
        problems
    }

    fn output_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_name = |name: &str| !name.contains(['/', '\\', '\0']);
        if self.output_name.trim().is_empty()
            || !is_name(&self.output_name)
            || self.output_name.len() > MAX_NAME
        {
            let found = format!("\"{}\"", self.output_name);
            let expected = format!("a file name without folders, of at most {MAX_NAME} bytes");
            problems.push(Problem::value("output_name", found, expected));
        }
        if let Some(prefix) = self
            .log_prefix
            .as_deref()
            .filter(|prefix| !is_name(prefix) || prefix.len() > MAX_NAME)
        {
            let expected = format!("the start of a folder's name, of at most {MAX_NAME} bytes");
            problems.push(Problem::value(
                "log_prefix",
                format!("\"{prefix}\""),
                expected,
            ));
        }
        if cfg!(not(feature = "tensorboard")) && self.logging_dir.is_some() {
            let reason = "this build has no TensorBoard; rebuild with `--features tensorboard`";
            problems.push(conflict("logging_dir", reason));
        }
        problems
    }
}

#[cfg(test)]
mod tests;
