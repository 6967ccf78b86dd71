//! Options that are given and that other ones leave without effect.

use super::{LossType, LrScheduler, OptimizerType, TrainConfig, WarmupSteps};

/// Whether an option is given without effect, its name, and why it has none.
type Row = (bool, &'static str, &'static str);

impl TrainConfig {
    /// A sentence for each option that differs from its default and does nothing beside the others.
    pub(super) fn unused(&self) -> Vec<String> {
        let default = Self::new("", "");
        let rows = self
            .unused_of_objective(&default)
            .into_iter()
            .chain(self.unused_of_others(&default));
        let unused = rows.filter(|(applies, ..)| *applies);
        let mut unused: Vec<String> = unused
            .map(|(_, option, reason)| format!("`{option}` is not used: {reason}"))
            .collect();
        unused.extend(self.unused_buckets(&default));
        unused.extend(self.unused_rates(&default));
        unused
    }

    fn unused_of_objective(&self, default: &Self) -> Vec<Row> {
        const NO_HUBER: &str = "`loss_type` is neither huber nor smooth_l1";
        let is_huber = matches!(self.loss_type, LossType::Huber | LossType::SmoothL1);
        vec![
            (
                self.noise_offset_random_strength && self.noise_offset.is_none(),
                "noise_offset_random_strength",
                "`noise_offset` is not given",
            ),
            (
                self.ip_noise_gamma_random_strength && self.ip_noise_gamma.is_none(),
                "ip_noise_gamma_random_strength",
                "`ip_noise_gamma` is not given",
            ),
            (
                self.multires_noise_discount != default.multires_noise_discount
                    && self.multires_noise_iterations.is_none(),
                "multires_noise_discount",
                "`multires_noise_iterations` is not given",
            ),
            (
                !is_huber && self.huber_c != default.huber_c,
                "huber_c",
                NO_HUBER,
            ),
            (
                !is_huber && self.huber_scale != default.huber_scale,
                "huber_scale",
                NO_HUBER,
            ),
            (
                !is_huber && self.huber_schedule != default.huber_schedule,
                "huber_schedule",
                NO_HUBER,
            ),
        ]
    }

    fn unused_of_others(&self, default: &Self) -> Vec<Row> {
        let is = |scheduler| self.lr_scheduler == scheduler;
        let counts_cycles = is(LrScheduler::CosineWithRestarts)
            || is(LrScheduler::CosineWithMinLr)
            || is(LrScheduler::WarmupStableDecay);
        vec![
            (
                !is(LrScheduler::Polynomial)
                    && self.lr_scheduler_power != default.lr_scheduler_power,
                "lr_scheduler_power",
                "`lr_scheduler` is not polynomial",
            ),
            (
                !counts_cycles && self.lr_scheduler_num_cycles != default.lr_scheduler_num_cycles,
                "lr_scheduler_num_cycles",
                "the schedule has no cycles",
            ),
            (
                self.token_warmup_min != default.token_warmup_min && self.token_warmup_step == 0.0,
                "token_warmup_min",
                "`token_warmup_step` is not given",
            ),
            (
                self.validation_seed != default.validation_seed && self.validation_split == 0.0,
                "validation_seed",
                "`validation_split` is not given",
            ),
            (
                self.log_prefix.is_some() && self.logging_dir.is_none(),
                "log_prefix",
                "`logging_dir` is not given",
            ),
            (
                self.cache_latents == Some(false) && self.cache_latents_to_disk,
                "cache_latents",
                "`cache_latents_to_disk` goes before it",
            ),
        ]
    }

    fn unused_buckets(&self, default: &Self) -> Vec<String> {
        if !self.enable_bucket || !self.bucket_no_upscale || self.dataset_config.is_some() {
            return Vec::new();
        }
        let given = [
            (
                "min_bucket_reso",
                self.min_bucket_reso != default.min_bucket_reso,
            ),
            (
                "max_bucket_reso",
                self.max_bucket_reso.is_some_and(|side| side != 1024),
            ),
        ];
        let given = given.iter().filter(|(_, is_given)| *is_given);
        given
            .map(|(option, _)| format!("`{option}` is not used: `bucket_no_upscale` is on"))
            .collect()
    }

