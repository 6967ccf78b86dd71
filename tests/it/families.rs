//! SD 2.x and SDXL are trained like SD 1.x: the small models of the reference data, through the
//! program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lora_core::adapter::{AdapterSet, SavePrecision, Slot, StoredTensor};
use lora_core::layers::LayerSpec;
use lora_models::lora::{BlockTargets, Naming, RankAlpha, Targets, block_count, block_index};
use lora_models::{Checkpoint, Family, ModelConfig, random};
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

/// The adapters that a run has changed: their up matrix is no longer 0.
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
    let moved = |start: &str| {
        let ups = lora
            .arrays
            .iter()
            .filter(|(key, _)| key.starts_with(start) && key.ends_with("lora_up.weight"));
        ups.filter(|(_, array)| array.f32().iter().any(|value| *value != 0.0))
            .count()
    };
    assert!(moved("lora_unet_") > 10 && moved("lora_te1_") > 5 && moved("lora_te2_") > 5);
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
        run.stdout.contains("a trial at timestep 999 detected")
            && run.stdout.contains("v_parameterization ="),
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

/// The layers of a full-size SDXL, read from the header alone, get the same adapters as in
/// sd-scripts.
#[test]
fn adapters_of_a_full_size_sdxl() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |family: Family| {
        let path = folder.path().join(format!("{}.safetensors", family.name()));
        write_header_of(family, &path, |_| true);
        Checkpoint::open(&path, &ModelConfig::default()).expect("a header")
    };
    let checkpoint = open(Family::Sdxl);
    let layers = checkpoint.layers().expect("layers");
    let linear = RankAlpha {
        rank: 16,
        alpha: 8.0,
    };
    let device = burn::tensor::Device::flex();
    let set = |family: Family, layers: &[_], conv, unet, text_encoder| {
        let targets = Targets {
            linear,
            conv,
            unet,
            text_encoder,
            ..Targets::default()
        };
        targets
            .adapter_set(layers, family.lora_naming(), 0, &device)
            .expect("targets")
    };
    let unet = set(Family::Sdxl, &layers.unet, None, true, false);
    let found: BTreeMap<String, Vec<usize>> = unet
        .to_tensors(SavePrecision::Fp16)
        .into_iter()
        .map(|tensor| (tensor.key, tensor.shape))
        .collect();
    let golden = golden::layout("lora_sdxl_rank16_unet.json");
    let expected: BTreeMap<String, (String, Vec<usize>)> =
        serde_json::from_value(golden["tensors"].clone()).expect("key -> [dtype, shape]");
    let expected: BTreeMap<String, Vec<usize>> = expected
        .into_iter()
        .map(|(key, (_, shape))| (key, shape))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        set(Family::Sdxl, &layers.unet, Some(linear), true, false)
            .slots()
            .len(),
        788
    );
    assert_eq!(
        set(Family::Sdxl, &layers.text_encoders, None, false, true)
            .slots()
            .len(),
        72 + 192
    );
    let checkpoint = open(Family::Sd2);
    let layers = checkpoint.layers().expect("layers");
    assert_eq!(
        set(Family::Sd2, &layers.text_encoders, None, false, true)
            .slots()
            .len(),
        138
    );
    assert_eq!(
        set(Family::Sd2, &layers.unet, None, true, false)
            .slots()
            .len(),
        192
    );
    assert_eq!(
        set(Family::Sd2, &layers.unet, Some(linear), true, false)
            .slots()
            .len(),
        278
    );
}

const LINEAR: RankAlpha = RankAlpha {
    rank: 2,
    alpha: 1.0,
};

