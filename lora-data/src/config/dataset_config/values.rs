//! Values of the file to values of an option. Each function returns the value, or what was expected
//! instead.

use std::path::PathBuf;

use crate::config::tree::{Node, Value};
use crate::image::resize::Interpolation;
use crate::size::Size;

pub(super) fn flag(value: &Value) -> Result<bool, String> {
    if let Value::Flag(flag) = value {
        Ok(*flag)
    } else {
        Err("true or false".into())
    }
}

pub(super) fn integer(value: &Value, min: u32) -> Result<u32, String> {
    match unsigned(value) {
        Some(number) if number >= min => Ok(number),
        None if matches!(value, Value::Integer(number) if *number > 0) => {
            Err(format!("an integer ≤ {}", u32::MAX))
        }
        _ => Err(format!("an integer ≥ {min}")),
    }
}

fn unsigned(value: &Value) -> Option<u32> {
    if let Value::Integer(number) = value {
        u32::try_from(*number).ok()
    } else {
        None
    }
}

pub(super) fn integer_usize(value: &Value, min: u32) -> Result<usize, String> {
    integer(value, min).map(|number| number as usize)
}

/// A finite number, which may be written as an integer.
fn finite(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Result<f64, String> {
    finite(value).ok_or_else(|| "a number".into())
}

pub(super) fn positive(value: &Value) -> Result<f64, String> {
    finite(value)
        .filter(|number| *number >= 0.0)
        .ok_or_else(|| "a number ≥ 0".into())
}

pub(super) fn rate(value: &Value) -> Result<f64, String> {
    finite(value)
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "a number from 0 to 1".into())
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    value.as_text().map(Into::into).ok_or_else(|| "text".into())
}

pub(super) fn some_text(value: &Value, expected: &str) -> Result<String, String> {
    value
        .as_text()
        .filter(|text| !text.is_empty())
        .map(Into::into)
        .ok_or_else(|| expected.into())
}

pub(super) fn path(value: &Value) -> Result<PathBuf, String> {
    value
        .as_text()
        .map(Into::into)
        .ok_or_else(|| "a path".into())
}

/// `None` for an empty text or path.
pub(super) fn non_empty<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// `512`, `[512, 768]`, or the command line's `"512,768"`.
pub(super) fn resolution(value: &Value) -> Result<Size, String> {
    let sides: Option<Vec<u32>> = match value {
        Value::Integer(_) => unsigned(value).map(|side| vec![side]),
        Value::Text(text) => text
            .split(',')
            .map(|side| side.trim().parse().ok())
            .collect(),
        Value::List(items) if items.len() == 2 => {
            items.iter().map(|item| unsigned(&item.value)).collect()
        }
        _ => None,
    };
    match sides.as_deref() {
        Some(&[side]) if side > 0 => Ok(Size::new(side, side)),
        Some(&[width, height]) if width > 0 && height > 0 => Ok(Size::new(width, height)),
        _ => Err("pixels, such as 512, or width and height, such as [512, 768]".into()),
    }
}

/// The smallest and largest crop in multiples of the face's size.
pub(super) fn face_crop_range(value: &Value) -> Result<[f64; 2], String> {
    let ends: Option<Vec<f64>> = value
        .as_list()
        .and_then(|items| items.iter().map(|item| finite(&item.value)).collect());
    match ends.as_deref() {
        Some(&[least, greatest]) if 0.0 < least && least <= greatest => Ok([least, greatest]),
        _ => Err("two numbers above 0, the smaller first, such as [2.0, 4.0]".into()),
    }
}

/// A number from 0 to below 1.
pub(super) fn fraction(value: &Value) -> Result<f64, String> {
    rate(value)
        .ok()
        .filter(|fraction| *fraction < 1.0)
        .ok_or_else(|| "a number ≥ 0 and < 1".into())
}

pub(super) fn interpolation(value: &Value) -> Result<Option<Interpolation>, String> {
    match value.as_text() {
        Some("") => Ok(None),
        name => match name.unwrap_or_default().parse() {
            Ok(interpolation) => Ok(Some(interpolation)),
            Err(_) => Err(format!(
                "one of {}",
                Interpolation::names()
                    .map(|name| format!("\"{name}\""))
                    .join(", ")
            )),
        },
    }
}

/// The only attribute that sd-scripts itself reads.
pub(super) fn diff_output_preservation(value: &Value) -> Result<bool, String> {
    const NAME: &str = "diff_output_preservation";
    match value.as_table().map(Vec::as_slice) {
        Some([]) => Ok(false),
        Some(
            [
                (
                    name,
                    Node {
                        value: Value::Flag(flag),
                        ..
                    },
                ),
            ],
        ) if name == NAME => Ok(*flag),
        _ => Err(format!(
            "a table with only `{NAME}` (true or false): no other attribute has an effect"
        )),
    }
}

/// `"#ff8000"` or `[255, 128, 0]`; `None` for an empty text.
pub(super) fn color(value: &Value) -> Result<Option<[u8; 3]>, String> {
    let color = match value {
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => text
            .strip_prefix('#')
            .filter(|digits| {
                digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(|color| [(color >> 16) as u8, (color >> 8) as u8, color as u8]),
        Value::List(items) => {
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            bytes.and_then(|bytes| bytes.try_into().ok())
        }
        _ => None,
    };
    color
        .map(Some)
        .ok_or_else(|| "a colour, such as \"#ff8000\" or [255, 128, 0]".into())
}

fn byte(item: &Node) -> Option<u8> {
    u8::try_from(unsigned(&item.value)?).ok()
}
