//! What follows from the options.

use super::options;
use super::value::Mismatch;
use super::{Compat, TrainConfig};
use crate::config::Value;
use crate::error::{Error, Problem, ProblemKind, Result};

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainLength {
    /// Passes over the images.
    Epochs(u32),
    /// Updates.
    Steps(u64),
}

impl TrainConfig {
    /// Sets an option by its name or alias. Numbers and flags may be given as text.
    ///
    /// # Errors
    /// [`Error::Config`], naming the option, what was found and what was expected.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.assign(name, &value.into())
            .map_err(|problem| Error::Config {
                file: None,
                problems: vec![problem],
            })
    }

    pub(super) fn assign(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        let Some(spec) = options::option(name) else {
            let nearest = options::nearest_option(name).map(Into::into);
            return Err(Problem::new(name, ProblemKind::Unknown { nearest }));
        };
        spec.set(self, value)
            .map_err(|Mismatch { found, expected }| Problem::value(name, found, expected))
    }

    /// The length of the run.
    pub fn length(&self) -> TrainLength {
        match (self.max_train_epochs, self.max_train_steps) {
            (Some(epochs), _) => TrainLength::Epochs(epochs),
            (None, Some(steps)) => TrainLength::Steps(steps),
            (None, None) => TrainLength::Epochs(10),
        }
    }

    /// The base learning rate of the UNet's adapters.
    pub fn unet_learning_rate(&self) -> f64 {
        self.unet_lr
            .or(self.learning_rate)
            .unwrap_or_else(|| self.default_rate(1e-4))
    }

    /// The base learning rate of the first text encoder's adapters.
    pub fn text_encoder_learning_rate(&self) -> f64 {
        self.text_encoder_learning_rates()[0]
    }

    /// The base learning rates of the adapters of both text encoders of SDXL; other bases have the
    /// first alone.
    pub fn text_encoder_learning_rates(&self) -> [f64; 2] {
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

    /// Where the optimizer finds the rate, the one that is given is a factor of it.
    fn default_rate(&self, usual: f64) -> f64 {
        if self.optimizer_type.adapts_learning_rate() {
            1.0
        } else {
            usual
        }
    }

    /// Which layer's output of the text encoder is used, counted from the last, 1. 0, the
    /// embeddings, only as sd-scripts has it: else it is the same as not given.
    pub fn clip_layer(&self) -> u32 {
        match self.clip_skip {
            Some(0) if self.compat == Compat::SdScripts => 0,
            None | Some(0) => 1,
            Some(skip) => skip,
        }
    }

    /// Gamma of min-SNR weighting, where it is wanted; sd-scripts, too, takes 0 as off.
    pub fn min_snr(&self) -> Option<f64> {
        self.min_snr_gamma.filter(|gamma| *gamma > 0.0)
    }

    /// Whether the noise schedule ends in nothing but noise: as the configuration says, else as the
    /// base was trained.
    pub(crate) fn ends_in_noise(&self, base_is_zero_terminal: bool) -> bool {
        self.zero_terminal_snr.unwrap_or(base_is_zero_terminal)
    }

    /// Alpha of linear layers and 1x1 convolutions.
    pub fn linear_alpha(&self) -> f64 {
        self.network_alpha
            .filter(|alpha| *alpha > 0.0)
            .unwrap_or_else(|| self.network_dim.into())
    }

    /// Rank and alpha of 3x3 convolutions, where these get adapters.
    pub fn conv_rank_and_alpha(&self) -> Option<(u32, f64)> {
        let rank = self.conv_dim?;
        let alpha = self.conv_alpha.unwrap_or(1.0);
        Some((rank, if alpha > 0.0 { alpha } else { rank.into() }))
    }

    /// Windows of 75 tokens that a caption is cut into: 1, 2 or 3.
    pub fn token_windows(&self) -> usize {
        // 255 is no multiple of 75: sd-scripts' loop over windows gives three.
        (self.max_token_length / 75) as usize
    }

    /// The files of `base_weights`, each with its strength.
    pub fn merged_files(&self) -> impl Iterator<Item = (&std::path::Path, f64)> {
        let strengths = self
            .base_weights_multiplier
            .iter()
            .copied()
            .chain(std::iter::repeat(1.0));
        self.base_weights
            .iter()
            .map(std::path::PathBuf::as_path)
            .zip(strengths)
    }

    /// Whether the UNet gets adapters: not where only the text encoder is trained, or where
    /// `unet_lr` is 0 and it is not the only rate.
    pub fn trains_unet(&self) -> bool {
        let is_frozen = self.unet_lr == Some(0.0) && self.text_encoder_learning_rates() != [0.0; 2];
        let is_left_out = is_frozen && self.leaves_out_frozen() && !self.network_train_unet_only;
        !self.network_train_text_encoder_only && !is_left_out
    }

    /// Whether the text encoder gets adapters: not where only the UNet is trained, or where
    /// `text_encoder_lr` is 0 and it is not the only rate.
    pub fn trains_text_encoder(&self) -> bool {
        let is_zero = !self.text_encoder_lr.is_empty()
            && self.text_encoder_lr.iter().all(|rate| *rate == 0.0);
        let is_frozen = is_zero && self.unet_learning_rate() != 0.0;
        let is_left_out =
            is_frozen && self.leaves_out_frozen() && !self.network_train_text_encoder_only;
        !self.network_train_unet_only && !is_left_out
    }

    /// Whether a network without learning rate gets no adapters; in sd-scripts it gets some that
    /// stay as they are.
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
                config.unet_learning_rate(),
                config.text_encoder_learning_rate()
            ),
            (1e-4, 1e-5)
        );
        config.learning_rate = Some(3e-4);
        assert_eq!(
            (
                config.unet_learning_rate(),
                config.text_encoder_learning_rate()
            ),
            (3e-4, 3e-4)
        );
        config.text_encoder_lr = vec![0.0];
        assert_eq!(
            (
                config.unet_learning_rate(),
                config.text_encoder_learning_rate()
            ),
            (3e-4, 0.0)
        );
        config.text_encoder_lr = vec![1e-5, 2e-5];
        assert_eq!(config.text_encoder_learning_rates(), [1e-5, 2e-5]);
    }

    #[test]
    fn a_network_without_learning_rate_is_left_out() {
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
        // Then nothing would be left to be trained.
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
    fn epochs_go_before_steps() {
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
            (config.linear_alpha(), config.conv_rank_and_alpha()),
            (8.0, None)
        );
        config.network_alpha = Some(0.0);
        config.conv_dim = Some(4);
        assert_eq!(
            (config.linear_alpha(), config.conv_rank_and_alpha()),
            (8.0, Some((4, 1.0)))
        );
        config.network_alpha = Some(2.0);
        config.conv_alpha = Some(0.0);
        assert_eq!(
            (config.linear_alpha(), config.conv_rank_and_alpha()),
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
            .clip_layer()
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
