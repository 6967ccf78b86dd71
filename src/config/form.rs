//! What SD-Trainer's form does to its keys before it trains, so that files that hold the form
//! itself mean the same here.

use super::entries::{self, Entry};
use super::foreign::UI_ONLY;
use super::options::option;
use super::{KeyClass, KeyUse, Value};
use crate::error::{Error, Problem};

/// Paths that the form writes with slashes.
const PATHS: [&str; 5] = [
    "pretrained_model_name_or_path",
    "train_data_dir",
    "reg_data_dir",
    "output_dir",
    "network_weights",
];
/// What the form leaves out for SDXL.
const NOT_FOR_SDXL: [&str; 4] = [
    "v2",
    "v_parameterization",
    "scale_v_pred_loss_like_noise_pred",
    "clip_skip",
];
const BLOCK_WEIGHTS: [&str; 4] = [
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
];
const PREVIEWS: [&str; 3] = ["sample_prompts", "sample_sampler", "sample_every_n_epochs"];

/// The entries of a file while its rules are applied.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) entries: Vec<Entry>,
    /// What became of the keys that are gone.
    pub(super) uses: Vec<KeyUse>,
    pub(super) problems: Vec<Problem>,
}

/// Applies the rules: those of sd-scripts' old flags to every file, those of the form to files that
/// hold its keys.
pub(super) fn rewrite(entries: Vec<Entry>) -> Form {
    let mut form = Form {
        entries,
        ..Form::default()
    };
    form.old_flags();
    if form
        .entries
        .iter()
        .any(|entry| UI_ONLY.contains(&entry.key.as_str()))
    {
        form.without_zero();
        form.slashes();
        form.without_sdxl_keys();
        form.without_lycoris();
        form.optimizer();
        form.block_weights();
        form.base_weights();
        form.custom_arguments();
        form.previews();
        form.custom_params();
    }
    form
}

