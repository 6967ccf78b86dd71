//! Configuration files for people: with comments, and only options that differ from the defaults.

use lora_models::Family;
use serde_json::Value;

use super::write::line;
use crate::config::options::{Group, OptionSpec, option, options};
use crate::config::train_config::TrainConfig;
use crate::config::values::Preset;

/// The two paths that every run needs.
const PATHS: [&str; 2] = ["pretrained_model_name_or_path", "train_data_dir"];

/// The options of a novice's file after the paths.
const NOVICE: [&str; 12] = [
    "output_name",
    "output_dir",
    "resolution",
    "max_train_epochs",
    "train_batch_size",
    "unet_lr",
    "text_encoder_lr",
    "lr_scheduler",
    "network_dim",
    "network_alpha",
    "save_every_n_epochs",
    "sample_prompts",
];

impl TrainConfig {
    /// The options that differ from the defaults or, with a preset, from its values; `Null` for an
    /// option of the preset that is unset.
    /// [`ConfigFile::from_options`](super::ConfigFile::from_options) reads them back to this
    /// configuration.
    pub fn given_options(&self) -> Vec<(&'static OptionSpec, Value)> {
        let base = self.under_preset();
        options()
            .map(|spec| (spec, spec.get(self)))
            .filter(|(spec, value)| {
                *value != spec.get(&base) || spec.name == "preset" && self.preset.is_some()
            })
            .collect()
    }

    /// The text of a configuration file with the options that differ from the defaults, by groups
    /// and with comments. Reading it gives this configuration.
    pub fn to_commented_toml(&self) -> String {
        let mut text = String::new();
        let mut tables = String::new();
        let mut last_group = None;
        for (spec, value) in self.given_options() {
            let lines = format!("{}{}", comment(spec.help), line(spec, &value));
            if value.is_object() {
                tables += &format!("\n{lines}");
                continue;
            }
            if last_group != Some(spec.group) {
                last_group = Some(spec.group);
                let gap = if text.is_empty() { "" } else { "\n" };
                text += &format!("{gap}# {}\n", spec.group.title());
            }
            text += &format!("\n{lines}");
        }
        text + &tables
    }

    /// The text of a file to start from, for a base of this family, with comments: the options that
    /// matter most, or, for experts, all options, commented out at their defaults. The two paths
    /// are left to fill in.
    pub fn starting_toml(family: Family, is_expert: bool) -> String {
        let mut config = Self::new("", "");
        let mut text = format!(
            "# A LoRA for {family}. Fill in the two paths, then run\n#   lora-trainer check \
             FILE\n#   lora-trainer train FILE\n"
        );
        text += "# `lora-trainer options` explains every option.\n\n";
        if !is_expert {
            config.apply_preset(Some(Preset::Novice));
        }
        let config = Self {
            max_train_epochs: Some(10),
            network_alpha: Some(16.0),
            ..config.resolved(family)
        };
        for spec in options().filter(|spec| PATHS.contains(&spec.name)) {
            text += &format!("{}{} = \"\"\n\n", comment(spec.help), spec.name);
        }
        if is_expert {
            text + &all_options(family)
        } else {
            text + &novice_options(&config, family)
        }
    }
}

fn novice_options(config: &TrainConfig, family: Family) -> String {
    let mut config = config.clone();
    config.unet_lr = Some(config.effective_unet_lr());
    config.text_encoder_lr = vec![config.effective_text_encoder_lr()];
    let mut text = String::from(
        "# The values of SD-Trainer's novice preset for options that are not below.\n\
         preset = \"novice\"\n",
    );
    for spec in NOVICE.iter().filter_map(|name| option(name)) {
        // SDXL trains the UNet only, and previews need the user's own prompts.
        let off = if family == Family::Sdxl && spec.name == "text_encoder_lr"
            || spec.name == "sample_prompts"
        {
            "#"
        } else {
            ""
        };
        let value = match spec.name {
            "sample_prompts" => {
                let size = config.family_options(family).resolution;
                format!(
                    "a cat --n lowres --w {} --h {} --s 24 --l 7 --d 1",
                    size.width, size.height
                )
                .into()
            }
            _ => spec.get(&config),
        };
        text += &format!("\n{}{off}{}", comment(spec.help), line(spec, &value));
    }
    if family == Family::Sdxl {
        for (name, why) in [
            (
                "network_train_unet_only",
                "SDXL's text encoders are large and rarely need training.",
            ),
            ("gradient_checkpointing", "SDXL needs much memory."),
        ] {
            text += &format!("\n# {why}\n{name} = true\n");
        }
    }
    text
}

