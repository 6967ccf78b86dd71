//! The entries about optimizer, objective and adapters.

use std::collections::BTreeMap;

use super::python::{argument, json};
use super::{Entries, python_float};
use crate::config::{NETWORK_ARGS, OptimizerType, TrainConfig, Value, WarmupSteps, option};

impl Entries {
    pub(super) fn optimizer(&mut self, config: &TrainConfig) {
        // Without `learning_rate` there is nothing to fall back to, so the rates of the UNet and
        // the text encoder are written.
        let rate = |given: Option<f64>, used: f64| {
            given.or(config.learning_rate.is_none().then_some(used))
        };
        let (unet, text_encoder) = (
            config.effective_unet_lr(),
            config.effective_text_encoder_lr(),
        );
        self.float("ss_learning_rate", config.learning_rate.unwrap_or(unet));
        self.option("ss_unet_lr", rate(config.unet_lr, unet).map(python_float));
        let text_encoder = match config.text_encoder_lr.as_slice() {
            several @ [_, _, ..] => Some(format!(
                "[{}]",
                several
                    .iter()
                    .map(|rate| python_float(*rate))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            given => rate(given.first().copied(), text_encoder).map(python_float),
        };
        self.option("ss_text_encoder_lr", text_encoder);
        self.put("ss_lr_scheduler", &config.lr_scheduler);
        // Adafactor computes its own rates: sd-scripts removes the configured ones and names the
        // schedule after the first.
        if config.optimizer_type == OptimizerType::Adafactor
            && config.optimizer().is_ok_and(|own| !own.takes_schedule())
        {
            for key in ["ss_learning_rate", "ss_unet_lr", "ss_text_encoder_lr"] {
                self.put(key, "None");
            }
            self.put(
                "ss_lr_scheduler",
                &format!(
                    "adafactor:{}",
                    python_float(config.learning_rate.unwrap_or(unet))
                ),
            );
        }
        let warmup = match config.lr_warmup_steps {
            WarmupSteps::Steps(steps) => steps.to_string(),
            WarmupSteps::Ratio(ratio) => python_float(ratio),
        };
        self.put("ss_lr_warmup_steps", &warmup);
        self.put("ss_optimizer", &optimizer_text(config));
        self.flag("ss_gradient_checkpointing", config.gradient_checkpointing);
        self.float("ss_max_grad_norm", config.max_grad_norm);
    }

    pub(super) fn objective(&mut self, config: &TrainConfig, zero_terminal_snr: bool) {
        self.option(
            "ss_min_snr_gamma",
            config.effective_min_snr_gamma().map(python_float),
        );
        self.flag("ss_debiased_estimation", config.debiased_estimation_loss);
        self.put("ss_loss_type", &config.loss_type);
        self.put("ss_huber_schedule", &config.huber_schedule);
        self.float("ss_huber_c", config.huber_c);
        self.float("ss_huber_scale", config.huber_scale);
        self.flag("ss_zero_terminal_snr", zero_terminal_snr);
        self.option("ss_noise_offset", config.noise_offset.map(python_float));
        self.flag(
            "ss_noise_offset_random_strength",
            config.noise_offset_random_strength,
        );
        self.option(
            "ss_adaptive_noise_scale",
            config.adaptive_noise_scale.map(python_float),
        );
        self.option(
            "ss_multires_noise_iterations",
            config.multires_noise_iterations,
        );
        self.float("ss_multires_noise_discount", config.multires_noise_discount);
        self.option("ss_ip_noise_gamma", config.ip_noise_gamma.map(python_float));
        self.flag(
            "ss_ip_noise_gamma_random_strength",
            config.ip_noise_gamma_random_strength,
        );
    }

    pub(super) fn network(&mut self, config: &TrainConfig) {
        self.put("ss_network_module", &config.network_module);
        self.put("ss_network_dim", &config.network_dim);
        self.float("ss_network_alpha", config.effective_network_alpha());
        self.option(
            "ss_network_dropout",
            config.network_dropout.map(python_float),
        );
        self.option(
            "ss_scale_weight_norms",
            config.scale_weight_norms.map(python_float),
        );
        let default = TrainConfig::new("", "");
        let mut args: BTreeMap<&str, Value> = BTreeMap::new();
        for spec in NETWORK_ARGS.iter().filter_map(|name| option(name)) {
            let value = spec.get(config);
            if value != spec.get(&default) {
                args.insert(spec.name, python_text(&value).into());
            }
        }
        if let Some((dim, alpha)) = config.effective_conv_dim_and_alpha() {
            args.extend([
                ("conv_dim", dim.to_string().into()),
                ("conv_alpha", alpha.to_string().into()),
            ]);
        }
        if !args.is_empty() {
            // sd-scripts adds it to `network_args`, as a number.
            args.insert(
                "dropout",
                config.network_dropout.map_or(Value::Null, Value::from),
            );
            self.put("ss_network_args", &json(&args));
        }
    }
}

/// Formats the optimizer as its class and arguments. Metadata viewers show the class as the name of
/// the algorithm.
fn optimizer_text(config: &TrainConfig) -> String {
    let class = config.optimizer_type.class();
    let set = &config.optimizer_args.0;
    let mut args: Vec<String> = set
        .iter()
        .map(|(key, text)| format!("{key}={}", argument(text)))
        .collect();
    for (key, text) in config.optimizer_type.default_arguments() {
        if !set.iter().any(|(name, _)| name == key) {
            args.push(format!("{key}={text}"));
        }
    }
    if args.is_empty() {
        class.to_owned()
    } else {
        format!("{class}({})", args.join(","))
    }
}

/// Formats a value as the text after the `=` of an argument.
fn python_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(python_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
