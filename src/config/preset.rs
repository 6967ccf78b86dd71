//! Presets: values for options that are not set.

use super::train_config::TrainConfig;
use super::values::{OptimizerType, Preset};

impl TrainConfig {
    /// Sets the options of a preset. With `novice`, [`resolved`](Self::resolved) then gives an SD
    /// 1.x base a `clip_skip` of 2 unless it is set. A file's preset is applied before the rest of
    /// the file.
    ///
    /// Of the hidden settings of SD-Trainer's novice form, those that are defaults here, paths and
    /// settings without effect here are left out.
    pub fn apply_preset(&mut self, preset: Option<Preset>) {
        self.preset = preset;
        match preset {
            Some(Preset::Novice) => {
                self.optimizer_type = OptimizerType::AdamW8bit;
                self.shuffle_caption = true;
                self.save_every_n_epochs = Some(2);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use lora_models::Family;

    use super::*;

    #[test]
    fn a_preset_sets_its_options() {
        let mut config = TrainConfig::new("base.safetensors", "images");
        config.set("preset", "novice").unwrap();
        assert_eq!(config.optimizer_type, OptimizerType::AdamW8bit);
        assert!(config.shuffle_caption);
        assert_eq!(config.save_every_n_epochs, Some(2));
        config.validate().unwrap();
        let clip_skips = Family::ALL.map(|family| config.resolved(family).clip_skip);
        assert_eq!(clip_skips, [Some(2), None, None]);
        config.clip_skip = Some(1);
        assert_eq!(config.resolved(Family::Sd1).clip_skip, Some(1));
    }
}
