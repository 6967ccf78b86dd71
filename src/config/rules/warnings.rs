//! What can hardly be meant.

use lora_models::Family;

use super::optimizer::usual_learning_rates;
use super::{OptimizerType, TrainConfig};

impl TrainConfig {
    /// What can hardly be meant, whatever the base is.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.rate_warnings();
        warnings.extend(self.unused());
        if self.effective_unet_lr() == 0.0 && self.effective_text_encoder_lrs() == [0.0; 2] {
            warnings.push("all learning rates are 0: nothing is learnt".into());
        }
        let frozen = self.text_encoder_lr.iter().all(|rate| *rate == 0.0)
            && !self.text_encoder_lr.is_empty();
        if frozen && self.trains_text_encoder() {
            warnings.push(
                "`text_encoder_lr` is 0: the text encoder's adapters take time and memory and stay \
                 without effect; \
                 `network_train_unet_only = true` leaves them out"
                    .into(),
            );
        }
        warnings
    }

    /// What can hardly be meant with a base of this family.
    pub fn family_warnings(&self, family: Family) -> Vec<String> {
        let mut warnings = self.block_weight_doubts(family);
        if family == Family::Sd2 && self.clip_skip.is_some_and(|skip| skip > 1) {
            warnings.push(
                "`clip_skip`: the text encoder of SD 2.x has had its last layer cut off already; \
                 without the option it is used as it \
                 was trained"
                    .into(),
            );
        }
        warnings
    }

    fn rate_warnings(&self) -> Vec<String> {
        let optimizer = self.optimizer_type;
        if optimizer == OptimizerType::Adafactor
            && self
                .optimizer()
                .is_ok_and(|config| !config.takes_schedule())
        {
            return Vec::new();
        }
        let usual = usual_learning_rates(optimizer);
        let text_encoder = self.effective_text_encoder_lrs();
        let rates = [
            ("unet_lr", self.trains_unet(), self.effective_unet_lr()),
            (
                "text_encoder_lr",
                self.trains_text_encoder(),
                text_encoder[0],
            ),
            (
                "text_encoder_lr",
                self.trains_text_encoder() && text_encoder[1] != text_encoder[0],
                text_encoder[1],
            ),
        ];
        let unusual = rates
            .into_iter()
            .filter(|(_, is_used, rate)| *is_used && *rate > 0.0 && !usual.contains(rate));
        let warning = |(key, _, rate): (&str, bool, f64)| match optimizer {
            _ if optimizer.adapts_learning_rate() => format!(
                "`{key}` is {rate:e}: {optimizer} finds the learning rate by itself and multiplies \
                 it by this; 1 is usual"
            ),
            OptimizerType::Adafactor => {
                format!("`{key}` is {rate:e}, far from the learning rates of {optimizer}")
            }
            _ => format!(
                "`{key}` is {rate:e}; learning rates of {optimizer} are from {:e} to {:e}",
                usual.start(),
                usual.end()
            ),
        };
        unusual.map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Compat;

    #[test]
    fn learning_rates_far_from_the_usual() {
        let base = || TrainConfig::new("base.safetensors", "images");
        for optimizer_type in OptimizerType::ALL {
            assert!(
                TrainConfig {
                    optimizer_type,
                    ..base()
                }
                .warnings()
                .is_empty(),
                "{optimizer_type}"
            );
        }
        let high = TrainConfig {
            unet_lr: Some(0.5),
            ..base()
        }
        .warnings();
        assert!(
            high.len() == 1 && high[0].contains("`unet_lr` is 5e-1"),
            "{high:?}"
        );
        let prodigy = TrainConfig {
            learning_rate: Some(1e-4),
            optimizer_type: OptimizerType::Prodigy,
            ..base()
        };
        let warnings = prodigy.warnings();
        assert!(
            warnings.len() == 2 && warnings[1].contains("`text_encoder_lr` is 1e-4: Prodigy finds"),
            "{warnings:?}"
        );
        let unet_only = TrainConfig {
            network_train_unet_only: true,
            ..prodigy
        };
        assert_eq!(unet_only.warnings().len(), 1);
        let frozen = TrainConfig {
            text_encoder_lr: vec![0.0],
            ..base()
        };
        assert!(frozen.warnings().is_empty());
        let frozen = TrainConfig {
            compat: Compat::SdScripts,
            ..frozen
        }
        .warnings();
        assert!(
            frozen.len() == 1 && frozen[0].contains("network_train_unet_only"),
            "{frozen:?}"
        );
    }

    #[test]
    fn what_does_not_suit_the_family() {
        let weights = Some(crate::config::BlockWeights::Numbers(vec![1.0; 12]));
        let config = TrainConfig {
            down_lr_weight: weights,
            clip_skip: Some(2),
            ..TrainConfig::new("", "")
        };
        assert!(config.family_warnings(Family::Sd1).is_empty());
        assert!(
            config.family_warnings(Family::Sdxl)[0].contains("has 12 numbers and SDXL 9 blocks")
        );
        assert!(config.family_warnings(Family::Sd2)[0].contains("`clip_skip`"));
    }
}
