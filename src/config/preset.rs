//! Presets: values for options that are not given.

use serde_json::json;

use super::{Preset, TrainConfig, Value, options};

impl Preset {
    /// The options that it sets. Of what SD-Trainer's novice form has behind the scenes, values
    /// that are the defaults here anyhow, paths, and what is of no use here are left out.
    /// `clip_skip`, which is 2 for SD 1.x, follows with the family.
    pub fn values(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Novice => vec![
                ("optimizer_type", json!("AdamW8bit")),
                ("shuffle_caption", json!(true)),
                ("save_every_n_epochs", json!(2)),
            ],
        }
    }
}

impl TrainConfig {
    /// Sets the options of a preset, over what they are. With `novice`,
    /// [`resolved`](Self::resolved) then takes 2 for a `clip_skip` that is not given, of SD 1.x. A
    /// file's preset is applied before the rest of the file.
    pub fn apply_preset(&mut self, preset: Option<Preset>) {
        self.preset = preset;
        for (name, value) in preset.map(Preset::values).unwrap_or_default() {
            let is_set = options::option(name).is_some_and(|spec| spec.set(self, &value).is_ok());
            debug_assert!(is_set, "{name} = {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use lora_models::Family;

    use super::*;

    #[test]
    fn a_preset_sets_what_it_says() {
        let mut config = TrainConfig::new("base.safetensors", "images");
        config.set("preset", "novice").unwrap();
        for (name, value) in Preset::Novice.values() {
            assert_eq!(options::option(name).unwrap().get(&config), value, "{name}");
        }
        config.validate().unwrap();
        assert_eq!(
            Family::ALL.map(|family| config.resolved(family).clip_skip),
            [Some(2), None, None]
        );
        config.clip_skip = Some(1);
        assert_eq!(config.resolved(Family::Sd1).clip_skip, Some(1));
    }
}
