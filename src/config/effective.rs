//! Effective values: what options come to together with others and with their defaults.

use std::iter::repeat;
use std::path::Path;

use lora_core::optim::OptimizerConfig;

use super::train_config::TrainConfig;
use super::values::{Compat, optimizer_config};
use crate::error::{Error, Result};

pub(super) mod block_weights;
mod schedule;

/// The length of a run, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainLength {
    /// A number of epochs.
    Epochs(u32),
    /// A number of optimizer updates.
    Steps(u64),
}

impl TrainConfig {
    /// The length of the run.
    pub fn length(&self) -> TrainLength {
        match (self.max_train_epochs, self.max_train_steps) {
            (Some(epochs), _) => TrainLength::Epochs(epochs),
            (None, Some(steps)) => TrainLength::Steps(steps),
            (None, None) => TrainLength::Epochs(10),
        }
    }

    /// The optimizer with its settings.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that it does not have; a valid configuration has none.
    pub fn optimizer(&self) -> Result<OptimizerConfig> {
        optimizer_config(self.optimizer_type, &self.optimizer_args)
            .map_err(|mismatch| Error::option("optimizer_args", mismatch))
    }

    /// The base learning rate of the UNet's adapters.
    pub fn effective_unet_lr(&self) -> f64 {
        self.unet_lr
            .or(self.learning_rate)
            .unwrap_or_else(|| self.default_rate(1e-4))
    }

    /// The base learning rate of the first text encoder's adapters.
    pub fn effective_text_encoder_lr(&self) -> f64 {
        self.effective_text_encoder_lrs()[0]
    }

    /// The base learning rates of the adapters of both text encoders of SDXL; other bases have the
    /// first alone.
    pub fn effective_text_encoder_lrs(&self) -> [f64; 2] {
        match self.text_encoder_lr.as_slice() {
            [] => {
                [self.learning_rate
                    .unwrap_or_else(|| self.default_rate(1e-5)); 2]
            }
            [both] => [*both; 2],
            // sd-scripts takes a list and uses its first number.
            [first, ..] if self.compat == Compat::SdScripts => [*first; 2],
            [first, second, ..] => [*first, *second],
        }
    }

    /// The default learning rate: 1 if the optimizer adapts the rate and the option is a factor on
    /// it.
    fn default_rate(&self, usual: f64) -> f64 {
        if self.optimizer_type.adapts_learning_rate() {
            1.0
        } else {
            usual
        }
    }

    /// The hidden layer of the text encoder that is used, counted from the last one, 1. 0, the
    /// embeddings, has this meaning in sd-scripts only; else it means unset.
    pub fn effective_clip_skip(&self) -> u32 {
        match self.clip_skip {
            Some(0) if self.compat == Compat::SdScripts => 0,
            None | Some(0) => 1,
            Some(skip) => skip,
        }
    }

    /// Gamma of min-SNR weighting; `None` for no weighting, which 0 means, too, as in sd-scripts.
    pub fn effective_min_snr_gamma(&self) -> Option<f64> {
        self.min_snr_gamma.filter(|gamma| *gamma > 0.0)
    }

    /// True if the noise schedule has zero terminal SNR: as configured, else as the base was
    /// trained.
    pub(crate) fn effective_zero_terminal_snr(&self, base_is_zero_terminal: bool) -> bool {
        self.zero_terminal_snr.unwrap_or(base_is_zero_terminal)
    }

    /// Alpha of linear layers and 1x1 convolutions.
    pub fn effective_network_alpha(&self) -> f64 {
        self.network_alpha
            .filter(|alpha| *alpha > 0.0)
            .unwrap_or_else(|| self.network_dim.into())
    }

    /// Rank and alpha of 3x3 convolutions; `None` if these get no adapters.
    pub fn effective_conv_dim_and_alpha(&self) -> Option<(u32, f64)> {
        let rank = self.conv_dim?;
        let alpha = self.conv_alpha.unwrap_or(1.0);
        Some((rank, if alpha > 0.0 { alpha } else { rank.into() }))
    }

    /// The number of windows of 75 tokens that a caption is split into: 1, 2 or 3.
    pub fn token_windows(&self) -> usize {
        // 255 is no multiple of 75; sd-scripts' loop over windows gives three.
        (self.max_token_length / 75) as usize
    }

    /// The files of `base_weights`, each with its strength.
    pub fn merged_files(&self) -> impl Iterator<Item = (&Path, f64)> {
        let strengths = self
            .base_weights_multiplier
            .iter()
            .copied()
            .chain(repeat(1.0));
        self.base_weights.iter().map(AsRef::as_ref).zip(strengths)
    }

    /// True if the UNet gets adapters: unless only the text encoder is trained, or `unet_lr` is 0
    /// and the text encoder has another rate.
    pub fn trains_unet(&self) -> bool {
        let is_frozen = self.unet_lr == Some(0.0) && self.effective_text_encoder_lrs() != [0.0; 2];
        let is_left_out = is_frozen && self.leaves_out_frozen() && !self.network_train_unet_only;
        !self.network_train_text_encoder_only && !is_left_out
    }

