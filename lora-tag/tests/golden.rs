//! Inputs, probabilities and captions against `tagger/` of the reference data, which the
//! preprocessing of sd-scripts and SD-Trainer and onnxruntime computed.

#![cfg(feature = "tagger")]

use std::path::{Path, PathBuf};

use lora_data::{Pixels, Size};
use lora_tag::{
    Category, Scores, Style, TagOptions, Tagger, TaggerInput, TaggerOptions, Underscores,
};
use safetensors::SafeTensors;
use serde_json::Value;

/// Of lossy images, tags whose probabilities are this close may change places, or be on either
/// side of a threshold.
const NEAR: f32 = 1e-2;

fn dir() -> PathBuf {
    let dir = match std::env::var_os("LORA_TRAINER_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
    };
    dir.join("tagger")
}

fn tagger() -> Tagger {
    Tagger::open(dir(), &TaggerOptions::default()).expect("the golden tagger")
}

/// The reference of one image.
#[derive(Debug)]
struct Image {
    name: String,
    json: Value,
}

impl Image {
    fn is_lossy(&self) -> bool {
        !self.name.ends_with(".png")
    }

    fn text(&self, key: &str) -> &str {
        self.json[key]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no `{key}`", self.name))
    }

    fn is_upscaled(&self, side: u32) -> bool {
        let sides = self.json["size"].as_array().expect("size");
        sides
            .iter()
            .all(|found| found.as_u64().expect("a size") < u64::from(side))
    }
}

fn images() -> Vec<Image> {
    let text = std::fs::read_to_string(dir().join("tagger.json")).expect("tagger.json");
    let json: Value = serde_json::from_str(&text).expect("tagger.json");
    let images = json["images"].as_array().expect("images");
    assert!(!images.is_empty());
    images
        .iter()
        .map(|json| Image {
            name: json["file"].as_str().expect("file").into(),
            json: json.clone(),
        })
        .collect()
}

const STYLES: [(Style, &str); 2] = [
    (Style::SdScripts, "sd_scripts"),
    (Style::SdTrainer, "lora_scripts"),
];

/// The stored input as red, green, blue.
fn stored_input(tensors: &SafeTensors<'_>, image: &str, style: &str) -> Option<TaggerInput> {
    // One input is stored if both are equal.
    let keys = [style, "sd_scripts"].map(|style| format!("{image}/{style}.input_u8"));
    let tensor = keys.iter().find_map(|key| tensors.tensor(key).ok())?;
    let side = u32::try_from(tensor.shape()[0]).expect("a side");
    let pixels = tensor
        .data()
        .chunks_exact(3)
        .flat_map(|bgr| [bgr[2], bgr[1], bgr[0]]);
    Some(TaggerInput {
        pixels: Pixels::new(Size::new(side, side), pixels.collect()).expect("three bytes a pixel"),
        image_size: Size::new(side, side),
    })
}

fn stored_probabilities(tensors: &SafeTensors<'_>, image: &str, style: &str) -> Vec<f32> {
    let tensor = tensors
        .tensor(&format!("{image}/{style}.probs"))
        .expect("probabilities");
    let bytes = tensor.data().chunks_exact(4);
    bytes
        .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
        .collect()
}

/// All probabilities in the order of the model.
fn probabilities(scores: &Scores) -> Vec<f32> {
    // The labels are in this order in the file.
    [Category::Rating, Category::General, Category::Character]
        .into_iter()
        .flat_map(|category| scores.of(category))
        .map(|score| score.probability)
        .collect()
}

/// The options of each stored caption.
fn captions() -> Vec<(&'static str, Style, TagOptions)> {
    let sd_scripts = TagOptions::new(Style::SdScripts);
    let sd_trainer = TagOptions {
        category_thresholds: vec![(Category::Character, 0.35)],
        underscores: Some(Underscores::Keep),
        escape_tag: Some(false),
        ..TagOptions::new(Style::SdTrainer)
    };
    vec![
        ("sd_scripts_tags_0.35", Style::SdScripts, sd_scripts.clone()),
        (
            "sd_scripts_tags_0.35_remove_underscore",
            Style::SdScripts,
            TagOptions {
                underscores: Some(Underscores::ReplaceInLong),
                ..sd_scripts
            },
        ),
        ("lora_scripts_tags_0.35", Style::SdTrainer, sd_trainer),
        (
            "lora_scripts_tags_0.5_escaped",
            Style::SdTrainer,
            TagOptions {
                threshold: 0.5,
                category_thresholds: vec![(Category::Character, 0.5)],
                ..TagOptions::new(Style::SdTrainer)
            },
        ),
    ]
}

