//! The optimizer's own settings, and the learning rates that suit it.

use lora_core::optim::{ArgumentError, OptimizerConfig};

use super::arguments::Arguments;
use super::choice::OptimizerType;
use crate::config::nearest::{one_of, or_nearest};
use crate::error::Mismatch;

/// The usual range of learning rates.
pub(in crate::config) fn usual_learning_rates(
    optimizer: OptimizerType,
) -> std::ops::RangeInclusive<f64> {
    use OptimizerType as Type;
    match optimizer {
        Type::SgdNesterov | Type::SgdNesterov8bit | Type::SgdScheduleFree => 1e-6..=100.0,
        Type::Lion | Type::Lion8bit | Type::PagedLion8bit => 1e-8..=2e-3,
        // Its rates are relative to the size of the weights.
        Type::Adafactor => 1e-8..=1.0,
        other if other.adapts_learning_rate() => 0.1..=10.0,
        _ => 1e-8..=1e-2,
    }
}

/// An optimizer with its settings.
///
/// # Errors
/// A setting that it does not have, or a value of another type or out of range; all of them.
pub(in crate::config) fn optimizer_config(
    optimizer: OptimizerType,
    Arguments(arguments): &Arguments,
) -> Result<OptimizerConfig, Mismatch> {
    // One at a time first, to report all that are wrong.
    let mut wrong = Vec::new();
    for pair in arguments {
        if let Err(error) = OptimizerConfig::from_arguments(optimizer, std::slice::from_ref(pair)) {
            wrong.push(mismatch(error, &pair.1));
        }
    }
    Mismatch::joined(wrong)?;
    OptimizerConfig::from_arguments(optimizer, arguments).map_err(|error| mismatch(error, ""))
}

fn mismatch(error: ArgumentError, text: &str) -> Mismatch {
    match error {
        ArgumentError::Unknown {
            optimizer,
            key,
            known,
        } => {
            let expected = format!("one of {optimizer}'s arguments: {}", one_of(&known));
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
            expected: "settings of the optimizer".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_refused() {
        let wrong = |optimizer, pair: (&str, &str)| {
            optimizer_config(optimizer, &[pair].into()).unwrap_err()
        };
        let error = wrong(OptimizerType::AdamW, ("beta", "0.9"));
        assert_eq!(error.found, "`beta=0.9`");
        assert!(
            error.expected.contains("weight_decay")
                && error.expected.contains("one of AdamW's arguments: "),
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
