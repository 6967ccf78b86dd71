//! The frozen networks predict what diffusers and transformers predict, with and without adapters.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_models::text::Tokenizer;

use crate::golden::{Arrays, assert_close, device, values};
use crate::tiny::{Tiny, windows};

const TOLERANCE: f64 = 1e-4;

#[test]
fn text_encoder() {
    let tiny = Tiny::load("sd1");
    let golden = Arrays::read("sd1/text.safetensors");
    let (encoder, base) = (&tiny.text_encoder, ForwardContext::base());
    let close = |what: &str, actual: Tensor<3>| {
        assert_close(what, &values(actual), &golden.get(what).f32(), TOLERANCE);
    };
    let ids = windows(golden.get("input_ids"));
    for layers in 0..=encoder.layer_count() {
        close(&format!("hidden.{layers}"), encoder.hidden_state(&ids, layers, &base));
    }
    let mut skips = 0;
    for skip in (1..=encoder.layer_count()).filter(|skip| golden.has(&format!("clip_skip.{skip}"))) {
        close(&format!("clip_skip.{skip}"), encoder.forward(&ids, skip, &base));
        skips += 1;
    }
    assert!(skips > 0, "no clip_skip was compared");
    close("context", encoder.forward(&ids, 1, &base));
    let long = golden.get("input_ids_225");
    let long: Vec<_> = windows(long).chunks(long.shape[1]).map(<[_]>::to_vec).collect();
    close("context_225", encoder.context(&long, 1, &base));
    close("context_225_clip_skip2", encoder.context(&long, 2, &base));
}

#[test]
fn prompts_become_the_windows_that_sd_scripts_makes() {
    use lora_models::text::TokenLimit;
    let golden = Arrays::read("sd1/text.safetensors");
    let tokenizer = Tokenizer::new();
    for (prompts, ids, limit) in
        [("prompts", "input_ids", TokenLimit::One), ("prompts_225", "input_ids_225", TokenLimit::Three)]
    {
        let prompts: Vec<String> = serde_json::from_value(golden.metadata_json(prompts)).expect("a list of prompts");
        assert!(!prompts.is_empty());
        let windows_of_all: Vec<_> = prompts.iter().flat_map(|prompt| tokenizer.windows(prompt, limit)).collect();
        assert_eq!(windows_of_all, windows(golden.get(ids)), "{ids}");
    }
}

#[test]
fn vae() {
    let tiny = Tiny::load("sd1");
    let golden = Arrays::read("sd1/vae.safetensors");
    let device = device();
    let mut cases = 0;
    for case in (0..).take_while(|case| golden.has(&format!("{case}.image"))) {
        let get = |name: &str| golden.get(&format!("{case}.{name}"));
        let close = |name: &str, actual: Tensor<4>| {
            assert_close(&format!("{case}.{name}"), &values(actual), &get(name).f32(), TOLERANCE);
        };
        let image = get("image").tensor::<4>(&device);
        close("moments", tiny.vae.moments(image.clone()));
        let posterior = tiny.vae.encode(image);
        close("mean", posterior.mean.clone());
        close("logvar_clamped", posterior.logvar.clone());
        close("std", posterior.std());
        let latents = posterior.sample(get("noise").tensor(&device));
        close("latents_scaled", latents.clone() * tiny.vae.scaling_factor());
        close("decoded", tiny.vae.decode(latents));
        cases += 1;
    }
    assert!(cases > 0, "no case was compared");
}

#[test]
fn unet() {
    let tiny = Tiny::load("sd1");
    let golden = Arrays::read("sd1/unet.safetensors");
    let device = device();
    let predict = |case: usize, cx: &ForwardContext| {
        let get = |name: &str| golden.get(&format!("{case}.{name}"));
        let context = get("context").tensor::<3>(&device);
        values(tiny.unet.forward(get("latents").tensor(&device), &get("timesteps").f32(), &context, cx))
    };
    let mut cases = 0;
    for case in (0..).take_while(|case| golden.has(&format!("{case}.latents"))) {
        let expected = golden.get(&format!("{case}.out")).f32();
        assert_close(&format!("{case}.out"), &predict(case, &ForwardContext::base()), &expected, TOLERANCE);
        cases += 1;
    }
    assert!(cases > 0, "no case was compared");

    let adapters = tiny.adapters("sd1");
    for multiplier in multipliers(&golden, "0.out_lora_") {
        let cx = ForwardContext::base().with(adapters.bind(multiplier.parse().expect("a number")));
        let expected = golden.get(&format!("0.out_lora_{multiplier}")).f32();
        assert_close(&format!("0.out_lora_{multiplier}"), &predict(0, &cx), &expected, TOLERANCE);
    }
    let silent = ForwardContext::base().with(adapters.bind(0.0));
    assert_eq!(predict(0, &silent), predict(0, &ForwardContext::base()));
}

#[test]
fn text_encoder_with_adapters() {
    let tiny = Tiny::load("sd1");
    let golden = Arrays::read("sd1/unet.safetensors");
    let ids = windows(golden.get("text.input_ids"));
    let adapters = tiny.adapters("sd1");
    for multiplier in multipliers(&golden, "text.context_lora_") {
        let cx = ForwardContext::base().with(adapters.bind(multiplier.parse().expect("a number")));
        let expected = golden.get(&format!("text.context_lora_{multiplier}")).f32();
        let context = values(tiny.text_encoder.forward(&ids, 1, &cx));
        assert_close(&format!("text.context_lora_{multiplier}"), &context, &expected, TOLERANCE);
    }
}

/// The multipliers that keys with this start name.
fn multipliers(golden: &Arrays, start: &str) -> Vec<String> {
    let found: Vec<String> =
        golden.arrays.keys().filter_map(|key| key.strip_prefix(start).map(ToString::to_string)).collect();
    assert!(!found.is_empty(), "no `{start}*` was found");
    found
}
