//! Weights in prompts change previews and nothing else.

use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_models::text::{TokenLimit, WeightedTokens, WeightedWindows, apply_weights};
use lora_models::{Checkpoint, ModelConfig, Tokenizer};
use lora_trainer::config::Resolution;
use lora_trainer::{Event, TrainConfig, Trainer};

use crate::golden::{self, values};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

#[test]
fn contexts() {
    let checkpoint = Checkpoint::open(
        &assets().join("tiny-base.safetensors"),
        &ModelConfig::default(),
    )
    .expect("base");
    let (encoder, _) = checkpoint
        .text_encoder(&golden::device(), FloatDType::F32)
        .expect("text encoder");
    let tokenizer = Tokenizer::new();
    let cx = ForwardContext::base();
    let weighted = |prompt: &str, limit: TokenLimit| {
        let WeightedWindows { ids, weights } =
            WeightedTokens::new(prompt, &tokenizer).windows(limit);
        values(apply_weights(
            encoder.encoder_hidden_states(&[ids], 1, &cx),
            &[&weights],
        ))
    };
    for limit in [TokenLimit::One, TokenLimit::Two] {
        let windows = tokenizer.windows("a teapot, blueprint style", limit);
        let expected: Tensor<3> = encoder.encoder_hidden_states(&[windows], 1, &cx);
        let [_, length, d] = expected.dims();
        let expected = values(expected);
        assert_eq!(weighted("a teapot, blueprint style", limit), expected);
        assert_eq!(weighted("a (teapot:1.0), blueprint style", limit), expected);

        let actual = weighted("a (teapot:1.5), blueprint style", limit);
        // Relative to the other tokens, which are scaled by one factor, the token at position 2
        // grew by a half.
        let factor = |position: usize| {
            let states = |context: &[f32]| context[position * d..(position + 1) * d].to_vec();
            let (before, after) = (states(&expected), states(&actual));
            let dot =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            dot(&before, &after) / dot(&before, &before)
        };
        let scale = factor(0);
        for position in 0..length {
            let weight = if position == 2 { 1.5 } else { 1.0 };
            assert!(
                (factor(position) / scale - weight).abs() < 1e-4,
                "{position}: {}",
                factor(position) / scale
            );
        }
        let mean = |context: &[f32]| {
            context.iter().map(|v| f64::from(*v)).sum::<f64>() / context.len() as f64
        };
        assert!(
            (mean(&actual) - mean(&expected)).abs() < 1e-5,
            "{} {}",
            mean(&actual),
            mean(&expected)
        );
    }
}

/// The previews before training.
fn previews(prompts: &[&str]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "--w 64 --h 64 --s 2 --l 4 --d 1";
    let lines: Vec<String> = prompts
        .iter()
        .map(|prompt| format!("{prompt} {settings}"))
        .collect();
    let base = assets().join("tiny-base.safetensors");
    let config = TrainConfig {
        output_dir: folder.path().into(),
        device: std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into()),
        resolution: Some(Resolution::square(64)),
        min_bucket_reso: 64,
        sample_prompts: Some(lines.join("\n")),
        sample_at_first: true,
        ..TrainConfig::new(base, assets().join("train"))
    };
    Trainer::new(config)
        .expect("a run")
        .filter_map(|event| match event {
            Ok(Event::Preview(preview)) => Some(preview.image.into_raw()),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        })
        .take(prompts.len())
        .collect()
}

#[test]
fn images() {
    let images = previews(&[
        "a teapot --n a cat",
        "a (teapot:1.0) --n a (cat:1.0)",
        "a (teapot:1.5) --n a cat",
        "a teapot --n a (cat:1.5)",
    ]);
    assert_eq!(images.len(), 4);
    assert_eq!(images[0], images[1]);
    assert_ne!(images[0], images[2]);
    assert_ne!(images[0], images[3]);
    assert_ne!(images[2], images[3]);
}
