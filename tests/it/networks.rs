//! The frozen networks give the results of diffusers and transformers, with and without adapters.

use burn::tensor::{FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_models::text::{CaptionWindows, TokenLimit, Window};
use lora_models::{Checkpoint, CheckpointOptions, Family, Tokenizer};

use crate::golden::{Arrays, assert_close, device, values};
use crate::tiny::{Tiny, windows};

const TOLERANCE: f64 = 1e-4;

/// Hidden states of a single text encoder, and encoder_hidden_states of one and three windows.
fn text_encoder(family: &str) {
    let tiny = Tiny::load(family);
    let golden = Arrays::read(&format!("{family}/text.safetensors"));
    let (encoder, base) = (tiny.text_encoder(), ForwardContext::base());
    let close = |what: &str, actual: Tensor<3>| {
        assert_close(what, &values(actual), &golden.get(what).f32(), TOLERANCE);
    };
    let ids = windows(golden.get("input_ids"));
    for layers in 0..=encoder.layer_count() {
        close(
            &format!("hidden.{layers}"),
            encoder.hidden_state(&ids, layers, &base),
        );
    }
    let mut skips = 0;
    for skip in (1..=encoder.layer_count()).filter(|skip| golden.has(&format!("clip_skip.{skip}")))
    {
        close(
            &format!("clip_skip.{skip}"),
            encoder.forward(&ids, skip, &base),
        );
        skips += 1;
    }
    assert!(skips > 0, "no clip_skip was compared");
    if tiny.text_encoders.encoders().len() == 1 {
        let long = long_windows(&golden, "input_ids_225");
        close(
            "context",
            tiny.text_encoders
                .encode(&tiny.captions(&golden, "input_ids"), 1, &base)
                .encoder_hidden_states,
        );
        close(
            "context_225",
            encoder.encoder_hidden_states(&long, 1, &base),
        );
        close(
            "context_225_clip_skip2",
            encoder.encoder_hidden_states(&long, 2, &base),
        );
    }
}

/// The windows of captions of several windows each.
fn long_windows(golden: &Arrays, key: &str) -> Vec<Vec<Window>> {
    let long = golden.get(key);
    windows(long)
        .chunks(long.shape[1])
        .map(<[_]>::to_vec)
        .collect()
}

#[test]
fn text_encoder_of_sd1() {
    text_encoder("sd1");
}

#[test]
fn text_encoder_of_sd2() {
    text_encoder("sd2");
}

#[test]
fn text_encoders_of_sdxl() {
    text_encoder("sdxl");
    let tiny = Tiny::load("sdxl");
    let golden = Arrays::read("sdxl/text.safetensors");
    let base = ForwardContext::base();
    let close = |what: &str, actual: &[f32]| {
        assert_close(what, actual, &golden.get(what).f32(), TOLERANCE);
    };
    let second = &tiny.text_encoders.encoders()[1];
    let ids = windows(golden.get("input_ids2"));
    for layers in 0..=second.layer_count() {
        close(
            &format!("hidden2.{layers}"),
            &values(second.hidden_state(&ids, layers, &base)),
        );
    }
    close("last_normed2", &values(second.forward(&ids, 1, &base)));
    let encoded = tiny
        .text_encoders
        .encode(&tiny.captions(&golden, "input_ids"), 1, &base);
    close("context", &values(encoded.encoder_hidden_states));
    close("pooled2", &values(encoded.pooled.expect("a pooled state")));
    let captions = long_windows(&golden, "input_ids_225")
        .into_iter()
        .zip(long_windows(&golden, "input_ids2_225"));
    let captions: Vec<_> = captions
        .map(|(first, second)| CaptionWindows { first, second })
        .collect();
    let encoded = tiny.text_encoders.encode(&captions, 1, &base);
    close("context_225", &values(encoded.encoder_hidden_states));
    close(
        "pooled2_225",
        &values(encoded.pooled.expect("a pooled state")),
    );
}

/// sd-scripts multiplies by the transposed projection of a single file.
#[test]
fn the_projection_as_sd_scripts_uses_it() {
    let tiny = Tiny::load("sdxl");
    let golden = Arrays::read("sdxl/text.safetensors");
    let options = CheckpointOptions {
        model_config: tiny.checkpoint.config().clone(),
        projection_as_sd_scripts: true,
        ..CheckpointOptions::default()
    };
    let path = crate::golden::dir().join("sdxl/model.safetensors");
    let checkpoint = Checkpoint::open_with(&path, &options).expect("checkpoint");
    let encoders = checkpoint
        .text_encoders(&tiny.device, FloatDType::F32)
        .expect("text encoders");
    let encoded = encoders.encode(
        &tiny.captions(&golden, "input_ids"),
        1,
        &ForwardContext::base(),
    );
    let pooled = values(encoded.pooled.expect("a pooled state"));
    let key = "pooled2_projection_not_transposed";
    assert_close(key, &pooled, &golden.get(key).f32(), TOLERANCE);
}

#[test]
fn prompts_become_the_windows_that_sd_scripts_makes() {
    for family in [Family::Sd1, Family::Sd2, Family::Sdxl] {
        let name = if family == Family::Sd1 {
            "sd1"
        } else {
            family.name()
        };
        let golden = Arrays::read(&format!("{name}/text.safetensors"));
        let tokenizer = Tokenizer::new();
        for (prompts, ending, limit) in [
            ("prompts", "", TokenLimit::One),
            ("prompts_225", "_225", TokenLimit::Three),
        ] {
            let prompts: Vec<String> =
                serde_json::from_value(golden.metadata_json(prompts)).expect("a list of prompts");
            assert!(!prompts.is_empty());
            let captions = || {
                prompts
                    .iter()
                    .map(|prompt| tokenizer.caption(prompt, limit, family))
            };
            let first: Vec<Window> = captions().flat_map(|caption| caption.first).collect();
            assert_eq!(
                first,
                windows(golden.get(&format!("input_ids{ending}"))),
                "{name}: input_ids{ending}"
            );
            let second: Vec<Window> = captions().flat_map(|caption| caption.second).collect();
            match family {
                Family::Sdxl => {
                    assert_eq!(
                        second,
                        windows(golden.get(&format!("input_ids2{ending}"))),
                        "input_ids2{ending}"
                    );
                }
                _ => assert!(second.is_empty()),
            }
        }
    }
}

fn vae(family: &str) {
    let tiny = Tiny::load(family);
    let golden = Arrays::read(&format!("{family}/vae.safetensors"));
    let device = device();
    let mut cases = 0;
    for case in (0..).take_while(|case| golden.has(&format!("{case}.image"))) {
        let get = |name: &str| golden.get(&format!("{case}.{name}"));
        let close = |name: &str, actual: Tensor<4>| {
            assert_close(
                &format!("{case}.{name}"),
                &values(actual),
                &get(name).f32(),
                TOLERANCE,
            );
        };
        let image = get("image").tensor::<4>(&device);
        close("moments", tiny.vae.moments(image.clone()));
        let posterior = tiny.vae.encode(image);
        close("mean", posterior.mean.clone());
        close("logvar_clamped", posterior.logvar.clone());
        close("std", posterior.std());
        let latents = posterior.sample(get("noise").tensor(&device));
        close(
            "latents_scaled",
            latents.clone() * tiny.vae.scaling_factor(),
        );
        close("decoded", tiny.vae.decode(latents));
        cases += 1;
    }
    assert!(cases > 0, "no case was compared");
}

#[test]
fn vae_of_sd1() {
    vae("sd1");
}

#[test]
fn vae_of_sd2() {
    vae("sd2");
}

#[test]
fn vae_of_sdxl() {
    vae("sdxl");
}

fn unet(family: &str) {
    let tiny = Tiny::load(family);
    let golden = Arrays::read(&format!("{family}/unet.safetensors"));
    let device = device();
    let predict = |case: usize, cx: &ForwardContext| {
        let get = |name: &str| golden.get(&format!("{case}.{name}"));
        let context = get("context").tensor::<3>(&device);
        let pooled = tiny
            .unet
            .added_cond_width()
            .map(|_| get("pooled").tensor::<2>(&device));
        let vector = tiny.added_cond(&golden, &format!("{case}.time_ids"), pooled);
        let latents = get("latents").tensor(&device);
        values(tiny.unet.forward(
            latents,
            &get("timesteps").f32(),
            &context,
            vector.as_ref(),
            cx,
        ))
    };
    let mut cases = 0;
    for case in (0..).take_while(|case| golden.has(&format!("{case}.latents"))) {
        let expected = golden.get(&format!("{case}.out")).f32();
        assert_close(
            &format!("{case}.out"),
            &predict(case, &ForwardContext::base()),
            &expected,
            TOLERANCE,
        );
        cases += 1;
    }
    assert!(cases > 0, "no case was compared");

    let adapters = tiny.adapters(family);
    for multiplier in multipliers(&golden, "0.out_lora_") {
        let cx = ForwardContext::base().with(adapters.bind(multiplier.parse().expect("a number")));
        let expected = golden.get(&format!("0.out_lora_{multiplier}")).f32();
        assert_close(
            &format!("0.out_lora_{multiplier}"),
            &predict(0, &cx),
            &expected,
            TOLERANCE,
        );
    }
    let silent = ForwardContext::base().with(adapters.bind(0.0));
    assert_eq!(predict(0, &silent), predict(0, &ForwardContext::base()));
}

#[test]
fn unet_of_sd1() {
    unet("sd1");
}

#[test]
fn unet_of_sd2() {
    unet("sd2");
}

#[test]
fn unet_of_sdxl() {
    unet("sdxl");
}

#[test]
fn text_encoders_with_adapters() {
    for family in ["sd1", "sd2", "sdxl"] {
        let tiny = Tiny::load(family);
        let golden = Arrays::read(&format!("{family}/unet.safetensors"));
        let captions = tiny.captions(&golden, "text.input_ids");
        let adapters = tiny.adapters(family);
        for multiplier in multipliers(&golden, "text.context_lora_") {
            let cx =
                ForwardContext::base().with(adapters.bind(multiplier.parse().expect("a number")));
            let encoded = tiny.text_encoders.encode(&captions, 1, &cx);
            let close = |what: &str, actual: &[f32]| {
                let key = format!("text.{what}_lora_{multiplier}");
                assert_close(&key, actual, &golden.get(&key).f32(), TOLERANCE);
            };
            close("context", &values(encoded.encoder_hidden_states));
            if let Some(pooled) = encoded.pooled {
                close("pooled2", &values(pooled));
            }
        }
    }
}

/// The multipliers in the names of the keys with this prefix.
fn multipliers(golden: &Arrays, start: &str) -> Vec<String> {
    let found: Vec<String> = golden
        .arrays
        .keys()
        .filter_map(|key| key.strip_prefix(start).map(ToString::to_string))
        .collect();
    assert!(!found.is_empty(), "no `{start}*` was found");
    found
}
