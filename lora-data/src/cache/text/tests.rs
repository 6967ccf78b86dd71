use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use super::*;
use crate::error::Error;

const SHAPE: TextShape = TextShape {
    tokens: 5,
    width1: 4,
    width2: 6,
    projection: 3,
};

fn numpy(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/npz")
        .join(name)
}

/// The outputs that tests/npz/make.py writes.
fn expected() -> CachedText {
    let quarters = |len: u8| (0..len).map(|place| f32::from(place) / 4.0).collect();
    CachedText {
        shape: SHAPE,
        hidden_state1: quarters(20),
        hidden_state2: quarters(30),
        pool2: quarters(3),
    }
}

fn round_trip(text: &CachedText, format: FloatFormat) -> (CachedText, usize) {
    let mut bytes = Vec::new();
    text.write(Cursor::new(&mut bytes), format).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &bytes).unwrap();
    (CachedText::read(file.path(), SHAPE).unwrap(), bytes.len())
}

#[test]
fn files_of_numpy_are_read() {
    for name in ["text.npz", "text_half.npz"] {
        assert_eq!(
            CachedText::read(&numpy(name), SHAPE).unwrap(),
            expected(),
            "{name}"
        );
    }
}

#[test]
fn what_is_written_is_read_back_in_both_formats() {
    let (read, long) = round_trip(&expected(), FloatFormat::F32);
    assert_eq!(read, expected());
    let (read, short) = round_trip(&expected(), FloatFormat::F16);
    assert_eq!(read, expected());
    assert_eq!(long - short, 2 * (20 + 30 + 3));
}

#[test]
fn numbers_beyond_16_bits_are_kept() {
    let mut text = expected();
    text.hidden_state2[7] = 1e5;
    assert_eq!(round_trip(&text, FloatFormat::F16).0, text);
}

#[test]
fn other_captions_and_models_do_not_fit() {
    let longer = CachedText::read(
        &numpy("text.npz"),
        TextShape {
            tokens: 10,
            ..SHAPE
        },
    )
    .unwrap_err();
    assert!(
        longer
            .to_string()
            .contains("`hidden_state1` has shape [5, 4]; expected [10, 4]"),
        "{longer}"
    );
    let wider = CachedText::read(
        &numpy("text.npz"),
        TextShape {
            projection: 4,
            ..SHAPE
        },
    )
    .unwrap_err();
    assert!(
        wider
            .to_string()
            .contains("`pool2` has shape [3]; expected [4]"),
        "{wider}"
    );
    let latents = CachedText::read(&numpy("stored.npz"), SHAPE).unwrap_err();
    assert!(
        matches!(&latents, Error::CacheKeyMissing { key, .. } if key == "hidden_state1"),
        "{latents}"
    );
    assert!([longer, wider, latents].iter().all(Error::is_bad_cache));
}
