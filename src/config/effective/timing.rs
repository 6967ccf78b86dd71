//! When files are saved and previews generated.

use crate::config::train_config::TrainConfig;

impl TrainConfig {
    /// True if a LoRA is saved after `epoch`, counted from 1, of `epochs`. The last epoch saves the
    /// result anyway.
    pub fn saves_after_epoch(&self, epoch: u32, epochs: u32) -> bool {
        epoch < epochs
            && self
                .epochs_between_saves(epochs)
                .is_some_and(|n| epoch.is_multiple_of(n))
    }

    /// `save_n_epoch_ratio` takes precedence over `save_every_n_epochs`, as in sd-scripts.
    fn epochs_between_saves(&self, epochs: u32) -> Option<u32> {
        self.save_n_epoch_ratio
            .map(|ratio| (epochs / ratio.max(1)).max(1))
            .or(self.save_every_n_epochs)
    }

    /// The epoch whose LoRA is deleted after that of `epoch` is saved.
    pub fn epoch_to_delete(&self, epoch: u32, epochs: u32) -> Option<u32> {
        let kept = self
            .save_last_n_epochs?
            .checked_mul(self.epochs_between_saves(epochs)?)?;
        epoch.checked_sub(kept).filter(|epoch| *epoch > 0)
    }

    /// True if a LoRA is saved after the update `step`, counted from 1.
    pub fn saves_after_step(&self, step: u64) -> bool {
        self.save_every_n_steps
            .is_some_and(|n| step.is_multiple_of(n.into()))
    }

    /// The update whose LoRA is deleted after that of `step` is saved.
    pub fn step_to_delete(&self, step: u64) -> Option<u64> {
        let (kept, interval) = (
            u64::from(self.save_last_n_steps?),
            u64::from(self.save_every_n_steps?),
        );
        let before = step.checked_sub(kept + 1)?;
        Some(before - before % interval).filter(|step| *step > 0)
    }

    /// True if previews are generated after `epoch`, counted from 1, of `epochs`. Without any
    /// interval they are generated once, after the last.
    pub fn previews_after_epoch(&self, epoch: u32, epochs: u32) -> bool {
        self.sample_prompts.is_some()
            && match (self.sample_every_n_epochs, self.sample_every_n_steps) {
                (Some(n), _) => epoch.is_multiple_of(n),
                (None, Some(_)) => false,
                (None, None) => epoch == epochs,
            }
    }

    /// True if previews are generated after the update `step`, counted from 1.
    pub fn previews_after_step(&self, step: u64) -> bool {
        self.sample_prompts.is_some()
            && self.sample_every_n_epochs.is_none()
            && self
                .sample_every_n_steps
                .is_some_and(|n| step.is_multiple_of(n.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        config.save_n_epoch_ratio = Some(100);
        assert_eq!(
            epochs(&config, TrainConfig::saves_after_epoch),
            [1, 2, 3, 4, 5]
        );
        config.save_n_epoch_ratio = None;

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

    #[test]
    fn old_files_are_deleted() {
        let config = TrainConfig {
            save_every_n_epochs: Some(2),
            ..TrainConfig::new("", "")
        };
        assert_eq!(config.epoch_to_delete(8, 10), None);
        let config = TrainConfig {
            save_last_n_epochs: Some(2),
            save_every_n_steps: Some(10),
            ..config
        };
        assert_eq!(
            [2, 4, 6, 8].map(|epoch| config.epoch_to_delete(epoch, 10)),
            [None, None, Some(2), Some(4)]
        );
        assert_eq!(config.step_to_delete(30), None);
        let config = TrainConfig {
            save_last_n_steps: Some(20),
            ..config
        };
        assert!(config.saves_after_step(30) && !config.saves_after_step(35));
        // Those of the last 20 updates are kept: 20, 30 and 40 after update 40.
        assert_eq!(
            [10, 20, 30, 40, 50].map(|step| config.step_to_delete(step)),
            [None, None, None, Some(10), Some(20)]
        );
    }
}
