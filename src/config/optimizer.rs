//! Which optimizer is used, and its own settings.

use super::choice::choice;
use super::value::{Arguments, Mismatch};

choice! {
    /// The optimizer.
    OptimizerType {
        /// Adam with decoupled weight decay, <https://arxiv.org/abs/1711.05101>.
        AdamW = "AdamW",
        /// AdamW with moments in 8 bits, <https://arxiv.org/abs/2110.02861>.
        AdamW8bit = "AdamW8bit",
        /// The same; paging to the host's memory changes no number.
        PagedAdamW8bit = "PagedAdamW8bit",
        /// AdamW with moments in 32 bits that may be paged.
        PagedAdamW = "PagedAdamW",
        /// The same.
        PagedAdamW32bit = "PagedAdamW32bit",
        /// Adam, <https://arxiv.org/abs/1412.6980>.
        Adam = "Adam",
        /// Gradients over the root of their mean square.
        RmsProp = "RMSprop",
        /// The sign of the momentum, <https://arxiv.org/abs/2302.06675>.
        Lion = "Lion",
        /// Lion with momentum in 8 bits.
        Lion8bit = "Lion8bit",
        /// The same; paging changes no number.
        PagedLion8bit = "PagedLion8bit",
        /// Gradient descent with Nesterov's momentum.
        SgdNesterov = "SGDNesterov",
        /// Gradient descent with plain momentum in 8 bits, which is what this name does in bitsandbytes.
        SgdNesterov8bit = "SGDNesterov8bit",
        /// Factored second moments, <https://arxiv.org/abs/1804.04235>.
        AdaFactor = "AdaFactor",
        /// Adam that finds its rate, <https://arxiv.org/abs/2306.06101>.
        Prodigy = "Prodigy",
        /// Adam that finds its rate as the paper has it, <https://arxiv.org/abs/2301.07733>.
        DAdaptation = "DAdaptation",
        /// The same by its other name.
        DAdaptAdamPreprint = "DAdaptAdamPreprint",
        /// Adam that finds its rate, as released later.
        DAdaptAdam = "DAdaptAdam",
        /// AdaGrad that finds its rate.
        DAdaptAdaGrad = "DAdaptAdaGrad",
        /// Adan that finds its rate.
        DAdaptAdan = "DAdaptAdan",
        /// Adan that finds its rate by inner products.
        DAdaptAdanIp = "DAdaptAdanIP",
        /// Lion that finds its rate.
        DAdaptLion = "DAdaptLion",
        /// Gradient descent that finds its rate.
        DAdaptSgd = "DAdaptSGD",
        /// AdamW that needs no schedule, <https://arxiv.org/abs/2405.15682>.
        AdamWScheduleFree = "AdamWScheduleFree",
        /// RAdam that needs no schedule.
        RAdamScheduleFree = "RAdamScheduleFree",
        /// Gradient descent that needs no schedule.
        SgdScheduleFree = "SGDScheduleFree",
        /// Prodigy that needs no schedule.
        ProdigyPlusScheduleFree = "prodigyplus.ProdigyPlusScheduleFree" | "ProdigyPlusScheduleFree",
        /// Adafactor guided by confidence, <https://arxiv.org/abs/2307.02047>.
        Came = "pytorch_optimizer.CAME" | "CAME",
    }
}

impl OptimizerType {
    /// Whether it finds the learning rate by itself, so that the one given is a factor of it.
    pub fn adapts_learning_rate(self) -> bool {
        self.needs_one_learning_rate() || self == Self::ProdigyPlusScheduleFree
    }

    /// Whether it finds one rate for all adapters, which have to be given the same factor.
    pub fn needs_one_learning_rate(self) -> bool {
        matches!(
            self,
            Self::Prodigy
                | Self::DAdaptation
                | Self::DAdaptAdamPreprint
                | Self::DAdaptAdam
                | Self::DAdaptAdaGrad
                | Self::DAdaptAdan
                | Self::DAdaptAdanIp
                | Self::DAdaptLion
                | Self::DAdaptSgd
        )
    }

    /// The learning rates within which runs make sense.
    pub(super) fn usual_learning_rates(self) -> std::ops::RangeInclusive<f64> {
        match self {
            Self::SgdNesterov | Self::SgdNesterov8bit | Self::SgdScheduleFree => 1e-6..=100.0,
            Self::Lion | Self::Lion8bit | Self::PagedLion8bit => 1e-8..=2e-3,
            // Of its own package, in which rates are relative.
            Self::AdaFactor => 1e-8..=1.0,
            other if other.adapts_learning_rate() => 0.1..=10.0,
            _ => 1e-8..=1e-2,
        }
    }
}