/// Every layer that can get an adapter is in one of the blocks that sd-scripts numbers, and the
/// entries of that block select it.
#[test]
fn blocks_of_full_size_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = burn::tensor::Device::flex();
    let linear = LINEAR;
    let sd1 = [1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21, 22, 23, 24];
    let sdxl = [5, 6, 8, 9, 11, 13, 14, 15, 16, 17, 18];
    for (family, naming, blocks_with_attention, all, others) in [
        (Family::Sd1, Naming::Sd, &sd1[..], 278, 86),
        (Family::Sdxl, Naming::Sdxl, &sdxl, 788, 66),
    ] {
        let path = folder.path().join(format!("{}.safetensors", family.name()));
        write_header_of(family, &path, |_| true);
        let layers = Checkpoint::open(&path, &ModelConfig::default())
            .expect("a header")
            .layers()
            .expect("layers")
            .unet;
        let set = |targets: Targets| {
            targets
                .adapter_set(&layers, naming, 0, &device)
                .expect("targets")
        };
        let blocks_of = |set: &AdapterSet| {
            let slots = set.slots().iter();
            slots
                .map(|slot| block_index(&slot.layer.path, naming).expect("a block"))
                .collect::<BTreeSet<_>>()
        };
        let plain = set(Targets {
            linear,
            ..Targets::default()
        });
        assert_eq!(
            blocks_of(&plain),
            blocks_with_attention.iter().copied().collect()
        );
        let conv = Targets {
            linear,
            conv: Some(linear),
            ..Targets::default()
        };
        assert_eq!(set(conv.clone()).slots().len(), all);
        let wide = set(Targets {
            linear,
            widened: true,
            ..Targets::default()
        });
        let kernels = set(conv)
            .slots()
            .iter()
            .filter(|slot| slot.layer.kind.kernel() > 1)
            .count();
        assert_eq!(
            (wide.slots().len(), plain.slots().len()),
            (all - kernels, all - others)
        );

        ranks_of_blocks(&layers, naming, &plain);
    }
}

/// A rank for each block, and one block without adapters.
fn ranks_of_blocks(layers: &[LayerSpec], naming: Naming, plain: &AdapterSet) {
    let block = |slot: &Slot| block_index(&slot.layer.path, naming).expect("a block");
    let dims: Vec<usize> = (0..block_count(naming))
        .map(|block| if block == 5 { 0 } else { 1 + block % 3 })
        .collect();
    let targets = Targets {
        linear: LINEAR,
        blocks: BlockTargets {
            dims: Some(dims.clone()),
            ..BlockTargets::default()
        },
        ..Targets::default()
    };
    let device = burn::tensor::Device::flex();
    let mut set = targets
        .adapter_set(layers, naming, 0, &device)
        .expect("targets");
    for slot in set.slots() {
        assert_eq!(slot.rank, dims[block(slot)]);
    }
    let left = plain.slots().iter().filter(|slot| block(slot) != 5);
    assert_eq!(set.slots().len(), left.count());
    can_be_saved_and_loaded(&mut set);
}

fn can_be_saved_and_loaded(set: &mut AdapterSet) {
    let tensors = set.to_tensors(SavePrecision::Float);
    assert_eq!(tensors.len(), 3 * set.slots().len());
    let mut stored = BTreeMap::new();
    for tensor in &tensors {
        let values = tensor.bytes.as_chunks().0.iter();
        let tensor_values = StoredTensor {
            shape: tensor.shape.clone(),
            values: values.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        };
        stored.insert(tensor.key.clone(), tensor_values);
    }
    set.load(stored).expect("the file fits");
    assert_eq!(set.to_tensors(SavePrecision::Float), tensors);
}

/// Writes a file with the header of a full-size checkpoint without some of its keys, and holes for
/// values.
pub(crate) fn write_header_of(family: Family, path: &Path, keep: impl Fn(&str) -> bool) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (key, dtype, shape) in random::layout(family)
        .into_iter()
        .filter(|(key, ..)| keep(key))
    {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        header.insert(
            key,
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}),
        );
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    std::fs::write(
        path,
        [&(header.len() as u64).to_le_bytes()[..], &header].concat(),
    )
    .expect("a file");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file");
    file.set_len((8 + header.len() + end) as u64).expect("room");
}
