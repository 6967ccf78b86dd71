//! Values of options of images.

use serde_json::Value;

use super::option_value::OptionValue;
use crate::config::kind::Kind;
use crate::error::Mismatch;

/// An image size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
}

impl Resolution {
    /// A square.
    pub const fn square(size: u32) -> Self {
        Self {
            width: size,
            height: size,
        }
    }

    /// Reads `512`, `512,768` or `512x768`.
    fn from_text(text: &str) -> Option<Self> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
        match text.split_once([',', 'x']) {
            Some((width, height)) => Some(Self {
                width: side(width)?,
                height: side(height)?,
            }),
            None => side(text).map(Self::square),
        }
    }
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.width, self.height)
    }
}

impl OptionValue for Resolution {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let resolution = match value {
            Value::String(text) => Self::from_text(text),
            Value::Array(sides) => match sides.as_slice() {
                [width, height] => Self::from_text(&format!("{width},{height}")),
                _ => None,
            },
            number => Self::from_text(&number.to_string()),
        };
        resolution
            .ok_or_else(|| Mismatch::new(value, "a size in pixels such as 512 or \"512,768\""))
    }

    fn write(&self) -> Value {
        self.to_string().into()
    }
}

/// A colour with 8 bits per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Color {
    /// Red, green and blue.
    pub rgb: [u8; 3],
}

impl Color {
    /// Reads `#rrggbb`.
    fn from_text(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        // `from_str_radix` would accept a sign.
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, rgb @ ..] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self { rgb })
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.rgb;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl OptionValue for Color {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let color = value.as_str().and_then(Self::from_text);
        color.ok_or_else(|| Mismatch::new(value, Kind::Color.to_string()))
    }

    fn write(&self) -> Value {
        self.to_string().into()
    }
}

/// The size of a crop around a face, as a multiple of the face's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceCropRange {
    /// The minimum, above 0.
    pub least: f64,
    /// The maximum, at most 100.
    pub greatest: f64,
}

impl OptionValue for FaceCropRange {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let numbers: Option<Vec<f64>> = match value {
            Value::String(text) => text
                .split(',')
                .map(|number| number.trim().parse().ok())
                .collect(),
            Value::Array(items) => items.iter().map(Value::as_f64).collect(),
            _ => None,
        };
        match numbers.as_deref() {
            Some(&[least, greatest]) if 0.0 < least && least <= greatest && greatest <= 100.0 => {
                Ok(Self { least, greatest })
            }
            _ => Err(Mismatch::new(value, Kind::FaceCrop.to_string())),
        }
    }

    fn write(&self) -> Value {
        format!("{},{}", self.least, self.greatest).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        let read = |text: &str| Color::read(&text.into()).ok().map(|color| color.rgb);
        assert_eq!(read("#FF8000"), Some([255, 128, 0]));
        assert_eq!(Color { rgb: [1, 2, 255] }.write(), Value::from("#0102ff"));
        for text in ["ff8000", "#ff80", "#+f8000", "#ff80001", "red", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn crops_around_faces() {
        let read = |value: Value| {
            FaceCropRange::read(&value)
                .ok()
                .map(|range| (range.least, range.greatest))
        };
        assert_eq!(read("2.0, 4.5".into()), Some((2.0, 4.5)));
        assert_eq!(read(serde_json::json!([1, 1.5])), Some((1.0, 1.5)));
        for text in ["4,2", "0,2", "2,101", "2", "nan,1", ""] {
            assert_eq!(read(text.into()), None, "{text}");
        }
    }
}