/// Settings of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWArgs {
    /// Decay rates of the first and second moment.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay, as a part of the learning rate.
    pub weight_decay: f64,
}

/// Less of it would vanish in f32.
const MIN_EPS: f64 = 1e-30;
const MAX_WEIGHT_DECAY: f64 = 1000.0;

impl Default for AdamWArgs {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamWArgs {
    /// Reads the settings.
    ///
    /// # Errors
    /// An unknown key, or a value of another type or out of range.
    pub fn read(arguments: &Arguments) -> Result<Self, Mismatch> {
        let mut args = Self::default();
        for (key, text) in &arguments.0 {
            let wrong = |expected: &str| Mismatch { found: format!("`{key}={text}`"), expected: expected.into() };
            let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
            match key.as_str() {
                "betas" => {
                    let decay = |text: &str| number(text).filter(|beta| *beta < 1.0);
                    let pair = text.trim_matches(['(', ')', '[', ']']).split_once(',');
                    let betas = pair.and_then(|(a, b)| Some((decay(a)?, decay(b)?)));
                    args.betas = betas.ok_or_else(|| wrong("two numbers from 0 to below 1, as in `betas=0.9,0.99`"))?;
                }
                "eps" => {
                    // Without it, parameters without gradient would be 0 / 0.
                    let eps = number(text).filter(|eps| (MIN_EPS..=1.0).contains(eps));
                    args.eps = eps.ok_or_else(|| wrong("a number from 1e-30 to 1, as in `eps=1e-8`"))?;
                }
                "weight_decay" => {
                    let decay = number(text).filter(|decay| *decay <= MAX_WEIGHT_DECAY);
                    args.weight_decay = decay.ok_or_else(|| wrong("a number from 0 to 1000"))?;
                }
                _ => return Err(wrong("betas, eps or weight_decay")),
            }
        }
        Ok(args)
    }

    /// The settings that differ from the defaults, as `key=value` in Python's spelling.
    pub fn to_list(self) -> Vec<String> {
        let default = Self::default();
        let repr = crate::metadata::python_float;
        let mut list = Vec::new();
        if self.betas != default.betas {
            list.push(format!("betas=({}, {})", repr(self.betas.0), repr(self.betas.1)));
        }
        if self.eps.to_bits() != default.eps.to_bits() {
            list.push(format!("eps={}", repr(self.eps)));
        }
        if self.weight_decay.to_bits() != default.weight_decay.to_bits() {
            list.push(format!("weight_decay={}", repr(self.weight_decay)));
        }
        list
    }
}

/// Checks an optimizer's own settings, as far as they are known before it is made.
///
/// # Errors
/// An unknown key, or a value of another type or out of range.
pub(super) fn check_arguments(optimizer: OptimizerType, arguments: &Arguments) -> Result<(), Mismatch> {
    match optimizer {
        OptimizerType::AdamW => AdamWArgs::read(arguments).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_as_the_form_has_them() {
        for (name, written) in [
            ("adamw8BIT", "AdamW8bit"),
            ("prodigyplus.prodigyplusschedulefree", "prodigyplus.ProdigyPlusScheduleFree"),
            ("came", "pytorch_optimizer.CAME"),
            ("Adafactor", "AdaFactor"),
        ] {
            assert_eq!(OptimizerType::from_name(name).map(OptimizerType::name), Some(written));
        }
        assert_eq!(OptimizerType::NAMES.len(), 27);
        let adaptive = |name| OptimizerType::from_name(name).map(OptimizerType::adapts_learning_rate);
        assert_eq!(["Lion", "DAdaptSGD", "Prodigy"].map(adaptive), [Some(false), Some(true), Some(true)]);
    }

    #[test]
    fn settings_of_adamw() {
        let expected = AdamWArgs { betas: (0.8, 0.99), eps: 1e-6, weight_decay: 0.1 };
        for arguments in [
            [("betas", "0.8,0.99"), ("eps", "1e-6"), ("weight_decay", "0.1")],
            [("betas", "(0.8, 0.99)"), ("eps", "1e-06"), ("weight_decay", ".1")],
        ] {
            assert_eq!(AdamWArgs::read(&arguments.into()).unwrap(), expected);
        }
        assert!(AdamWArgs::default().to_list().is_empty());
        let error = AdamWArgs::read(&[("beta", "0.9")].into()).unwrap_err();
        assert_eq!((error.found.as_str(), error.expected.as_str()), ("`beta=0.9`", "betas, eps or weight_decay"));
        for pair in [("betas", "0.9"), ("betas", "0.9,1.0"), ("eps", "nan"), ("weight_decay", "-1")] {
            assert!(AdamWArgs::read(&[pair].into()).is_err(), "{pair:?}");
        }
    }
}
