//! Configuration files for people: with comments, and only what is not the default.

use lora_models::Family;

use super::file::line;
use super::options::{Group, OptionSpec, option, options};
use super::{Preset, TrainConfig, Value};

/// What the two paths are that every run needs.
const PATHS: [&str; 2] = ["pretrained_model_name_or_path", "train_data_dir"];

/// The options of a novice's file, besides the paths.
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
    /// The options that are not at their defaults or, with a preset, at those that it sets; `Null`
    /// where one that it sets is taken back.
    /// [`ConfigFile::from_options`](super::ConfigFile::from_options) makes this configuration of
    /// them.
    pub fn given_options(&self) -> Vec<(&'static OptionSpec, Value)> {
        let base = self.under_preset();
        let is_given = |spec: &&OptionSpec| {
            spec.get(self) != spec.get(&base) || spec.name == "preset" && self.preset.is_some()
        };
        options()
            .filter(is_given)
            .map(|spec| (spec, spec.get(self)))
            .collect()
    }

    /// The text of a configuration file with the options that are not at their defaults, by groups
    /// and with what they do as comments. Reading it gives this configuration.
    pub fn to_commented_toml(&self) -> String {
        let given = self.given_options();
        let mut text = String::new();
        let mut tables = String::new();
        for group in Group::ALL {
            let lines: Vec<String> = given
                .iter()
                .filter(|(spec, _)| spec.group == group)
                .filter_map(|(spec, value)| {
                    let lines = format!("{}{}", comment(spec.help), line(spec, value));
                    if value.is_object() {
                        tables = format!("{tables}\n{lines}");
                        return None;
                    }
                    Some(lines)
                })
                .collect();
            if !lines.is_empty() {
                text = format!(
                    "{text}{}# {}\n\n{}",
                    gap(&text),
                    group.title(),
                    lines.join("\n")
                );
            }
        }
        text + &tables
    }

    /// The text of a file to start from, for a base of this family, with what options do as
    /// comments: the few that matter most, or, for experts, all of them, out of effect at their
    /// defaults. The two paths are to be filled in.
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
    config.unet_lr = Some(config.unet_learning_rate());
    config.text_encoder_lr = vec![config.text_encoder_learning_rate()];
    let mut text = String::from(
        "# The values of SD-Trainer's novice form for what is not below.\npreset = \"novice\"\n",
    );
    for spec in NOVICE.iter().filter_map(|name| option(name)) {
        // Both are said to need only the UNet.
        let off = if family == Family::Sdxl && spec.name == "text_encoder_lr"
            || spec.name == "sample_prompts"
        {
            "#"
        } else {
            ""
        };
        let value = match spec.name {
            "sample_prompts" => {
                let size = config.resolution_for(family);
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
                "SDXL's text encoders are large and seldom need training.",
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
                Value::Null => format!("#{} = {}\n\n", spec.name, placeholder(spec)),
                value => format!("#{}\n", line(spec, &value)),
            };
        }
    }
    text
}

/// What stands for the value of an option that has none.
fn placeholder(spec: &OptionSpec) -> String {
    format!("…  # {}", spec.kind)
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
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
                Some(TrainConfig::new("", "").resolution_for(family)),
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
            // Taking a line into effect at its default changes nothing but what depends on the
            // family.
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
    fn what_differs_from_the_defaults_is_written_with_comments() {
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
