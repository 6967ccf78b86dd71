//! SD 2.x and SDXL are trained like SD 1.x: the small models of the reference data, through the
//! program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lora_trainer::{Event, Trainer};

use crate::golden::{self, Arrays};
use crate::program::Job;

/// A job on the reference data's model of this family.
pub(crate) fn job(family: &str) -> Job {
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", model(family));
    let info = golden::json(&format!("{family}/info.json"));
    let (unet, vae) = (&info["config"]["unet"], &info["config"]["vae"]);
    let second = match info["config"].get("text2") {
        Some(text) => format!(
            ", text_encoder_2 = {{num_attention_heads = {}}}",
            text["num_attention_heads"]
        ),
        None => String::new(),
    };
    let config = format!(
        "{{unet = {{num_attention_heads = {}, norm_num_groups = {}}}, vae = {{norm_num_groups = \
         {}}}, \
         text_encoder = {{num_attention_heads = {}}}{second}}}",
        unet["num_heads"],
        unet["norm_num_groups"],
        vae["norm_num_groups"],
        info["config"]["text"]["num_attention_heads"]
    );
    job.toml("model_config", &config)
        .toml("unet_lr", "0.01")
        .toml("save_precision", "'float'");
    job
}

fn model(family: &str) -> PathBuf {
    golden::dir().join(family).join("model.safetensors")
}

fn lora(job: &Job, folder: &str) -> Arrays {
    Arrays::open(&job.path(folder).join("emoji.safetensors"))
}

/// A run has changed an adapter if its up matrix is no longer 0.
#[test]
fn text_encoders_of_sdxl_have_rates_of_their_own() {
    let mut job = job("sdxl");
    job.toml("network_train_unet_only", "false")
        .toml("max_train_steps", "2");
    for (rates, optimizer) in [
        ("[1e-3, 0]", "AdamW"),
        ("[0, 1e-3]", "AdamW"),
        ("[1e-3, 0]", "AdaFactor"),
    ] {
        job.toml("text_encoder_lr", rates)
            .set("optimizer_type", optimizer)
            .events();
        let lora = lora(&job, "output");
        let is_trained = |start: &str| {
            let mut up = lora
                .arrays
                .iter()
                .filter(|(key, _)| key.starts_with(start) && key.ends_with("lora_up.weight"));
            up.any(|(_, array)| array.values.iter().any(|value| *value != 0.0))
        };
        let first = rates.starts_with("[1");
        assert_eq!(
            [is_trained("lora_te1_"), is_trained("lora_te2_")],
            [first, !first],
            "{rates}, {optimizer}"
        );
    }
}

#[test]
fn sdxl_writes_the_keys_of_sd_scripts() {
    let mut job = job("sdxl");
    job.toml("network_train_unet_only", "false")
        .toml("gradient_checkpointing", "true")
        .toml("max_train_steps", "2");
    job.run().succeeded();
    let lora = lora(&job, "output");
    for start in [
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.",
        "lora_unet_middle_block_1_proj_in.",
        "lora_unet_output_blocks_5_1_proj_out.",
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.",
        "lora_te2_text_model_encoder_layers_3_self_attn_q_proj.",
    ] {
        let tensors = lora
            .arrays
            .keys()
            .filter(|key| key.starts_with(start))
            .count();
        assert_eq!(tensors, 3, "{start}");
    }
    assert_eq!(
        lora.get("lora_unet_middle_block_1_proj_in.lora_down.weight")
            .shape
            .len(),
        2
    );
    let entry = |key: &str| lora.metadata[key].as_str();
    assert_eq!(entry("ss_base_model_version"), "sdxl_base_v1-0");
    assert_eq!(
        entry("modelspec.architecture"),
        "stable-diffusion-xl-v1-base/lora"
    );
    assert_eq!(entry("ss_v2"), "False");
    let changed_adapters = |start: &str| {
        let ups = lora
            .arrays
            .iter()
            .filter(|(key, _)| key.starts_with(start) && key.ends_with("lora_up.weight"));
        ups.filter(|(_, array)| array.f32().iter().any(|value| *value != 0.0))
            .count()
    };
    assert!(changed_adapters("lora_unet_") > 10);
    assert!(changed_adapters("lora_te1_") > 5 && changed_adapters("lora_te2_") > 5);
}

#[test]
fn sd2_writes_convolutions_where_sd_scripts_does() {
    let mut job = job("sd2");
    job.toml("v_parameterization", "true");
    job.run().succeeded();
    let lora = lora(&job, "output");
    assert_eq!(
        lora.get("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight")
            .shape
            .len(),
        4
    );
    let entry = |key: &str| lora.metadata[key].as_str();
    assert_eq!(
        (entry("ss_base_model_version"), entry("ss_v2")),
        ("sd_v2_v", "True")
    );
    assert_eq!(entry("modelspec.prediction_type"), "v");
}

/// This SD 2.x model does not declare its prediction type.
#[test]
fn the_prediction_type_of_sd2_is_detected_and_reported() {
    let run = job("sd2").run();
    run.succeeded();
    assert!(
        run.stdout
            .contains("a test prediction at timestep 999 detected")
            && run.stdout.contains("set `v_parameterization ="),
        "{run:?}"
    );
}

