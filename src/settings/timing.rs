//! The schedules of saving LoRA files and generating previews.

use crate::config::TrainConfig;

/// The schedule of saving before the end. The LoRA of the last epoch is always saved as the
/// result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SaveTiming {
    every_n_epochs: Option<u32>,
    /// The number of files that the whole run saves; takes precedence over `every_n_epochs`, as in
    /// sd-scripts.
    n_epoch_ratio: Option<u32>,
    every_n_steps: Option<u32>,
    last_n_epochs: Option<u32>,
    last_n_steps: Option<u32>,
}

impl SaveTiming {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            every_n_epochs: config.save_every_n_epochs,
            n_epoch_ratio: config.save_n_epoch_ratio,
            every_n_steps: config.save_every_n_steps,
            last_n_epochs: config.save_last_n_epochs,
            last_n_steps: config.save_last_n_steps,
        }
    }

    /// True if the LoRA is saved after `epoch`, counted from 1, of `epochs`.
    pub(crate) fn is_due_after_epoch(self, epoch: u32, epochs: u32) -> bool {
        epoch < epochs
            && self
                .epochs_between_saves(epochs)
                .is_some_and(|n| epoch.is_multiple_of(n))
    }

    fn epochs_between_saves(self, epochs: u32) -> Option<u32> {
        self.n_epoch_ratio
            .map(|ratio| (epochs / ratio.max(1)).max(1))
            .or(self.every_n_epochs)
    }

    /// The epoch whose file is deleted once that of `epoch` is saved.
    pub(crate) fn epoch_to_delete(self, epoch: u32, epochs: u32) -> Option<u32> {
        let kept = self
            .last_n_epochs?
            .checked_mul(self.epochs_between_saves(epochs)?)?;
        epoch.checked_sub(kept).filter(|epoch| *epoch > 0)
    }

    /// True if the LoRA is saved after the update `step`, counted from 1.
    pub(crate) fn is_due_after_step(self, step: u64) -> bool {
        self.every_n_steps
            .is_some_and(|n| step.is_multiple_of(n.into()))
    }

    /// The update whose file is deleted once that of `step` is saved.
    pub(crate) fn step_to_delete(self, step: u64) -> Option<u64> {
        let kept = u64::from(self.last_n_steps?);
        let interval = u64::from(self.every_n_steps?);
        let before = step.checked_sub(kept + 1)?;
        Some(before - before % interval).filter(|step| *step > 0)
    }
}

/// The schedule of previews. Without prompts, none are generated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviewTiming {
    has_prompts: bool,
    at_first: bool,
    every_n_epochs: Option<u32>,
    every_n_steps: Option<u32>,
}

impl PreviewTiming {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            has_prompts: config.sample_prompts.is_some(),
            at_first: config.sample_at_first,
            every_n_epochs: config.sample_every_n_epochs,
            every_n_steps: config.sample_every_n_steps,
        }
    }

    /// True if previews are generated before the first update.
    pub(crate) fn is_due_at_first(self) -> bool {
        self.has_prompts && self.at_first
    }

    /// True if previews are generated after `epoch`, counted from 1, of `epochs`. Without any
    /// interval, they are generated once, after the last.
    pub(crate) fn is_due_after_epoch(self, epoch: u32, epochs: u32) -> bool {
        self.has_prompts
            && match (self.every_n_epochs, self.every_n_steps) {
                (Some(n), _) => epoch.is_multiple_of(n),
                (None, Some(_)) => false,
                (None, None) => epoch == epochs,
            }
    }

    /// True if previews are generated after the update `step`, counted from 1.
    pub(crate) fn is_due_after_step(self, step: u64) -> bool {
        self.has_prompts
            && self.every_n_epochs.is_none()
            && self
                .every_n_steps
                .is_some_and(|n| step.is_multiple_of(n.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_epochs(is_due: impl Fn(u32, u32) -> bool) -> Vec<u32> {
        (1..=6).filter(|epoch| is_due(*epoch, 6)).collect()
    }

    #[test]
    fn saves() {
        let due = |config: &TrainConfig| {
            let saves = SaveTiming::new(config);
            due_epochs(|epoch, epochs| saves.is_due_after_epoch(epoch, epochs))
        };
        let mut config = TrainConfig::new("", "");
        assert!(due(&config).is_empty());
        config.save_every_n_epochs = Some(2);
        assert_eq!(due(&config), [2, 4]);
        config.save_n_epoch_ratio = Some(2);
        assert_eq!(due(&config), [3]);
        config.save_n_epoch_ratio = Some(100);
        assert_eq!(due(&config), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn previews() {
        let due = |config: &TrainConfig| {
            let previews = PreviewTiming::new(config);
            due_epochs(|epoch, epochs| previews.is_due_after_epoch(epoch, epochs))
        };
        let mut config = TrainConfig::new("", "");
        config.sample_every_n_epochs = Some(3);
        assert!(due(&config).is_empty());
        config.sample_prompts = Some("a cat".into());
        assert_eq!(due(&config), [3, 6]);
        config.sample_every_n_steps = Some(10);
        assert!(!PreviewTiming::new(&config).is_due_after_step(10));
        config.sample_every_n_epochs = None;
        let previews = PreviewTiming::new(&config);
        assert!(previews.is_due_after_step(20) && !previews.is_due_after_step(25));
        assert!(due(&config).is_empty());
        config.sample_every_n_steps = None;
        assert_eq!(due(&config), [6]);
    }

    #[test]
    fn old_files_are_deleted() {
        let config = TrainConfig {
            save_every_n_epochs: Some(2),
            ..TrainConfig::new("", "")
        };
        assert_eq!(SaveTiming::new(&config).epoch_to_delete(8, 10), None);
        let config = TrainConfig {
            save_last_n_epochs: Some(2),
            save_every_n_steps: Some(10),
            ..config
        };
        let saves = SaveTiming::new(&config);
        assert_eq!(
            [2, 4, 6, 8].map(|epoch| saves.epoch_to_delete(epoch, 10)),
            [None, None, Some(2), Some(4)]
        );
        assert_eq!(saves.step_to_delete(30), None);
        let config = TrainConfig {
            save_last_n_steps: Some(20),
            ..config
        };
        let saves = SaveTiming::new(&config);
        assert!(saves.is_due_after_step(30) && !saves.is_due_after_step(35));
        // Those of the last 20 updates are kept: 20, 30 and 40 after update 40.
        assert_eq!(
            [10, 20, 30, 40, 50].map(|step| saves.step_to_delete(step)),
            [None, None, None, Some(10), Some(20)]
        );
    }
}
