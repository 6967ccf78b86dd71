//! Entries of optimizer, objective and adapters.

use std::collections::BTreeMap;

use super::{Entries, python_float};
use super::python::json;
use crate::config::{LossType, OptimizerType, TrainConfig, WarmupSteps};

impl Entries {
    fn optimizer(&mut self, config: &TrainConfig) {
        // Without `learning_rate` the parts do not fall back to it, so their own rates are written out.
        let rate = |given: Option<f64>, used: f64| given.or(config.learning_rate.is_none().then_some(used));
        let (unet, text_encoder) = (config.unet_learning_rate(), config.text_encoder_learning_rate());
        self.float("ss_learning_rate", config.learning_rate.unwrap_or(unet));
        self.option("ss_unet_lr", rate(config.unet_lr, unet).map(python_float));
        let given = config.text_encoder_lr.first().copied();
        self.option("ss_text_encoder_lr", rate(given, text_encoder).map(python_float));
        self.put("ss_lr_scheduler", &config.lr_scheduler);
        let warmup = match config.lr_warmup_steps {
            WarmupSteps::Steps(steps) => steps.to_string(),
            WarmupSteps::Ratio(ratio) => python_float(ratio),
        };
        self.put("ss_lr_warmup_steps", &warmup);
        let (optimizer, args) = match config.optimizer_type {
            // The name by which metadata viewers know the algorithm.
            OptimizerType::AdamW => {
                let args = AdamWArgs::read(&config.optimizer_args).unwrap_or_default();
                ("torch.optim.adamw.AdamW", args.to_list())
            }
            other => {
                let pairs = config.optimizer_args.0.iter();
                (other.name(), pairs.map(|(key, text)| format!("{key}={text}")).collect())
            }
        };
        let args = if args.is_empty() { String::new() } else { format!("({})", args.join(",")) };
        self.put("ss_optimizer", &format!("{optimizer}{args}"));
        self.flag("ss_gradient_checkpointing", config.gradient_checkpointing);
        self.float("ss_max_grad_norm", config.max_grad_norm);
        self.option("ss_min_snr_gamma", config.min_snr().map(python_float));
    }

    fn network(&mut self, config: &TrainConfig) {
        self.put("ss_network_module", &config.network_module);
        self.put("ss_network_dim", &config.network_dim);
        self.float("ss_network_alpha", config.linear_alpha());
        if let Some((dim, alpha)) = config.conv_rank_and_alpha() {
            let text = |number: &dyn ToString| Some(number.to_string());
            let args = [("conv_dim", text(&dim)), ("conv_alpha", text(&alpha)), ("dropout", None)];
            self.put("ss_network_args", &json(&BTreeMap::from(args)));
        }
    }
}