    /// True if the text encoder gets adapters: unless only the UNet is trained, or
    /// `text_encoder_lr` is 0 and the UNet has another rate.
    pub fn trains_text_encoder(&self) -> bool {
        let is_zero = !self.text_encoder_lr.is_empty()
            && self.text_encoder_lr.iter().all(|rate| *rate == 0.0);
        let is_frozen = is_zero && self.effective_unet_lr() != 0.0;
        let is_left_out =
            is_frozen && self.leaves_out_frozen() && !self.network_train_text_encoder_only;
        !self.network_train_unet_only && !is_left_out
    }

    /// True if a network with learning rate 0 gets no adapters; in sd-scripts it gets adapters that
    /// never change.
    fn leaves_out_frozen(&self) -> bool {
        self.compat == Compat::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rates_fall_back() {
        let mut config = TrainConfig::new("", "");
        assert_eq!(
            (
                config.effective_unet_lr(),
                config.effective_text_encoder_lr()
            ),
            (1e-4, 1e-5)
        );
        config.learning_rate = Some(3e-4);
        assert_eq!(
            (
                config.effective_unet_lr(),
                config.effective_text_encoder_lr()
            ),
            (3e-4, 3e-4)
        );
        config.text_encoder_lr = vec![0.0];
        assert_eq!(
            (
                config.effective_unet_lr(),
                config.effective_text_encoder_lr()
            ),
            (3e-4, 0.0)
        );
        config.text_encoder_lr = vec![1e-5, 2e-5];
        assert_eq!(config.effective_text_encoder_lrs(), [1e-5, 2e-5]);
    }

    #[test]
    fn a_network_with_learning_rate_0_is_left_out() {
        let trained = |config: TrainConfig| (config.trains_unet(), config.trains_text_encoder());
        let base = || TrainConfig::new("", "");
        let (frozen_text, frozen_unet) = (vec![0.0], Some(0.0));
        assert_eq!(trained(base()), (true, true));
        assert_eq!(
            trained(TrainConfig {
                text_encoder_lr: frozen_text.clone(),
                ..base()
            }),
            (true, false)
        );
        assert_eq!(
            trained(TrainConfig {
                unet_lr: frozen_unet,
                ..base()
            }),
            (false, true)
        );
        // Nothing would be left to train.
        assert_eq!(
            trained(TrainConfig {
                learning_rate: Some(0.0),
                ..base()
            }),
            (true, true)
        );
        let both = TrainConfig {
            unet_lr: frozen_unet,
            text_encoder_lr: frozen_text.clone(),
            ..base()
        };
        assert_eq!(trained(both), (true, true));
        let as_sd_scripts = TrainConfig {
            text_encoder_lr: frozen_text,
            compat: Compat::SdScripts,
            ..base()
        };
        assert_eq!(trained(as_sd_scripts), (true, true));
    }

    #[test]
    fn epochs_take_precedence_over_steps() {
        let mut config = TrainConfig::new("", "");
        assert_eq!(config.length(), TrainLength::Epochs(10));
        config.max_train_steps = Some(7);
        assert_eq!(config.length(), TrainLength::Steps(7));
        config.max_train_epochs = Some(2);
        assert_eq!(config.length(), TrainLength::Epochs(2));
    }

    #[test]
    fn alpha_defaults() {
        let mut config = TrainConfig {
            network_dim: 8,
            ..TrainConfig::new("", "")
        };
        assert_eq!(
            (
                config.effective_network_alpha(),
                config.effective_conv_dim_and_alpha()
            ),
            (8.0, None)
        );
        config.network_alpha = Some(0.0);
        config.conv_dim = Some(4);
        assert_eq!(
            (
                config.effective_network_alpha(),
                config.effective_conv_dim_and_alpha()
            ),
            (8.0, Some((4, 1.0)))
        );
        config.network_alpha = Some(2.0);
        config.conv_alpha = Some(0.0);
        assert_eq!(
            (
                config.effective_network_alpha(),
                config.effective_conv_dim_and_alpha()
            ),
            (2.0, Some((4, 4.0)))
        );
    }

    #[test]
    fn a_clip_skip_of_zero() {
        let layer = |clip_skip, compat| {
            TrainConfig {
                clip_skip,
                compat,
                ..TrainConfig::new("", "")
            }
            .effective_clip_skip()
        };
        assert_eq!(
            [None, Some(0), Some(2)].map(|skip| layer(skip, Compat::None)),
            [1, 1, 2]
        );
        assert_eq!(
            [None, Some(0), Some(2)].map(|skip| layer(skip, Compat::SdScripts)),
            [1, 0, 2]
        );
    }

    #[test]
    fn token_windows() {
        let windows = |length| {
            TrainConfig {
                max_token_length: length,
                ..TrainConfig::new("", "")
            }
            .token_windows()
        };
        assert_eq!([75, 150, 225, 255].map(windows), [1, 2, 3, 3]);
    }
}
