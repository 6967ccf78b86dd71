//! Probabilities of taggers of the common architectures against onnxruntime
//! (`tests/taggers/README.md`). With the feature `ort` and `$ORT_DYLIB_PATH`, onnxruntime runs
//! them, too.

#![cfg(feature = "tagger")]

use std::path::{Path, PathBuf};

use lora_data::{Pixels, Size};
use lora_tag::{Category, Runtime, Scores, Tagger, TaggerInput, TaggerKind, TaggerOptions};
use safetensors::{Dtype, SafeTensors};

fn folders() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/taggers");
    let entries = dir.read_dir().expect("tests/taggers");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("model.onnx").is_file())
        .collect();
    folders.sort();
    assert!(folders.len() >= 10);
    folders
}

fn floats(data: &[u8]) -> Vec<f32> {
    let bytes = data.chunks_exact(4);
    bytes
        .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
        .collect()
}

/// The stored images, blue, green, red: bytes `[n, h, w, 3]` or numbers from -1 to 1
/// `[n, 3, h, w]`.
fn inputs(file: &SafeTensors<'_>) -> Vec<TaggerInput> {
    let tensor = file.tensor("input").expect("an input");
    let (shape, side) = (tensor.shape(), tensor.shape()[2]);
    let pixels = side * side;
    let bgr: Vec<Vec<u8>> = if tensor.dtype() == Dtype::U8 {
        tensor
            .data()
            .chunks(3 * pixels)
            .map(<[u8]>::to_vec)
            .collect()
    } else {
        let levels: Vec<u8> = floats(tensor.data())
            .iter()
            .map(|value| ((value * 0.5 + 0.5) * 255.0).round() as u8)
            .collect();
        let images = levels.chunks(3 * pixels);
        images
            .map(|planes| {
                (0..3 * pixels)
                    .map(|index| planes[index % 3 * pixels + index / 3])
                    .collect()
            })
            .collect()
    };
    assert_eq!(bgr.len(), shape[0]);
    bgr.into_iter()
        .map(|bgr| {
            let rgb = bgr.chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
            let size = Size::new(side as u32, side as u32);
            TaggerInput {
                pixels: Pixels::new(size, rgb).expect("three bytes per pixel"),
                image_size: size,
            }
        })
        .collect()
}

/// The probabilities in the order of the model's outputs.
fn probabilities(tagger: &Tagger, scores: &Scores) -> Vec<f32> {
    let of = |(tag, category): (&str, Category)| {
        let found = scores.of(category).iter().find(|score| score.tag == tag);
        let found = found.unwrap_or_else(|| panic!("no `{tag}` in {category}"));
        found.probability
    };
    tagger.tags().map(of).collect()
}

/// Compares each model with its reference.
fn compare(runtime: &Runtime) {
    for folder in folders() {
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let options = TaggerOptions {
            runtime: runtime.clone(),
            ..TaggerOptions::default()
        };
        let tagger = Tagger::open(&folder, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            tagger.kind() == TaggerKind::Cl,
            name.starts_with("cl-"),
            "{name}"
        );
        let bytes = std::fs::read(folder.join("reference.safetensors")).expect("a reference");
        let file = SafeTensors::deserialize(&bytes).expect("a reference");
        let expected = floats(file.tensor("output").expect("an output").data());
        let inputs = inputs(&file);
        let scores = tagger
            .scores(&inputs)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut worst = 0.0_f32;
        for (scores, expected) in scores.iter().zip(expected.chunks(tagger.tag_count())) {
            for (found, expected) in probabilities(&tagger, scores).iter().zip(expected) {
                worst = worst.max((found - expected).abs());
            }
        }
        println!("{name}: {worst:e}");
        assert!(worst < 1e-4, "{name}: {worst}");
        assert_eq!(scores.len(), inputs.len());
        // One by one gives the same as a batch.
        let single = tagger.scores(&inputs[..1]).expect("scores");
        for (a, b) in probabilities(&tagger, &single[0])
            .iter()
            .zip(probabilities(&tagger, &scores[0]))
        {
            assert!((a - b).abs() < 1e-5, "{name}");
        }
    }
}

#[test]
fn rten_agrees_with_onnxruntime() {
    compare(&Runtime::Rten);
}

/// Needs a libonnxruntime, which is not part of this project.
#[test]
#[cfg(feature = "ort")]
#[ignore = "needs $ORT_DYLIB_PATH"]
fn a_library_of_the_user_runs_them() {
    assert!(
        std::env::var_os("ORT_DYLIB_PATH").is_some(),
        "$ORT_DYLIB_PATH is not set"
    );
    compare(&Runtime::OnnxRuntime { library: None });
}

#[test]
fn a_fixed_batch_is_read_from_the_file() {
    let batches: Vec<Option<usize>> = folders()
        .iter()
        .map(|folder| {
            let tagger = Tagger::open(folder, &TaggerOptions::default()).expect("a tagger");
            tagger.fixed_batch()
        })
        .collect();
    assert!(
        batches.contains(&Some(1)) && batches.contains(&None),
        "{batches:?}"
    );
}
