//! Values formatted like Python's `str` and `json.dumps`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Formats a float like Python's `repr`: the shortest digits that parse to the same number, with an
/// exponent from 1e16 on and below 1e-4.
pub(crate) fn float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Formats the value of an argument like Python's `str`; `0.9,0.99` is a tuple.
pub(super) fn argument(text: &str) -> String {
    let text = text.trim();
    if !text.contains(',') {
        return scalar(text);
    }
    let items = text
        .trim_matches(['(', ')', '[', ']'])
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    format!("({})", items.map(scalar).collect::<Vec<_>>().join(", "))
}

fn scalar(text: &str) -> String {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Err(_), Ok(number)) => float(number),
        _ => text.to_owned(),
    }
}

/// Formats a value like Python's `json.dumps` with default settings.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Python);
    // Writing to memory does not fail, and all map keys are strings or integers.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(text).unwrap_or_default()
}

struct Python;

impl Formatter for Python {
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn begin_array_value<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if (' '..='~').contains(&character) {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (16.0, "16.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (0.00012, "0.00012"),
            (1e-5, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (1e-100, "1e-100"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1_795_355_540.294_252_6, "1795355540.2942526"),
            (0.265_996_792_369_743_16, "0.26599679236974316"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn nested_json() {
        let value =
            serde_json::json!({"a": [1, 2.5e-7, null, true], "b \"\\\n\u{7f}": "ü😀", "c": {}});
        assert_eq!(
            json(&value),
            r#"{"a": [1, 2.5e-07, null, true], "b \"\\\n\u007f": "\u00fc\ud83d\ude00", "c": {}}"#
        );
    }
}