#[test]
fn inputs() {
    let bytes = std::fs::read(dir().join("tagger.safetensors")).expect("tagger.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("tagger.safetensors");
    let tagger = tagger();
    let mut compared = 0;
    for image in images() {
        for (style, name) in STYLES {
            let Some(expected) = stored_input(&tensors, &image.name, name) else {
                continue;
            };
            let path = dir().join(&image.name);
            let found = tagger
                .read(&path, &TagOptions::new(style))
                .expect("an image");
            let pixels = found
                .pixels
                .as_bytes()
                .iter()
                .zip(expected.pixels.as_bytes());
            let differences: Vec<u8> = pixels.map(|(a, b)| a.abs_diff(*b)).collect();
            let worst = differences.iter().copied().max().unwrap_or_default();
            let sum: u64 = differences
                .iter()
                .map(|difference| u64::from(*difference))
                .sum();
            let mean = sum as f64 / differences.len() as f64;
            println!("{} {name}: worst {worst}, mean {mean:.4}", image.name);
            let (most, most_mean) = match (image.is_lossy(), style) {
                (true, _) => (1, 0.02),
                (false, Style::SdScripts) if image.is_upscaled(tagger.side()) => (1, 1.0),
                (false, _) => (0, 0.0),
            };
            assert!(worst <= most && mean <= most_mean, "{} {name}", image.name);
            compared += 1;
        }
    }
    assert!(compared >= 2);
}

#[test]
fn probabilities_and_captions_of_stored_inputs() {
    let bytes = std::fs::read(dir().join("tagger.safetensors")).expect("tagger.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("tagger.safetensors");
    let tagger = tagger();
    let mut compared = 0;
    for image in images() {
        for (style, name) in STYLES {
            let Some(input) = stored_input(&tensors, &image.name, name) else {
                continue;
            };
            let scores = tagger.scores(&[input]).expect("scores").remove(0);
            let expected = stored_probabilities(&tensors, &image.name, name);
            let found = probabilities(&scores);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
            for (key, of_style, options) in captions() {
                if of_style == style {
                    assert_eq!(
                        options.caption(&scores),
                        image.text(key),
                        "{} {key}",
                        image.name
                    );
                    compared += 1;
                }
            }
            if style == Style::SdScripts {
                let best = scores.best(Category::Rating).expect("ratings");
                assert_eq!(best.tag, image.text("rating"));
            }
        }
    }
    assert!(compared >= 4);
}

#[test]
fn captions_of_files() {
    let tagger = tagger();
    for image in images() {
        let path = dir().join(&image.name);
        for (key, _, options) in captions() {
            let input = tagger.read(&path, &options).expect("an image");
            let scores = tagger.scores(&[input]).expect("scores").remove(0);
            let (found, expected) = (options.caption(&scores), image.text(key));
            if image.is_lossy() {
                assert_near(&options, &scores, &found, expected);
            } else {
                assert_eq!(found, expected, "{} {key}", image.name);
            }
        }
    }
}

/// Checks that two captions differ only in tags that are near the threshold or near one another.
#[track_caller]
fn assert_near(options: &TagOptions, scores: &Scores, found: &str, expected: &str) {
    let probability = |written: &str| {
        let all = [Category::General, Category::Character];
        let mut tags = all.into_iter().flat_map(|category| scores.of(category));
        let everything = TagOptions {
            threshold: 0.0,
            category_thresholds: Vec::new(),
            ..options.clone()
        };
        tags.find(|score| {
            let only = Scores {
                categories: [(Category::General, vec![(*score).clone()])].into(),
                ..scores.clone()
            };
            everything.caption(&only) == written
        })
        .unwrap_or_else(|| panic!("`{written}` is no tag of the tagger"))
        .probability
    };
    let (found, expected): (Vec<&str>, Vec<&str>) =
        (found.split(", ").collect(), expected.split(", ").collect());
    let threshold = options.threshold;
    for (tags, others) in [(&found, &expected), (&expected, &found)] {
        for tag in tags.iter().filter(|tag| !others.contains(tag)) {
            assert!((probability(tag) - threshold).abs() < NEAR, "{tag}");
        }
    }
    let common: Vec<&str> = found
        .iter()
        .copied()
        .filter(|tag| expected.contains(tag))
        .collect();
    let there: Vec<&str> = expected
        .iter()
        .copied()
        .filter(|tag| found.contains(tag))
        .collect();
    for (a, b) in common.iter().zip(&there) {
        assert!(
            a == b || (probability(a) - probability(b)).abs() < NEAR,
            "{a} {b}"
        );
    }
}

/// Images are upright, but not with the faults of the originals.
#[test]
fn exif_orientation() {
    let image = dir().join("../images/exif6.jpg");
    let tagger = tagger();
    for style in [Style::SdTrainer, Style::SdScripts] {
        let options = |compat| TagOptions {
            compat,
            ..TagOptions::new(style)
        };
        let upright = tagger.read(&image, &options(false)).expect("an image");
        let stored = tagger.read(&image, &options(true)).expect("an image");
        assert_ne!(upright.image_size, stored.image_size);
        assert_eq!(upright.image_size.width, stored.image_size.height);
        assert_ne!(upright.pixels, stored.pixels);
    }
}
