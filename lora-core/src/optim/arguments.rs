//! Settings from sd-scripts' `optimizer_args`.
//!
//! Arguments that the packages have and that change nothing here are accepted with every value that
//! changes nothing there either: `foreach`, `fused`, `capturable`, `use_triton`, `log_every`,
//! `is_paged`, `stochastic_rounding` and `factored_fp32` with any, and those that would change the
//! rule (`amsgrad`, `maximize`, `block_wise`, ...) with their default alone.

use super::literal::Literal;
use super::{OptimizerConfig, OptimizerKind};

mod keys;

use keys::keys;

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
        /// Those that there are.
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
        /// What it can be.
        expected: String,
    },
}

impl OptimizerConfig {
    /// The settings of an optimizer with some arguments, each a name and a Python literal such as
    /// `0.9, 0.99` or `True`. Of an argument that comes twice the later one counts.
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
            let mut known = keys(&mut config);
            let Some(slot) = known.iter_mut().find(|slot| slot.name == key) else {
                let known = known.iter().map(|slot| slot.name).collect();
                return Err(ArgumentError::Unknown {
                    optimizer,
                    key: key.clone(),
                    known,
                });
            };
            let value = Literal::parse(text);
            if value
                .as_ref()
                .and_then(|value| slot.target.set(value))
                .is_none()
            {
                let expected = slot.target.expected();
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
        keys(&mut Self::of_kind(kind))
            .iter()
            .map(|slot| slot.name)
            .collect()
    }
}

/// An argument, and what it sets.
struct Slot<'a> {
    name: &'static str,
    target: Target<'a>,
}

/// What an argument sets, and with what.
enum Target<'a> {
    Flag(&'a mut bool),
    Number(&'a mut f64, Range),
    Numbers(Vec<&'a mut f64>, Range),
    Optional(&'a mut Option<f64>, Range),
    Count(&'a mut usize, usize),
    /// Only this changes nothing.
    Fixed(Literal),
    /// Nothing: a flag or None.
    AnyFlag,
    /// Nothing: a number.
    AnyNumber,
}

/// Where a number must be.
#[derive(Debug, Clone, Copy)]
enum Range {
    Any,
    NotNegative,
    Positive,
    /// From 0 to 1, without 1.
    BelowOne,
    /// Between 0 and 1, without them.
    BetweenZeroAndOne,
    /// Of what keeps denominators off 0. Less would vanish in f32.
    Epsilon,
}

impl Range {
    fn holds(self, number: f64) -> bool {
        match self {
            Self::Any => number.is_finite(),
            Self::NotNegative => number >= 0.0 && number.is_finite(),
            // An infinite growth_rate is no limit.
            Self::Positive => number > 0.0,
            Self::BelowOne => (0.0..1.0).contains(&number),
            Self::BetweenZeroAndOne => number > 0.0 && number < 1.0,
            Self::Epsilon => (1e-30..=1.0).contains(&number),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::NotNegative => " that is not negative",
            Self::Positive => " above 0",
            Self::BelowOne => " from 0 to below 1",
            Self::BetweenZeroAndOne => " between 0 and 1",
            Self::Epsilon => " from 1e-30 to 1",
        }
    }
}

impl Target<'_> {
    /// Sets the value. None if it cannot have it.
    fn set(&mut self, value: &Literal) -> Option<()> {
        let number = |value: &Literal, range: Range| match value {
            Literal::Number(number) if range.holds(*number) => Some(*number),
            _ => None,
        };
        match (self, value) {
            (Self::Flag(flag), Literal::Bool(value)) => **flag = *value,
            (Self::Number(target, range), value) => **target = number(value, *range)?,
            (Self::Numbers(targets, range), Literal::Tuple(values))
                if values.len() == targets.len() =>
            {
                for (target, value) in targets.iter_mut().zip(values) {
                    **target = number(value, *range)?;
                }
            }
            (Self::Optional(target, _), Literal::None) => **target = None,
            (Self::Optional(target, range), value) => **target = Some(number(value, *range)?),
            (Self::Count(target, least), Literal::Number(value)) => {
                let whole =
                    value.fract() == 0.0 && *value >= *least as f64 && *value < f64::from(u32::MAX);
                **target = whole.then_some(*value as usize)?;
            }
            (Self::Fixed(only), value) if only == value => {}
            (Self::AnyFlag, Literal::Bool(_) | Literal::None)
            | (Self::AnyNumber, Literal::Number(_)) => {}
            _ => return None,
        }
        Some(())
    }

    fn expected(&self) -> String {
        match self {
            Self::Flag(_) => "True or False".into(),
            Self::Number(_, range) => format!("a number{}", range.text()),
            Self::Numbers(targets, range) => {
                format!("{} numbers, each{}", targets.len(), range.text())
            }
            Self::Optional(_, range) => format!("None or a number{}", range.text()),
            Self::Count(_, least) => format!("a whole number from {least}"),
            Self::Fixed(Literal::Bool(true)) => "True; nothing else is supported".into(),
            Self::Fixed(Literal::Bool(false)) => "False; nothing else is supported".into(),
            Self::Fixed(Literal::Number(only)) => format!("{only}; nothing else is supported"),
            Self::Fixed(_) => "None; nothing else is supported".into(),
            Self::AnyFlag => "True, False or None; it changes nothing".into(),
            Self::AnyNumber => "a number; it changes nothing".into(),
        }
    }
}

#[cfg(test)]
mod tests;
