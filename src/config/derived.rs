//! What follows from the options.

use super::options;
use super::value::Mismatch;
use super::{Compat, TrainConfig};
use crate::config::Value;
use crate::error::{Error, Problem, ProblemKind, Result};

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainLength {
    /// Passes over the pictures.
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
        self.assign(name, &value.into()).map_err(|problem| Error::Config { file: None, problems: vec![problem] })
    }

    pub(super) fn assign(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        let Some(spec) = options::option(name) else {
            let nearest = options::nearest_option(name).map(Into::into);
            return Err(Problem::new(name, ProblemKind::Unknown { nearest }));
        };
        spec.set(self, value).map_err(|Mismatch { found, expected }| Problem::value(name, found, expected))
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
        self.unet_lr.or(self.learning_rate).unwrap_or_else(|| self.default_rate(1e-4))
    }

    /// The base learning rate of the first text encoder's adapters.
    pub fn text_encoder_learning_rate(&self) -> f64 {
        self.text_encoder_learning_rates()[0]
    }

    /// The base learning rates of the adapters of both text encoders of SDXL; other bases have the first alone.
    pub fn text_encoder_learning_rates(&self) -> [f64; 2] {
        match self.text_encoder_lr.as_slice() {
            [] => [self.learning_rate.unwrap_or_else(|| self.default_rate(1e-5)); 2],
            [both] => [*both; 2],
            [first, second, ..] => [*first, *second],
        }
    }

    /// Where the optimizer finds the rate, the one that is given is a factor of it.
    fn default_rate(&self, usual: f64) -> f64 {
        if self.optimizer_type.adapts_learning_rate() { 1.0 } else { usual }
    }

    /// Which layer's output of the text encoder is used, counted from the last, 1. 0, the embeddings, only as sd-scripts has it:
    /// else it is the same as not given.
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

    /// Alpha of linear layers and 1x1 convolutions.
    pub fn linear_alpha(&self) -> f64 {
        self.network_alpha.filter(|alpha| *alpha > 0.0).unwrap_or_else(|| self.network_dim.into())
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
        let strengths = self.base_weights_multiplier.iter().copied().chain(std::iter::repeat(1.0));
        self.base_weights.iter().map(std::path::PathBuf::as_path).zip(strengths)
    }

    /// Whether the UNet gets adapters.
    pub fn trains_unet(&self) -> bool {
        !self.network_train_text_encoder_only
    }

    /// Whether the text encoder gets adapters.
    pub fn trains_text_encoder(&self) -> bool {
        !self.network_train_unet_only
    }

    /// Whether a LoRA is saved after `epoch`, counted from 1, of `epochs`. The last one is saved anyhow, as the result.
    pub fn saves_after_epoch(&self, epoch: u32, epochs: u32) -> bool {
        let interval = match self.save_n_epoch_ratio {
            Some(ratio) => Some((epochs / ratio.max(1)).max(1)),
            None => self.save_every_n_epochs,
        };
        epoch < epochs && interval.is_some_and(|n| epoch.is_multiple_of(n))
    }

    /// Whether previews are drawn after `epoch`, counted from 1, of `epochs`. Without any interval they are drawn once,
    /// after the last.
    pub fn previews_after_epoch(&self, epoch: u32, epochs: u32) -> bool {
        self.sample_prompts.is_some()
            && match (self.sample_every_n_epochs, self.sample_every_n_steps) {
                (Some(n), _) => epoch.is_multiple_of(n),
                (None, Some(_)) => false,
                (None, None) => epoch == epochs,
            }
    }

    /// Whether previews are drawn after the update `step`, counted from 1.
    pub fn previews_after_step(&self, step: u64) -> bool {
        self.sample_prompts.is_some()
            && self.sample_every_n_epochs.is_none()
            && self.sample_every_n_steps.is_some_and(|n| step.is_multiple_of(n.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rates_fall_back() {
        let mut config = TrainConfig::new("", "");
        assert_eq!((config.unet_learning_rate(), config.text_encoder_learning_rate()), (1e-4, 1e-5));
        config.learning_rate = Some(3e-4);
        assert_eq!((config.unet_learning_rate(), config.text_encoder_learning_rate()), (3e-4, 3e-4));
        config.text_encoder_lr = vec![0.0];
        assert_eq!((config.unet_learning_rate(), config.text_encoder_learning_rate()), (3e-4, 0.0));
        config.text_encoder_lr = vec![1e-5, 2e-5];
        assert_eq!(config.text_encoder_learning_rates(), [1e-5, 2e-5]);
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
        let mut config = TrainConfig { network_dim: 8, ..TrainConfig::new("", "") };
        assert_eq!((config.linear_alpha(), config.conv_rank_and_alpha()), (8.0, None));
        config.network_alpha = Some(0.0);
        config.conv_dim = Some(4);
        assert_eq!((config.linear_alpha(), config.conv_rank_and_alpha()), (8.0, Some((4, 1.0))));
        config.network_alpha = Some(2.0);
        config.conv_alpha = Some(0.0);
        assert_eq!((config.linear_alpha(), config.conv_rank_and_alpha()), (2.0, Some((4, 4.0))));
    }

    #[test]
    fn a_clip_skip_of_zero() {
        let layer = |clip_skip, compat| TrainConfig { clip_skip, compat, ..TrainConfig::new("", "") }.clip_layer();
        assert_eq!([None, Some(0), Some(2)].map(|skip| layer(skip, Compat::None)), [1, 1, 2]);
        assert_eq!([None, Some(0), Some(2)].map(|skip| layer(skip, Compat::SdScripts)), [1, 0, 2]);
    }

    #[test]
    fn token_windows() {
        let windows = |length| TrainConfig { max_token_length: length, ..TrainConfig::new("", "") }.token_windows();
        assert_eq!([75, 150, 225, 255].map(windows), [1, 2, 3, 3]);
    }

    #[test]
    fn saves_and_previews() {
        let epochs = |config: &TrainConfig, due: fn(&TrainConfig, u32, u32) -> bool| -> Vec<u32> {
            (1..=6).filter(|epoch| due(config, *epoch, 6)).collect()
        };
        let mut config = TrainConfig::new("", "");
        assert!(epochs(&config, TrainConfig::saves_after_epoch).is_empty());
        config.save_every_n_epochs = Some(2);
        assert_eq!(epochs(&config, TrainConfig::saves_after_epoch), [2, 4]);

        config.save_n_epoch_ratio = Some(2);
        assert_eq!(epochs(&config, TrainConfig::saves_after_epoch), [3]);
        config.save_n_epoch_ratio = Some(9);
        assert_eq!(epochs(&config, TrainConfig::saves_after_epoch), [1, 2, 3, 4, 5]);

        config.sample_every_n_epochs = Some(3);
        assert!(epochs(&config, TrainConfig::previews_after_epoch).is_empty());
        config.sample_prompts = Some("a cat".into());
        assert_eq!(epochs(&config, TrainConfig::previews_after_epoch), [3, 6]);
        config.sample_every_n_steps = Some(10);
        assert!(!config.previews_after_step(10));
        config.sample_every_n_epochs = None;
        assert!(config.previews_after_step(20) && !config.previews_after_step(25));
        assert!(epochs(&config, TrainConfig::previews_after_epoch).is_empty());
        config.sample_every_n_steps = None;
        assert_eq!(epochs(&config, TrainConfig::previews_after_epoch), [6]);
    }
}
