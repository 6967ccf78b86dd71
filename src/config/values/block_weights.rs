//! Factors on the learning rates of the UNet's blocks: `down_lr_weight`, `mid_lr_weight` and
//! `up_lr_weight`.

use serde_json::Value;

use super::choice::BlockCurve;
use super::option_value::OptionValue;
use crate::config::kind::Kind;
use crate::error::Mismatch;

impl BlockCurve {
    /// Its value at block `i` of `count`.
    fn at(self, i: usize, count: usize) -> f64 {
        use std::f64::consts::FRAC_PI_2;
        let last = count.saturating_sub(1).max(1) as f64;
        let (rising, falling) = (i as f64 / last, (count - 1 - i) as f64 / last);
        match self {
            Self::Sine => (FRAC_PI_2 * rising).sin(),
            Self::Cosine => (FRAC_PI_2 * falling).sin(),
            Self::Linear => rising,
            Self::ReverseLinear => falling,
            Self::Zeros => 0.0,
        }
    }
}

/// Factors on the learning rates of blocks.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockWeights {
    /// One number per block.
    Numbers(Vec<f64>),
    /// A curve plus a constant.
    Curve {
        /// The curve.
        curve: BlockCurve,
        /// A number that is added to each of its values.
        base: f64,
    },
}

impl BlockWeights {
    /// The factors of this many blocks. Missing numbers are 1 and surplus ones are not used, as in
    /// sd-scripts.
    pub fn resolve(&self, blocks: usize) -> Vec<f64> {
        match self {
            Self::Numbers(numbers) => {
                let mut weights = numbers.clone();
                weights.resize(blocks, 1.0);
                weights
            }
            Self::Curve { curve, base } => {
                (0..blocks).map(|i| curve.at(i, blocks) + base).collect()
            }
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let (name, base) = text.split_once('+').unwrap_or((text, "0"));
        if let Some(curve) = BlockCurve::from_name(name.trim()) {
            let base = base
                .trim()
                .parse()
                .ok()
                .filter(|base: &f64| base.is_finite())?;
            return Some(Self::Curve { curve, base });
        }
        let numbers: Option<Vec<f64>> = text.split(',').map(read_number).collect();
        numbers.map(Self::Numbers)
    }

    fn is_in_range(&self) -> bool {
        match self {
            Self::Numbers(numbers) => {
                (1..=100).contains(&numbers.len())
                    && numbers.iter().all(|number| (0.0..=1000.0).contains(number))
            }
            Self::Curve { base, .. } => (-1000.0..=1000.0).contains(base),
        }
    }
}

/// A number of a list; as in sd-scripts, an empty item is 0.
fn read_number(text: &str) -> Option<f64> {
    match text.trim() {
        "" => Some(0.0),
        text => text.parse().ok(),
    }
}

impl OptionValue for BlockWeights {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let weights = match value {
            Value::String(text) => Self::from_text(text),
            Value::Number(number) => number.as_f64().map(|number| Self::Numbers(vec![number])),
            Value::Array(items) => items
                .iter()
                .map(Value::as_f64)
                .collect::<Option<_>>()
                .map(Self::Numbers),
            _ => None,
        };
        weights
            .filter(Self::is_in_range)
            .ok_or_else(|| Mismatch::new(value, Kind::BlockWeights.to_string()))
    }

    fn write(&self) -> Value {
        match self {
            Self::Numbers(numbers) => numbers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
                .into(),
            Self::Curve { curve, base: 0.0 } => curve.name().into(),
            Self::Curve { curve, base } => format!("{curve}+{base}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> BlockWeights {
        BlockWeights::read(&text.into()).unwrap()
    }

    #[test]
    fn curves() {
        assert_eq!(read("linear").resolve(5), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(read("reverse_linear+0.5").resolve(3), [1.5, 1.0, 0.5]);
        assert_eq!(read("zeros+.25").resolve(2), [0.25, 0.25]);
        let sine = read("sine").resolve(12);
        let expected = (std::f64::consts::FRAC_PI_2 * 3.0 / 11.0).sin();
        assert!(
            (sine[3] - expected).abs() < 1e-15 && sine[0] == 0.0 && sine[11] == 1.0,
            "{sine:?}"
        );
        let cosine: Vec<f64> = read("COSINE").resolve(12).into_iter().rev().collect();
        assert_eq!(cosine, sine);
        assert_eq!(read("linear").resolve(1), [0.0]);
    }

    #[test]
    fn numbers_are_filled_up_and_cut() {
        assert_eq!(read("0.5, ,2").resolve(5), [0.5, 0.0, 2.0, 1.0, 1.0]);
        assert_eq!(read("1,2,3").resolve(2), [1.0, 2.0]);
        assert_eq!(BlockWeights::read(&json!([1, 0.5])).unwrap(), read("1,0.5"));
        for weights in [
            read("0.5"),
            read("1,0,0.25"),
            read("sine+0.5"),
            read("zeros"),
        ] {
            assert_eq!(BlockWeights::read(&weights.write()).unwrap(), weights);
        }
        for value in [
            json!("sin"),
            json!("linear+x"),
            json!("1,x"),
            json!([]),
            json!(-1),
            json!(true),
        ] {
            assert!(BlockWeights::read(&value).is_err(), "{value}");
        }
    }
}