#[test]
fn previews_of_sdxl() {
    let mut job = job("sdxl");
    job.set(
        "sample_prompts",
        "a (red:1.3) cat --w 64 --h 64 --s 2 --l 7.5",
    )
    .toml("sample_at_first", "true");
    job.run().succeeded();
    let images = std::fs::read_dir(job.path("output/sample"))
        .expect("previews")
        .count();
    assert!(images >= 2, "{images}");
}

/// The loss of the first step of a job.
fn first_loss(job: &Job) -> f32 {
    for event in Trainer::new(job.config().expect("a configuration")).expect("a trainer") {
        if let Event::Step(step) = event.expect("an event") {
            return step.loss;
        }
    }
    panic!("no step")
}

/// A LoRA can be continued, and merging it into the base gives the same result as training with it.
#[test]
fn a_lora_of_each_family_is_continued_and_merged() {
    for family in ["sd1", "sd2", "sdxl"] {
        let mut job = job(family);
        if family == "sd2" {
            job.toml("v_parameterization", "true");
        }
        // Merging rounds to the base's data type; adapters do not.
        job.set("base_dtype", "float");
        job.toml("network_train_unet_only", "false")
            .toml("conv_dim", "2")
            .toml("network_alpha", "2.0");
        job.set("output_dir", "first").run().succeeded();
        let first = lora(&job, "first");

        // At a learning rate of 0 the file is unchanged.
        job.set("network_weights", "first/emoji.safetensors")
            .toml("learning_rate", "0.0")
            .toml("unet_lr", "0.0");
        job.set("output_dir", "again").run().succeeded();
        same(&first, &lora(&job, "again"));

        // Ranks and targets come from the file.
        job.remove("conv_dim")
            .remove("network_alpha")
            .toml("network_dim", "8")
            .toml("dim_from_weights", "true");
        job.set("output_dir", "dims").run().succeeded();
        let dims = lora(&job, "dims");
        same(&first, &dims);
        let entries = ["ss_network_dim", "ss_network_alpha", "ss_network_args"]
            .map(|key| &dims.metadata[key]);
        assert_eq!(
            entries,
            ["ss_network_dim", "ss_network_alpha", "ss_network_args"]
                .map(|key| &first.metadata[key])
        );

        let with_lora = first_loss(&job);
        job.remove("network_weights").remove("dim_from_weights");
        let without = first_loss(&job);
        job.toml("base_weights", "['first/emoji.safetensors']");
        let strength_1 = first_loss(&job);
        job.toml("base_weights_multiplier", "[0.0]");
        let strength_0 = first_loss(&job);
        assert!(
            (with_lora - without).abs() > 1e-4 * without,
            "{family}: {with_lora} and {without}"
        );
        assert!(
            (with_lora - strength_1).abs() < 1e-5 * without,
            "{family}: {with_lora} and {strength_1}"
        );
        assert!(
            (without - strength_0).abs() < 1e-6 * without,
            "{family}: {without} and {strength_0}"
        );
    }
}

fn same(a: &Arrays, b: &Arrays) {
    let keys = |arrays: &Arrays| arrays.arrays.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(a), keys(b));
    for (key, array) in &a.arrays {
        assert_eq!(array.f32(), b.get(key).f32(), "{key}");
    }
}

#[test]
fn a_configuration_that_contradicts_the_file_is_refused() {
    let mut job = job("sd1");
    job.toml("v2", "true").is_refused(&[
        "`v2`",
        "is true, but",
        "model.safetensors` is Stable Diffusion 1.x",
    ]);
    job.remove("v2");
    for (family, title) in [("sd2", "Stable Diffusion 2.x"), ("sdxl", "SDXL")] {
        let v2 = (family != "sd2").to_string();
        job.set("pretrained_model_name_or_path", model(family))
            .remove("model_config")
            .toml("v2", &v2);
        job.is_refused(&["`v2`", &format!("is {v2}, but"), &format!("is {title}")]);
    }
    job.toml("v2", "true")
        .set("pretrained_model_name_or_path", formats("sd2"))
        .toml("v_parameterization", "false");
    job.is_refused(&[
        "`v_parameterization`",
        "is false, but",
        "declares v-prediction",
    ]);
}

fn formats(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/formats")
        .join(name)
}

/// A folder trains like a file, an external VAE replaces its own, and a LoRA of another family is
/// refused.
#[test]
fn folders_vaes_and_loras_of_other_families() {
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", formats("sdxl"))
        .set("vae", formats("vae-ldm.pt"));
    job.toml("resolution", "'32,32'")
        .toml("bucket_reso_steps", "32")
        .toml("min_bucket_reso", "32");
    job.toml("model_config", "{vae = {norm_num_groups = 4}}")
        .run()
        .succeeded();
    let made = lora(&job, "output");
    assert_eq!(made.metadata["ss_vae_name"], "vae-ldm.pt");
    assert_eq!(made.metadata["ss_new_vae_hash"].len(), 64);
    assert_eq!(made.metadata["ss_sd_model_hash"], "IsADirectory");
    job.remove("model_config").remove("vae");
    std::fs::remove_dir_all(job.path("output")).expect("a folder");
    let lora = golden::dir().join("sd1/lora.safetensors");
    job.set("network_weights", lora).is_refused(&[
        "lora.safetensors",
        "the LoRA is for Stable Diffusion 1.x, the base is SDXL",
    ]);
    job.remove("network_weights")
        .set("vae", formats("sdxl/unet/config.json"));
    job.is_refused(&["config.json"]);
}
