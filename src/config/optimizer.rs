//! Which optimizer is used, and its own settings.

pub use lora_core::optim::OptimizerKind as OptimizerType;
use lora_core::optim::{ArgumentError, OptimizerConfig};

use super::value::{Arguments, Mismatch, OptionValue, one_of, or_nearest};
use super::{TrainConfig, Value};
use crate::error::{Error, Result};

impl OptionValue for OptimizerType {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let name = value.as_str().unwrap_or_default();
        let expected = || or_nearest(one_of(&Self::NAMES), name, &Self::NAMES);
        Self::from_name(name).ok_or_else(|| Mismatch::new(value, expected()))
    }

    fn write(&self) -> Value {
        self.name().into()
    }
}

/// The learning rates within which runs make sense.
pub(super) fn usual_learning_rates(optimizer: OptimizerType) -> std::ops::RangeInclusive<f64> {
    use OptimizerType as Type;
    match optimizer {
        Type::SgdNesterov | Type::SgdNesterov8bit | Type::SgdScheduleFree => 1e-6..=100.0,
        Type::Lion | Type::Lion8bit | Type::PagedLion8bit => 1e-8..=2e-3,
        // Of its own package, in which rates are relative.
        Type::Adafactor => 1e-8..=1.0,
        other if other.adapts_learning_rate() => 0.1..=10.0,
        _ => 1e-8..=1e-2,
    }
}

/// An optimizer with its settings.
///
/// # Errors
/// A setting that it does not have, or a value of another type or out of range.
pub(super) fn optimizer_config(
    optimizer: OptimizerType,
    Arguments(arguments): &Arguments,
) -> Result<OptimizerConfig, Mismatch> {
    // One at a time first, so that all that are wrong are told.
    let alone = |pair: &(String, String)| {
        OptimizerConfig::from_arguments(optimizer, std::slice::from_ref(pair)).err()
    };
    let wrong = arguments
        .iter()
        .filter_map(|pair| alone(pair).map(|error| mismatch(error, &pair.1)));
    Mismatch::joined(wrong.collect())?;
    OptimizerConfig::from_arguments(optimizer, arguments).map_err(|error| mismatch(error, ""))
}

fn mismatch(error: ArgumentError, text: &str) -> Mismatch {
    match error {
        ArgumentError::Unknown {
            optimizer,
            key,
            known,
        } => {
            let expected = format!("{}, which {optimizer} has", one_of(&known));
            Mismatch {
                found: format!("`{key}={text}`"),
                expected: or_nearest(expected, &key, &known),
            }
        }
        ArgumentError::Value {
            key,
            found,
            expected,
            ..
        } => Mismatch {
            found: format!("`{key}={found}`"),
            expected,
        },
        other => Mismatch {
            found: other.to_string(),
            expected: "settings that the optimizer has".into(),
        },
    }
}

impl TrainConfig {
    /// The optimizer with its settings.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that it does not have; a configuration that is valid has
    /// none.
    pub fn optimizer(&self) -> Result<OptimizerConfig> {
        optimizer_config(self.optimizer_type, &self.optimizer_args)
            .map_err(|wrong| Error::option("optimizer_args", wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_as_the_form_has_them() {
        for (name, written) in [
            ("adamw8BIT", "AdamW8bit"),
            (
                "prodigyplus.prodigyplusschedulefree",
                "prodigyplus.ProdigyPlusScheduleFree",
            ),
            ("came", "pytorch_optimizer.CAME"),
            ("Adafactor", "AdaFactor"),
        ] {
            assert_eq!(
                OptimizerType::read(&name.into()).map(|kind| kind.write()),
                Ok(written.into())
            );
        }
        let error = OptimizerType::read(&"Adan".into()).unwrap_err();
        assert!(
            error.expected.contains("DAdaptAdan, ") && error.expected.contains("Prodigy"),
            "{}",
            error.expected
        );
    }

    #[test]
    fn settings_that_the_optimizer_does_not_have_are_refused() {
        let wrong = |optimizer, pair: (&str, &str)| {
            optimizer_config(optimizer, &[pair].into()).unwrap_err()
        };
        let error = wrong(OptimizerType::AdamW, ("beta", "0.9"));
        assert_eq!(error.found, "`beta=0.9`");
        assert!(
            error.expected.contains("weight_decay") && error.expected.contains("which AdamW has"),
            "{error:?}"
        );
        assert!(
            error.expected.ends_with("did you mean `betas`?"),
            "{error:?}"
        );
        let both = optimizer_config(OptimizerType::AdamW, &[("foo", "1"), ("eps", "0")].into())
            .unwrap_err();
        assert_eq!(both.found, "`foo=1`; `eps=0`");
        let error = wrong(OptimizerType::Prodigy, ("d_coef", "many"));
        assert_eq!(error.found, "`d_coef=many`");
        let config = optimizer_config(
            OptimizerType::AdamW,
            &[("betas", "0.8,0.99"), ("eps", "1e-6")].into(),
        )
        .unwrap();
        let OptimizerConfig::AdamW(adamw) = config else {
            panic!("{config:?}")
        };
        assert_eq!(
            (adamw.beta1, adamw.beta2, adamw.eps, adamw.weight_decay),
            (0.8, 0.99, 1e-6, 0.01)
        );
    }
}
