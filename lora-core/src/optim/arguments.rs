//! Settings from sd-scripts' `optimizer_args`.
//!
//! Some arguments of the packages change nothing here. `foreach`, `fused`, `capturable`,
//! `use_triton`, `log_every`, `is_paged`, `stochastic_rounding` and `factored_fp32` are accepted with
//! every value; those that would change the rule (`amsgrad`, `maximize`, `block_wise`, ...) only with
//! their default.

pub(crate) mod argument;
pub(crate) mod literal;

use self::literal::Literal;
use super::config::OptimizerConfig;
use super::kind::OptimizerKind;

/// Why an optimizer's arguments can't be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The optimizer has no such argument.
    #[error("optimizer argument `{key}`: {optimizer} has no such argument; it has \
         {}", .known.join(", "))]
    Unknown {
        /// Name of the optimizer.
        optimizer: &'static str,
        /// The argument.
        key: String,
        /// The arguments of the optimizer.
        known: Vec<&'static str>,
    },
    /// The argument cannot have this value.
    #[error("optimizer argument `{key}` of {optimizer}: found {found}, expected {expected}")]
    Value {
        /// Name of the optimizer.
        optimizer: &'static str,
        /// The argument.
        key: String,
        /// Its value.
        found: String,
        /// Its possible values.
        expected: String,
    },
}

impl OptimizerConfig {
    /// The settings of an optimizer with some arguments, each a name and a Python literal such as
    /// `0.9, 0.99` or `True`. The last one of equal names counts.
    ///
    /// # Errors
    /// [`ArgumentError`] if the optimizer lacks an argument, or if it cannot have this value.
    pub fn from_arguments(
        kind: OptimizerKind,
        arguments: &[(String, String)],
    ) -> Result<Self, ArgumentError> {
        let mut config = Self::of_kind(kind);
        let optimizer = kind.name();
        for (key, text) in arguments {
            let mut known = config.arguments();
            let Some(argument) = known.iter_mut().find(|argument| argument.name == key) else {
                let known = known.iter().map(|argument| argument.name).collect();
                return Err(ArgumentError::Unknown {
                    optimizer,
                    key: key.clone(),
                    known,
                });
            };
            let value = Literal::parse(text);
            if value
                .as_ref()
                .and_then(|value| argument.target.set(value))
                .is_none()
            {
                let expected = argument.target.expected();
                return Err(ArgumentError::Value {
                    optimizer,
                    key: key.clone(),
                    found: text.clone(),
                    expected,
                });
            }
        }
        match config {
            Self::Adafactor(adafactor) if adafactor.warmup_init && !adafactor.relative_step => {
                Err(ArgumentError::Value {
                    optimizer,
                    key: "warmup_init".into(),
                    found: "True".into(),
                    expected: "False, or relative_step=True".into(),
                })
            }
            config => Ok(config),
        }
    }

    /// The names of the arguments that an optimizer has.
    #[must_use]
    pub fn argument_names(kind: OptimizerKind) -> Vec<&'static str> {
        Self::of_kind(kind)
            .arguments()
            .iter()
            .map(|argument| argument.name)
            .collect()
    }
}

#[cfg(test)]
mod tests;
