//! JPEG files of many kinds: the pixels are Pillow's (`tests/jpeg/make.py`).

use std::path::Path;

use lora_data::{DecodeOptions, Pixels, Size, decode};
use safetensors::SafeTensors;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jpeg")
}

#[test]
fn pixels_are_pillows() {
    let bytes = std::fs::read(folder().join("pixels.safetensors")).expect("pixels");
    let expected = SafeTensors::deserialize(&bytes).expect("pixels");
    let mut compared = 0;
    for (name, tensor) in expected.tensors() {
        let [height, width] = [0, 1].map(|axis| tensor.shape()[axis] as u32);
        let expected = Pixels::new(Size::new(width, height), tensor.data().to_vec());
        let found = decode(&folder().join(&name), &DecodeOptions::SD_SCRIPTS).expect(&name);
        let differences = found.as_bytes().iter().zip(tensor.data());
        let worst = differences.map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(Some(found), expected, "{name}: {worst:?}");
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
}

/// Damaged files are errors or images, never panics. The full-size run is in CONTRIBUTING.md.
#[test]
fn damaged_files_do_not_panic() {
    let rounds: u64 = match std::env::var("LORA_TRAINER_MUTATIONS") {
        Ok(rounds) => rounds.parse().expect("a number"),
        Err(_) => 40,
    };
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("mutated.jpg");
    let mut random = Random(1);
    let mut decoded = 0;
    for entry in folder().read_dir().expect("a folder") {
        let file = entry.expect("an entry").path();
        if file.extension().is_none_or(|extension| extension != "jpg") {
            continue;
        }
        let original = std::fs::read(&file).expect("a file");
        for _ in 0..rounds {
            let mut bytes = original.clone();
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] = random.below(256) as u8,
                    1 => bytes[at] ^= 1 << random.below(8),
                    2 => drop(bytes.drain(at..(at + random.below(9)).min(bytes.len()))),
                    _ => bytes.insert(at, random.below(256) as u8),
                }
            }
            std::fs::write(&path, &bytes).expect("a file");
            decoded += u64::from(decode(&path, &DecodeOptions::default()).is_ok());
        }
    }
    assert!(decoded > 0);
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}