    /// What an optimizer that makes its own course leaves without effect.
    fn unused_rates(&self, default: &Self) -> Vec<String> {
        if self
            .optimizer()
            .map_or(true, |optimizer| optimizer.takes_schedule())
        {
            return Vec::new();
        }
        let is_relative = self.optimizer_type == OptimizerType::Adafactor;
        let given = [
            ("lr_scheduler", self.lr_scheduler != default.lr_scheduler),
            (
                "lr_warmup_steps",
                self.lr_warmup_steps != WarmupSteps::Steps(0),
            ),
            ("learning_rate", is_relative && self.learning_rate.is_some()),
            ("unet_lr", is_relative && self.unet_lr.is_some()),
            (
                "text_encoder_lr",
                is_relative && !self.text_encoder_lr.is_empty(),
            ),
            (
                "loraplus_lr_ratio",
                is_relative && self.loraplus_lr_ratio.is_some(),
            ),
            (
                "loraplus_unet_lr_ratio",
                is_relative && self.loraplus_unet_lr_ratio.is_some(),
            ),
            (
                "loraplus_text_encoder_lr_ratio",
                is_relative && self.loraplus_text_encoder_lr_ratio.is_some(),
            ),
            (
                "down_lr_weight",
                is_relative && self.down_lr_weight.is_some(),
            ),
            ("mid_lr_weight", is_relative && self.mid_lr_weight.is_some()),
            ("up_lr_weight", is_relative && self.up_lr_weight.is_some()),
        ];
        let own = if is_relative {
            " without `optimizer_args = [\"relative_step=False\"]`"
        } else {
            ""
        };
        let given = given.iter().filter(|(_, is_given)| *is_given);
        given
            .map(|(option, _)| {
                format!(
                    "`{option}` is not used: {}{own} makes its own rates",
                    self.optimizer_type
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_nothing_is_told() {
        let base = || TrainConfig::new("base.safetensors", "images");
        assert!(base().unused().is_empty());
        for (option, config) in [
            (
                "noise_offset_random_strength",
                TrainConfig {
                    noise_offset_random_strength: true,
                    ..base()
                },
            ),
            (
                "huber_c",
                TrainConfig {
                    huber_c: 0.5,
                    ..base()
                },
            ),
            (
                "log_prefix",
                TrainConfig {
                    log_prefix: Some("a".into()),
                    ..base()
                },
            ),
            (
                "min_bucket_reso",
                TrainConfig {
                    min_bucket_reso: 128,
                    ..base()
                },
            ),
            (
                "lr_scheduler_power",
                TrainConfig {
                    lr_scheduler_power: 2.0,
                    ..base()
                },
            ),
            (
                "lr_scheduler_num_cycles",
                TrainConfig {
                    lr_scheduler_num_cycles: 2,
                    lr_scheduler: LrScheduler::Cosine,
                    ..base()
                },
            ),
            (
                "unet_lr",
                TrainConfig {
                    optimizer_type: OptimizerType::Adafactor,
                    unet_lr: Some(1e-3),
                    ..base()
                },
            ),
            (
                "lr_scheduler",
                TrainConfig {
                    optimizer_type: OptimizerType::RAdamScheduleFree,
                    lr_scheduler: LrScheduler::Linear,
                    ..base()
                },
            ),
        ] {
            let unused = config.unused();
            assert!(
                unused.len() == 1 && unused[0].contains(&format!("`{option}` is not used")),
                "{unused:?}"
            );
        }
        let fixed = TrainConfig {
            optimizer_type: OptimizerType::Adafactor,
            optimizer_args: [("relative_step", "False")].into(),
            unet_lr: Some(1e-3),
            ..base()
        };
        assert!(fixed.unused().is_empty());
    }
}
