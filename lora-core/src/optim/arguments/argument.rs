//! An argument of an optimizer.

use super::literal::Literal;

/// An argument and the setting that it changes.
pub(crate) struct Argument<'a> {
    pub(crate) name: &'static str,
    pub(crate) target: Target<'a>,
}

/// The setting that an argument changes, and its possible values.
pub(crate) enum Target<'a> {
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

/// The range of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    Any,
    NotNegative,
    Positive,
    /// From 0 to 1, without 1.
    BelowOne,
    /// Between 0 and 1, without them.
    BetweenZeroAndOne,
    /// The range of numbers that keep denominators away from 0. Less would vanish in f32.
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
            Self::NotNegative => " ≥ 0",
            Self::Positive => " > 0",
            Self::BelowOne => " ≥ 0 and < 1",
            Self::BetweenZeroAndOne => " > 0 and < 1",
            Self::Epsilon => " from 1e-30 to 1",
        }
    }
}

impl Target<'_> {
    /// Sets the value. None if it cannot have it.
    pub(crate) fn set(&mut self, value: &Literal) -> Option<()> {
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

    pub(crate) fn expected(&self) -> String {
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

/// Concatenates lists of arguments.
pub(crate) trait ConcatAll<'a> {
    fn concat_all(self) -> Vec<Argument<'a>>;
}

impl<'a, const N: usize> ConcatAll<'a> for [Vec<Argument<'a>>; N] {
    fn concat_all(self) -> Vec<Argument<'a>> {
        self.into_iter().flatten().collect()
    }
}

/// A number.
pub(crate) fn number<'a>(name: &'static str, target: &'a mut f64, range: Range) -> Argument<'a> {
    Argument {
        name,
        target: Target::Number(target, range),
    }
}

/// Two numbers below 1.
pub(crate) fn pair<'a>(
    name: &'static str,
    first: &'a mut f64,
    second: &'a mut f64,
) -> Argument<'a> {
    Argument {
        name,
        target: Target::Numbers(vec![first, second], Range::BelowOne),
    }
}

/// A flag.
pub(crate) fn flag<'a>(name: &'static str, target: &'a mut bool) -> Argument<'a> {
    Argument {
        name,
        target: Target::Flag(target),
    }
}

/// A flag that changes nothing.
pub(crate) fn any_flag<'a>(name: &'static str) -> Argument<'a> {
    Argument {
        name,
        target: Target::AnyFlag,
    }
}

/// Flags that are supported with one value only.
pub(crate) fn fixed<'a>(names: &[&'static str], only: bool) -> Vec<Argument<'a>> {
    names
        .iter()
        .map(|name| Argument {
            name,
            target: Target::Fixed(Literal::Bool(only)),
        })
        .collect()
}

/// The arguments of all torch optimizers, and further ones that must stay off.
pub(crate) fn torch<'a>(off: &[&'static str]) -> Vec<Argument<'a>> {
    let mut slots = fixed(off, false);
    slots.extend(fixed(&["maximize", "differentiable"], false));
    slots.extend(["foreach", "capturable"].map(any_flag));
    slots
}

/// The arguments of all bitsandbytes optimizers.
pub(crate) fn bitsandbytes<'a>() -> Vec<Argument<'a>> {
    vec![
        fixed_number("min_8bit_size", 4096.0),
        fixed_number("percentile_clipping", 100.0),
        Argument {
            name: "block_wise",
            target: Target::Fixed(Literal::Bool(true)),
        },
        any_flag("is_paged"),
    ]
}

/// Several numbers of one range.
pub(crate) fn numbers<'a>(
    name: &'static str,
    targets: Vec<&'a mut f64>,
    range: Range,
) -> Argument<'a> {
    Argument {
        name,
        target: Target::Numbers(targets, range),
    }
}

/// None or a number.
pub(crate) fn optional<'a>(
    name: &'static str,
    target: &'a mut Option<f64>,
    range: Range,
) -> Argument<'a> {
    Argument {
        name,
        target: Target::Optional(target, range),
    }
}

/// A whole number from `least`.
pub(crate) fn count<'a>(name: &'static str, target: &'a mut usize, least: usize) -> Argument<'a> {
    Argument {
        name,
        target: Target::Count(target, least),
    }
}

/// A number that changes nothing.
pub(crate) fn any_number<'a>(name: &'static str) -> Argument<'a> {
    Argument {
        name,
        target: Target::AnyNumber,
    }
}

/// A number that is supported with one value only.
pub(crate) fn fixed_number<'a>(name: &'static str, only: f64) -> Argument<'a> {
    Argument {
        name,
        target: Target::Fixed(Literal::Number(only)),
    }
}