impl Form {
    /// The form leaves out a discount of 0, which is a value here.
    fn without_zero(&mut self) {
        const DISCOUNT: &str = "multires_noise_discount";
        if self.find(DISCOUNT).is_some_and(Entry::is_off) {
            self.leave_out(&[DISCOUNT], KeyClass::Ignored, "off");
        }
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn is_on(&self, key: &str) -> bool {
        self.find(key).is_some_and(|entry| !entry.is_off())
    }

    fn text(&self, key: &str) -> String {
        self.find(key)
            .map_or_else(String::new, |entry| match &entry.value {
                Value::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            })
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place))
    }

    fn tell(&mut self, entry: &Entry, class: KeyClass, note: &str) {
        self.uses.push(KeyUse {
            key: entry.spelled.clone(),
            line: entry.line,
            class,
            note: note.into(),
        });
    }

    /// Leaves out keys, for a reason.
    fn leave_out(&mut self, keys: &[&str], class: KeyClass, note: &str) {
        for key in keys {
            while let Some(entry) = self.take(key) {
                self.tell(&entry, class, note);
            }
        }
    }

    fn old_flags(&mut self) {
        for (flag, optimizer) in [
            ("use_8bit_adam", "AdamW8bit"),
            ("use_lion_optimizer", "Lion"),
        ] {
            if self.is_on(flag)
                && let Some(entry) = self.take(flag)
            {
                self.tell(
                    &entry,
                    KeyClass::Used,
                    &format!("as `optimizer_type = \"{optimizer}\"`"),
                );
                self.entries
                    .push(entry.made_into("optimizer_type", optimizer.into()));
            }
        }
    }

    fn slashes(&mut self) {
        for entry in self
            .entries
            .iter_mut()
            .filter(|entry| PATHS.contains(&entry.key.as_str()))
        {
            if let Some(path) = entry.value.as_str() {
                entry.value = path.replace('\\', "/").into();
            }
        }
    }

    fn without_sdxl_keys(&mut self) {
        if self.text("model_train_type").starts_with("sdxl") {
            self.leave_out(
                &NOT_FOR_SDXL,
                KeyClass::Ignored,
                "SD-Trainer leaves it out for SDXL",
            );
        }
    }

    fn without_lycoris(&mut self) {
        let module = self.text("network_module").to_ascii_lowercase();
        let lycoris = [
            "lycoris_algo",
            "lokr_factor",
            "train_norm",
            "dropout",
            "conv_dim",
            "conv_alpha",
        ];
        match module.as_str() {
            // The module is refused, with what its settings amount to.
            "lycoris.kohya" | "networks.dylora" => {}
            _ => self.leave_out(
                &lycoris[3..],
                KeyClass::Ignored,
                "of `network_module = \"lycoris.kohya\"`",
            ),
        }
    }

    /// Adds to a list of `key=value` texts, in front of what the file itself says.
    fn prepend(&mut self, list: &str, pairs: Vec<String>, source: &Entry) {
        match self.entries.iter_mut().find(|entry| entry.key == list) {
            Some(entry) => {
                let mut all: Vec<Value> = pairs.into_iter().map(Value::from).collect();
                all.extend(items(&entry.value));
                entry.value = all.into();
            }
            None => self.entries.push(source.made_into(list, pairs.into())),
        }
    }

    fn optimizer(&mut self) {
        let name = self.text("optimizer_type").to_ascii_lowercase();
        let Some(optimizer) = self.find("optimizer_type").cloned() else {
            return;
        };
        let decoupled = ["decouple=True", "weight_decay=0.01"].map(str::to_owned);
        if name.starts_with("dada") {
            if ["dadaptation", "dadaptadam"].contains(&name.as_str()) {
                self.prepend("optimizer_args", decoupled.into(), &optimizer);
            }
            for key in ["learning_rate", "unet_lr", "text_encoder_lr"] {
                if let Some(entry) = self.take(key) {
                    self.tell(
                        &entry,
                        KeyClass::Used,
                        "1, which SD-Trainer's form takes for all DAdapt optimizers",
                    );
                    self.entries.push(entry.made_into(key, 1.into()));
                }
            }
        } else if name == "prodigy" {
            let mut pairs: Vec<String> = decoupled.into();
            pairs.push("use_bias_correction=True".into());
            let factor = self.take("prodigy_d_coef");
            let start = self.take("prodigy_d0");
            if self.is_on("lr_warmup_steps") {
                pairs.push("safeguard_warmup=True".into());
            }
            for (key, entry) in [("d_coef", factor), ("d0", start)] {
                let Some(entry) = entry else { continue };
                if entry.is_off() {
                    self.tell(&entry, KeyClass::Ignored, "off");
                    continue;
                }
                let value = entry
                    .value
                    .as_str()
                    .map_or_else(|| entry.value.to_string(), str::to_owned);
                pairs.push(format!("{key}={}", value.trim()));
                self.tell(&entry, KeyClass::Used, "in `optimizer_args`");
            }
            self.prepend("optimizer_args", pairs, &optimizer);
        }
    }

    fn block_weights(&mut self) {
        if self.is_on("enable_block_weights") {
            self.leave_out(
                &["enable_block_weights"],
                KeyClass::Used,
                "the weights of blocks are used",
            );
        } else {
            self.leave_out(
                &BLOCK_WEIGHTS,
                KeyClass::Ignored,
                "`enable_block_weights` is off",
            );
        }
    }

    /// Files and their strengths, one a line.
    fn base_weights(&mut self) {
        if !self.is_on("enable_base_weight") {
            let reason = "`enable_base_weight` is off";
            return self.leave_out(
                &["base_weights", "base_weights_multiplier"],
                KeyClass::Ignored,
                reason,
            );
        }
        self.leave_out(
            &["enable_base_weight"],
            KeyClass::Used,
            "the files of `base_weights` are merged",
        );
        for entry in &mut self.entries {
            if ["base_weights", "base_weights_multiplier"].contains(&entry.key.as_str())
                && let Some(text) = entry.value.as_str()
            {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                entry.value = lines.map(Value::from).collect::<Vec<_>>().into();
            }
        }
    }

    fn custom_arguments(&mut self) {
        for (custom, list) in [
            ("network_args_custom", "network_args"),
            ("optimizer_args_custom", "optimizer_args"),
        ] {
            if !self.is_on(custom) {
                continue;
            }
            let Some(entry) = self.take(custom) else {
                continue;
            };
            self.tell(&entry, KeyClass::Used, &format!("in `{list}`"));
            let given = self.take(list);
            let all: Vec<Value> = given
                .iter()
                .chain([&entry])
                .flat_map(|entry| items(&entry.value))
                .collect();
            self.entries
                .push(given.as_ref().unwrap_or(&entry).made_into(list, all.into()));
        }
    }

    fn previews(&mut self) {
        if !self.is_on("enable_preview") {
            return self.leave_out(&PREVIEWS, KeyClass::Ignored, "`enable_preview` is off");
        }
        self.leave_out(&["enable_preview"], KeyClass::Used, "previews are drawn");
        if self.is_on("prompt_file")
            && let Some(file) = self.take("prompt_file")
        {
            self.leave_out(
                &["sample_prompts"],
                KeyClass::Ignored,
                "`prompt_file` goes before",
            );
            self.tell(&file, KeyClass::Used, "as `sample_prompts`");
            self.entries
                .push(file.made_into("sample_prompts", file.value.clone()));
            let parts = [
                "positive_prompts",
                "negative_prompts",
                "sample_width",
                "sample_height",
                "sample_cfg",
            ];
            let parts = [
                &parts[..],
                &["sample_seed", "sample_steps", "randomly_choice_prompt"],
            ]
            .concat();
            return self.leave_out(&parts, KeyClass::Ignored, "`prompt_file` goes before");
        }
        if self.is_on("positive_prompts") && !self.is_on("randomly_choice_prompt") {
            self.leave_out(
                &["sample_prompts"],
                KeyClass::Ignored,
                "`positive_prompts` goes before",
            );
            self.prompt();
        }
    }

    /// The prompt that the form's fields make, in one line.
    fn prompt(&mut self) {
        let Some(positive) = self.take("positive_prompts") else {
            return;
        };
        let note = "in `sample_prompts`";
        let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let mut line = one_line(positive.text());
        self.tell(&positive, KeyClass::Used, note);
        if let Some(negative) = self.take("negative_prompts") {
            if !negative.is_off() {
                line = format!("{line} --n {}", one_line(negative.text()));
            }
            self.tell(&negative, KeyClass::Used, note);
        }
        for (key, flag, default) in [
            ("sample_width", "w", "512"),
            ("sample_height", "h", "512"),
            ("sample_cfg", "l", "7"),
            ("sample_steps", "s", "24"),
            ("sample_seed", "d", "2333"),
        ] {
            let value = if self.is_on(key) {
                self.text(key)
            } else {
                default.into()
            };
            line = format!("{line} --{flag} {value}");
            self.leave_out(&[key], KeyClass::Used, note);
        }
        self.entries
            .push(positive.made_into("sample_prompts", line.into()));
    }

    /// TOML text whose keys go over those of the form.
    fn custom_params(&mut self) {
        if !self.is_on("ui_custom_params") {
            return;
        }
        let Some(custom) = self.take("ui_custom_params") else {
            return;
        };
        let entries = match entries::parse(custom.value.as_str().unwrap_or_default()) {
            Ok(parsed) => parsed.entries,
            Err(problems) => {
                let text = Error::Config {
                    file: None,
                    problems,
                }
                .to_string();
                let mut problem = Problem::value("ui_custom_params", text, "TOML");
                problem.line = custom.line;
                return self.problems.push(problem);
            }
        };
        self.tell(
            &custom,
            KeyClass::Used,
            "its keys go before those of the form",
        );
        for entry in entries {
            let spec = option(&entry.key);
            let is_same = |other: &Entry| {
                let is_under = other.line.is_some() || custom.line.is_none();
                let is_name =
                    |name: &str| spec.is_some_and(|spec| spec.names().any(|known| known == name));
                is_under && (other.key == entry.key || is_name(&other.key))
            };
            let (replaced, kept): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.entries)
                .into_iter()
                .partition(is_same);
            self.entries = kept;
            for old in replaced {
                self.tell(&old, KeyClass::Ignored, "`ui_custom_params` goes before");
            }
            let spelled = format!("ui_custom_params: {}", entry.key);
            self.entries.push(Entry {
                spelled,
                line: custom.line,
                ..entry
            });
        }
    }
}

/// The items of a list, which may be one by itself.
fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    }
}

/// Whether an option of a few names is given as nothing, which is how forms write a choice that was
/// not made.
pub(super) fn is_unmade_choice(entry: &Entry) -> bool {
    let is_choice =
        option(&entry.key).is_some_and(|spec| matches!(spec.kind, super::Kind::Choice(_)));
    is_choice
        && entry
            .value
            .as_str()
            .is_some_and(|text| text.trim().is_empty())
}