fn all_options(family: Family) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        text += &format!("# ---- {} ----\n\n", group.title());
        for spec in group
            .options()
            .iter()
            .filter(|spec| !PATHS.contains(&spec.name) && spec.families.contains(&family))
        {
            let value = spec.default_for(family);
            text += &comment(spec.help);
            text += &match value {
                Value::Null => format!("#{} = …  # {}\n\n", spec.name, spec.kind),
                value => format!("#{}\n", line(spec, &value)),
            };
        }
    }
    text
}

/// A comment in lines that fit a screen.
fn comment(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        if lines
            .last()
            .is_some_and(|line| line.chars().count() + 1 + word.chars().count() > WIDTH)
        {
            lines.push("#".into());
        }
        if let Some(line) = lines.last_mut() {
            *line = format!("{line} {word}");
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn read(text: &str) -> TrainConfig {
        let text = PATHS.iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{name} = \"\""), &format!("{name} = \"there\""))
        });
        let (file, problems) = ConfigFile::parse(&text, &[]).unwrap();
        assert_eq!(problems, [], "{text}");
        file.config
    }

    #[test]
    fn starting_files_are_read() {
        for family in Family::ALL {
            let novice = TrainConfig::starting_toml(family, false);
            let config = read(&novice);
            assert_eq!(
                config.resolution,
                Some(TrainConfig::new("", "").family_options(family).resolution),
                "{novice}"
            );
            assert!(
                config.preset == Some(Preset::Novice) && config.shuffle_caption,
                "{novice}"
            );
            assert_eq!(config.network_train_unet_only, family == Family::Sdxl);
            assert!(
                novice
                    .lines()
                    .filter(|line| line.contains(" = ") && !line.starts_with('#'))
                    .count()
                    <= 17,
                "{novice}"
            );
            assert!(novice.lines().all(|line| line.chars().count() <= 120));

            let expert = TrainConfig::starting_toml(family, true);
            assert_eq!(read(&expert), TrainConfig::new("there", "there"));
            // Uncommenting a line changes only options that depend on the family.
            let lines = expert.lines().filter_map(|line| line.strip_prefix('#'));
            let options = lines.filter(|line| option(line.split(" = ").next().unwrap()).is_some());
            let with: String = options
                .filter(|line| !line.contains('…'))
                .map(|line| format!("{line}\n"))
                .collect();
            let with = format!(
                "pretrained_model_name_or_path = 'there'\ntrain_data_dir = 'there'\n{with}"
            );
            assert_eq!(
                read(&with),
                TrainConfig::new("there", "there").resolved(family),
                "{with}"
            );
        }
    }

    #[test]
    fn differences_from_the_defaults_are_written_with_comments() {
        let mut config = TrainConfig::new("base.safetensors", "images");
        config.apply_preset(Some(Preset::Novice));
        config.save_every_n_epochs = None;
        config.shuffle_caption = false;
        config.text_encoder_lr = vec![1e-5];
        config.model_config.vae.scaling_factor = Some(0.5);
        let text = config.to_commented_toml();
        assert_eq!(read(&text), config, "{text}");
        for part in [
            "# Base model\n",
            "# The base checkpoint",
            "preset = \"novice\"\n",
            "save_every_n_epochs = \"\"\n",
            "shuffle_caption = false\n",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(
            !text.contains("seed") && !text.contains("optimizer_type"),
            "{text}"
        );
        assert_eq!(read(&config.to_toml()), config);
    }
}
