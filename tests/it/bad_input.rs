//! Bad input gets a message that names the file, key or option, what was found and what was expected; exit code 2; and
//! nothing half-written.

use std::fs;
use std::process::Command;

use lora_models::weights::SafetensorsFile;
use lora_trainer::{Error, Problem, ProblemKind, Trainer};

use crate::program::{Job, PROGRAM, Run, Stored, WeightFile, base, refused};

/// A tensor of the base, and the shape that it has.
const TO_Q: &str = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";
const CONV: &str = "model.diffusion_model.input_blocks.4.0.in_layers.2.weight";
const FC1: &str = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
const VAE_BIAS: &str = "first_stage_model.decoder.up.1.upsample.conv.bias";

#[test]
fn folders() {
    let mut job = Job::new();
    job.set("train_data_dir", "nowhere").is_refused(&[
        "`train_data_dir`",
        "no folder at `nowhere`",
        "expected a folder",
    ]);
    let picture = job.picture("banana.png");
    job.set("train_data_dir", &picture).is_refused(&[
        "`train_data_dir`",
        "a file at `",
        "banana.png`",
        "expected a folder",
    ]);

    fs::create_dir(job.path("empty")).unwrap();
    job.set("train_data_dir", "empty").is_refused(&["`empty`", "no pictures found", ".png, .jpg"]);
    fs::create_dir_all(job.path("empty/5_cats")).unwrap();
    job.write("empty/5_cats/notes.md", "no picture");
    job.is_refused(&["`empty`", "no pictures found", ".png, .jpg"]);

    fs::create_dir_all(job.path("wrong/cats")).unwrap();
    fs::create_dir_all(job.path("wrong/dogs")).unwrap();
    job.set("train_data_dir", "wrong").is_refused(&["`wrong`", "`N_name`", "found `cats`, `dogs`", "`10_cats`"]);

    fs::rename(job.path("pictures/2_emoji"), job.path("pictures/2000000000_emoji")).unwrap();
    job.set("train_data_dir", "pictures").is_refused(&["2000000000_emoji", "6000000000 pictures", "at most 100000000"]);
}

#[test]
fn pictures_and_captions() {
    let job = Job::new();
    let whole = fs::read(job.picture("banana.png")).unwrap();
    for (broken, reason) in
        [(&whole[..whole.len() / 2], "unreadable"), (&b"GIF89a?"[..], "unreadable"), (b"", "unreadable")]
    {
        fs::write(job.picture("banana.png"), broken).unwrap();
        job.is_refused(&["2_emoji/banana.png`", reason]);
    }
    fs::write(job.picture("banana.png"), &whole).unwrap();
    fs::write(job.picture("banana.txt"), "  \n").unwrap();
    job.is_refused(&["2_emoji/banana.txt`", "empty caption", "expected the caption in the first line"]);
    fs::write(job.picture("banana.txt"), b"caf\xe9").unwrap();
    job.is_refused(&["2_emoji/banana.txt`", "not UTF-8 at byte 3", "expected a text file"]);
}

#[test]
fn bad_pictures_can_be_skipped() {
    let mut job = Job::new();
    let whole = fs::read(job.picture("banana.png")).unwrap();
    fs::write(job.picture("banana.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(job.picture("bicycle.png"), "no picture").unwrap();
    let run = job.toml("skip_bad_images", "true").run();
    run.succeeded();
    assert!(run.stdout.contains("2_emoji: 1 pictures"), "{}", run.stdout);
    let skipped: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("warning: skipped: ")).collect();
    assert_eq!(skipped.len(), 2, "{}", run.stdout);
    for name in ["banana.png", "bicycle.png"] {
        assert!(skipped.iter().any(|line| line.contains(name) && line.contains("unreadable")), "{skipped:?}");
    }
    assert_eq!(job.outputs(), ["emoji.safetensors"]);

    let job = Job::new();
    fs::write(job.picture("banana.png"), "no picture").unwrap();
    for name in ["airplane.png", "bicycle.png"] {
        fs::remove_file(job.picture(name)).unwrap();
    }
    let mut job = job;
    job.toml("skip_bad_images", "true").is_refused(&["none of the 1 pictures can be used", "banana.png"]);
}

#[test]
fn files_that_are_no_base() {
    let mut job = Job::new();
    let whole = fs::read(base()).unwrap();
    let lora = WeightFile::of(&["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"]).to_bytes();
    let vae = WeightFile::of(&["encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight"]).to_bytes();
    let vae_of_checkpoint = WeightFile::of(&["first_stage_model.encoder.conv_in.weight"]).to_bytes();
    let unet = "model.diffusion_model.input_blocks.0.0.weight";
    let sdxl = WeightFile::of(&[unet, "conditioner.embedders.1.model.ln_final.weight"]).to_bytes();
    let sd2 = WeightFile::of(&[unet, "cond_stage_model.model.ln_final.weight"]).to_bytes();
    let files: [(&str, &[u8], &[&str]); 10] = [
        ("cut.safetensors", &whole[..whole.len() / 2], &["not a valid safetensors file", "its header promises"]),
        ("head.safetensors", &whole[..1000], &["not a valid safetensors file", "cut off"]),
        ("garbage.safetensors", &[0x5a; 5000], &["not a valid safetensors file"]),
        ("model.ckpt", b"PK\x03\x04 and more", &["not a valid safetensors file", "pickle", "convert it"]),
        ("empty.safetensors", b"", &["not a valid safetensors file", "it has 0 bytes"]),
        ("lora.safetensors", &lora, &["expected a Stable Diffusion 1.x checkpoint", "found a LoRA file"]),
        ("vae.safetensors", &vae, &["expected a Stable Diffusion 1.x checkpoint", "found a VAE"]),
        ("vae2.safetensors", &vae_of_checkpoint, &["expected a Stable Diffusion 1.x checkpoint", "found a VAE"]),
        ("sdxl.safetensors", &sdxl, &["expected a Stable Diffusion 1.x checkpoint", "found an SDXL checkpoint"]),
        ("sd2.safetensors", &sd2, &["expected a Stable Diffusion 1.x checkpoint", "found an SD 2.x checkpoint"]),
    ];
    for (name, bytes, parts) in files {
        job.write(name, bytes);
        job.set("pretrained_model_name_or_path", name).is_refused(&[&[name], parts].concat());
    }
    job.set("pretrained_model_name_or_path", "nowhere.safetensors").is_refused(&[
        "`pretrained_model_name_or_path`",
        "no file at `nowhere.safetensors`",
        "expected a file",
    ]);
    job.set("pretrained_model_name_or_path", "pictures").is_refused(&[
        "`pretrained_model_name_or_path`",
        "a folder at `pictures`",
        "expected a file",
    ]);
}

/// Everything that is wrong with the tensors of all three networks stands in one message, in the file's own spelling, and
/// nothing that is right.
#[test]
fn tensors_that_are_missing_surplus_misshaped_or_not_finite() {
    let whole = WeightFile::read(&base());
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", "base.safetensors");

    let mut broken = whole.clone();
    let surplus = "model.diffusion_model.surprise.weight";
    let [outputs, inputs, ..] = broken.tensors[CONV].shape[..] else { panic!("a convolution") };
    broken.tensors.remove(TO_Q).unwrap();
    broken.tensors.remove(VAE_BIAS).unwrap();
    broken.tensors.insert(surplus.into(), Stored::zeros(&[3]));
    broken.tensors.insert(CONV.into(), Stored::zeros(&[outputs + 1, inputs, 3, 3]));
    let [hidden, width] = broken.tensors[FC1].shape[..] else { panic!("a matrix") };
    broken.tensors.insert(FC1.into(), Stored::zeros(&[hidden, width + 2]));
    job.write("base.safetensors", broken.to_bytes());
    job.is_refused(&[
        "base.safetensors",
        "5 problems",
        &format!("`{TO_Q}` is missing, expected shape {:?}", whole.tensors[TO_Q].shape),
        &format!("`{VAE_BIAS}` is missing, expected shape {:?}", whole.tensors[VAE_BIAS].shape),
        &format!("`{surplus}` is not a part of its UNet"),
        &format!("`{CONV}` has shape [{}, {inputs}, 3, 3], expected [{outputs}, {inputs}, 3, 3]", outputs + 1),
        &format!("`{FC1}` has shape [{hidden}, {}], expected [{hidden}, {width}]", width + 2),
    ]);

    // A module that is missing as a whole is no smaller network.
    for (module, key) in [
        ("model.diffusion_model.output_blocks.8.1.", "model.diffusion_model.output_blocks.8.1.proj_in.weight"),
        ("model.diffusion_model.output_blocks.2.1.", "model.diffusion_model.output_blocks.2.1.conv.weight"),
        ("model.diffusion_model.input_blocks.3.", "model.diffusion_model.input_blocks.3.0.op.weight"),
        ("first_stage_model.encoder.down.1.downsample.", "first_stage_model.encoder.down.1.downsample.conv.bias"),
    ] {
        let mut broken = whole.clone();
        broken.tensors.retain(|key, _| !key.starts_with(module));
        assert_ne!(broken.tensors.len(), whole.tensors.len(), "{module}");
        job.write("base.safetensors", broken.to_bytes());
        job.is_refused(&["base.safetensors", &format!("`{key}` is missing")]);
    }

    for key in [TO_Q, FC1, VAE_BIAS] {
        let mut broken = whole.clone();
        let stored = broken.tensors.get_mut(key).unwrap();
        let nan = half::f16::NAN.to_le_bytes();
        let last = stored.bytes.len() - 2;
        stored.bytes[last..].copy_from_slice(&nan);
        job.write("base.safetensors", broken.to_bytes());
        job.is_refused(&["base.safetensors", key, "values that are not finite"]);
    }
}

#[test]
fn network_weights() {
    let mut job = Job::new();
    job.set("output_dir", "first").run().succeeded();
    job.set("output_dir", "output").set("network_weights", "first/emoji.safetensors");
    job.run().succeeded();
    fs::remove_dir_all(job.path("output")).unwrap();

    let key = "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight";
    job.toml("network_dim", "8").is_refused(&[
        "first/emoji.safetensors",
        key,
        "has shape [4, 48",
        "expected [8, 48",
        "network_dim",
    ]);
    job.toml("network_dim", "4").toml("network_train_unet_only", "false");
    job.is_refused(&["first/emoji.safetensors", "no `lora_te_text_model_encoder_layers_0", "network_train_unet_only"]);
    job.toml("network_train_unet_only", "true");

    let whole = WeightFile::read(&job.path("first/emoji.safetensors"));
    let mut other = whole.clone();
    other.tensors.insert("lora_unet_nowhere.alpha".into(), Stored::zeros(&[1]));
    let tensor = other.tensors.remove(key).unwrap();
    job.write("other.safetensors", other.to_bytes());
    job.set("network_weights", "other.safetensors");
    job.is_refused(&[
        "other.safetensors",
        "2 problems",
        &format!("no `{key}`"),
        "`lora_unet_nowhere.alpha` belongs to no adapter",
    ]);

    let mut not_finite = whole.clone();
    let infinity = half::f16::INFINITY.to_le_bytes();
    let bytes = [&infinity[..], &tensor.bytes[2..]].concat();
    not_finite.tensors.insert(key.into(), Stored { bytes, ..tensor });
    job.write("other.safetensors", not_finite.to_bytes());
    job.is_refused(&["other.safetensors", key, "values that are not finite"]);

    let bytes = whole.to_bytes();
    job.write("other.safetensors", &bytes[..bytes.len() - 100]);
    job.is_refused(&["other.safetensors", "its header promises"]);
    job.set("network_weights", base()).is_refused(&[
        "tiny-base.safetensors",
        "expected a LoRA file",
        "network_weights",
        "found tensors such as `",
    ]);
    job.set("network_weights", "nowhere").is_refused(&["`network_weights`", "no file at `nowhere`", "expected a file"]);
}

#[test]
fn options() {
    for (key, value, parts) in [
        (
            "network_dimm",
            "4",
            &["job.toml", "line ", "`network_dimm`: no such option", "did you mean `network_dim`?"][..],
        ),
        ("network_dim", "'big'", &["`network_dim`", "found \"big\"", "expected an integer from 1 to"]),
        ("network_dim", "4294967295", &["`network_dim`", "found 4294967295", "expected an integer from 1 to"]),
        ("network_dim", "-4", &["`network_dim`", "found -4"]),
        ("unet_lr", "nan", &["`unet_lr`", "found \"nan\"", "expected a number from 0"]),
        ("unet_lr", "1e300", &["`unet_lr`", "expected a number from 0"]),
        ("unet_lr", "[1, 2]", &["`unet_lr`", "found the list [1,2]", "expected a number"]),
        ("max_train_steps", "99999999999999999999999", &["`max_train_steps`", "expected an integer of at least 1"]),
        ("max_bucket_reso", "4294967295", &["`max_bucket_reso = 4294967295`", "expected at most"]),
        ("optimizer_args", "['eps=0']", &["`optimizer_args`", "found `eps=0`", "expected a number from 1e-30"]),
        ("network_train_unet_only", "3", &["`network_train_unet_only`", "found 3", "expected true or false"]),
        ("optimizer_type", "'Adamm'", &["`optimizer_type`", "found \"Adamm\"", "expected AdamW"]),
        ("device", "'tpu'", &["`device`", "\"tpu\"", "expected auto, cpu, cuda"]),
        ("device", "'rocm'", &["`device`", "this build lacks it", "--features rocm"]),
        ("clip_skip", "13", &["`clip_skip`", "found 13", "expected 1 to ", "the text encoder's layers"]),
        ("sample_prompts", "'a cat --w 4294967295'", &["`sample_prompts`", "`--w 4294967295`", "64 to 4096"]),
        ("sample_prompts", "'nowhere.txt'", &["`sample_prompts`", "no file at `nowhere.txt`", "expected a text file"]),
        ("train_data_dir", "", &["job.toml", "line ", "TOML"]),
    ] {
        let mut job = Job::new();
        if key == "max_bucket_reso" {
            job.toml("bucket_no_upscale", "false").toml("min_bucket_reso", "64");
        }
        job.toml(key, value).is_refused(parts);
    }
}

#[test]
fn all_problems_of_a_configuration_come_at_once() {
    let mut job = Job::new();
    job.toml("train_batch_size", "0").toml("outputdir", "1").toml("seed", "'x'").remove("train_data_dir");
    job.is_refused(&[
        "job.toml: 4 problems",
        "`train_batch_size`",
        "`outputdir`",
        "`seed`",
        "`train_data_dir`: not given",
    ]);

    let mut job = Job::new();
    job.set("train_data_dir", "nowhere").set("network_weights", "absent").set("logging_dir", "job.toml");
    job.is_refused(&["3 problems", "`train_data_dir`", "`network_weights`", "`logging_dir`"]);

    let job = Job::new();
    job.write("empty.toml", "");
    let command = || {
        let mut command = job.command();
        command.arg("--set");
        command
    };
    refused(&Run::of(command().arg("network_dim")), &["`--set`", "found `network_dim`", "expected KEY=VALUE"]);
    refused(&Run::of(command().arg("netwrk_dim=3")), &["`netwrk_dim`: no such option; did you mean `network_dim`?"]);
    refused(&Run::of(command().arg("network_dim=x")), &["`network_dim`", "found \"x\"", "expected an integer"]);
    let train = |file: &str| Run::of(Command::new(PROGRAM).args(["train", file]).current_dir(job.path("")));
    refused(&train("empty.toml"), &["empty.toml: 2 problems", "`pretrained_model_name_or_path`: not given"]);
    refused(&train("nowhere.toml"), &["nowhere.toml: cannot read: No such file"]);
    refused(&train("pictures"), &["pictures: cannot read"]);
}

#[test]
fn places_that_cannot_be_written_to() {
    let mut job = Job::new();
    job.write("file", "");
    job.set("output_dir", "file/output").is_refused(&["`output_dir`", "a file at `file`", "expected a folder"]);
    job.set("output_dir", "file").is_refused(&["`output_dir`", "a file at `file`", "expected a folder"]);
    #[cfg(target_os = "linux")]
    job.set("output_dir", "/proc/output").is_refused(&["`output_dir`", "`/proc`", "cannot be written to"]);
    job.set("output_dir", "output").set("logging_dir", "file/logs").is_refused(&["`logging_dir`", "a file at `file`"]);
    job.remove("logging_dir").set("output_name", "a/b").is_refused(&["`output_name`", "\"a/b\"", "without folders"]);

    fs::create_dir_all(job.path("other/emoji.safetensors")).unwrap();
    job.set("output_dir", "other").set("output_name", "emoji");
    job.is_refused(&["`output_name`", "a folder at `other/emoji.safetensors`"]);

    fs::copy(base(), job.path("base.safetensors")).unwrap();
    job.set("pretrained_model_name_or_path", "base.safetensors").set("output_dir", ".").set("output_name", "base");
    job.is_refused(&["`output_name`", "the base checkpoint", "overwrites no input"]);
    assert_eq!(fs::read(job.path("base.safetensors")).unwrap(), fs::read(base()).unwrap());
}

/// With a limit to the size of files, which the system reports as it does a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_earlier_file() {
    let job = Job::new();
    fs::create_dir(job.path("output")).unwrap();
    job.write("output/emoji.safetensors", "the earlier file");
    let command = job.command();
    let limited = |blocks: u32, arguments: &[&str]| {
        let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, PROGRAM]).args(arguments).current_dir(job.path(""));
        Run::of(&mut shell)
    };
    drop(command);
    let run = limited(100, &["train", "job.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("output/emoji.safetensors: cannot write: "), "{run:?}");
    assert!(run.stdout.contains("training 1/1"), "{run:?}");
    assert_eq!(fs::read(job.path("output/emoji.safetensors")).unwrap(), b"the earlier file");
    assert_eq!(job.outputs(), ["emoji.safetensors"]);

    let run = limited(100, &["random-checkpoint", "--family", "sd15", "output/random.safetensors"]);
    refused(&run, &["output/random.safetensors: cannot write: "]);
    assert_eq!(job.outputs(), ["emoji.safetensors"]);
}

/// A learning rate that throws the adapters out of all bounds in the first update.
#[test]
fn a_loss_that_is_not_finite() {
    for precision in ["fp16", "float"] {
        let mut job = Job::new();
        job.toml("unet_lr", "1e30")
            .toml("max_grad_norm", "0")
            .toml("max_train_steps", "5")
            .set("lr_scheduler", "constant");
        let run = job.set("save_precision", precision).run();
        assert_eq!(run.code, Some(2), "{run:?}");
        let outputs = job.outputs();
        let [file] = &outputs[..] else { panic!("one file: {outputs:?}") };
        let step: u32 = file.strip_prefix("emoji-step").unwrap().strip_suffix(".safetensors").unwrap().parse().unwrap();
        assert!((1..5).contains(&step), "{file}");
        let path = format!("output/{file}");
        let failed = format!("error: step {}: loss ", step + 1);
        for part in [&failed, &path, "NaN", "learning rate", "1e30", "max_grad_norm", "network_weights"] {
            assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
        }
        // Reading refuses what is not finite.
        let lora = SafetensorsFile::open(&job.path(&path)).unwrap();
        let largest =
            lora.tensors().keys().flat_map(|key| lora.read_f32(key).unwrap()).fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!(largest > 1e29, "the update before was taken: {largest}");
        assert_eq!(lora.metadata()["ss_steps"], step.to_string());
    }
}

/// Values beyond the chosen number type are not lost at the end of a run.
#[test]
fn adapters_too_large_for_the_number_type_are_saved_wider() {
    let mut job = Job::new();
    let run = job.toml("unet_lr", "1e6").run();
    run.succeeded();
    assert!(run.stdout.contains("emoji.safetensors: `lora_unet_"), "{}", run.stdout);
    assert!(run.stdout.contains("beyond the range of save_precision = \"fp16\"; saved as float"), "{}", run.stdout);
    let lora = SafetensorsFile::open(&job.path("output/emoji.safetensors")).unwrap();
    assert!(lora.tensors().values().all(|tensor| tensor.dtype == safetensors::Dtype::F32));
}

/// A reader that goes away does not end the run.
#[cfg(unix)]
#[test]
fn a_closed_pipe_does_no_harm() {
    let job = Job::new();
    drop(job.command());
    let mut shell = Command::new("bash");
    shell.args(["-c", "set -o pipefail; \"$0\" train job.toml | true", PROGRAM]).current_dir(job.path(""));
    Run::of(&mut shell).succeeded();
    assert_eq!(job.outputs(), ["emoji.safetensors"]);
}

/// A Rust program gets the same as typed errors.
#[test]
fn the_library_returns_typed_errors() {
    let error = |job: &Job| match job.config().and_then(Trainer::new) {
        Ok(_) => panic!("must be refused"),
        Err(error) => error,
    };
    let mut job = Job::new();
    let keys = |error: Error| match error {
        Error::Config { problems, .. } => problems,
        other => panic!("{other}"),
    };
    let problems = keys(error(job.toml("netwrk_dim", "4")));
    let nearest = Some("network_dim".into());
    assert!(
        matches!(&problems[..], [Problem { key, kind: ProblemKind::Unknown { nearest: n }, .. }] if key == "netwrk_dim" && *n == nearest)
    );
    job.remove("netwrk_dim");

    let problems = keys(error(Job::new().toml("clip_skip", "24")));
    assert!(matches!(&problems[..], [Problem { key, kind: ProblemKind::Value { .. }, .. }] if key == "clip_skip"));
    let problems = keys(error(Job::new().set("pretrained_model_name_or_path", "/nowhere")));
    assert_eq!(problems[0].key, "pretrained_model_name_or_path");

    job.write("garbage", [7; 100]);
    let garbage = job.path("garbage");
    let refused = error(Job::new().set("pretrained_model_name_or_path", &garbage));
    assert!(matches!(refused, Error::Model(lora_models::Error::Format { path, .. }) if path == garbage));
    let refused = error(Job::new().set("network_weights", &garbage));
    assert!(matches!(refused, Error::Model(lora_models::Error::Format { path, .. }) if path == garbage));
    assert!(matches!(error(Job::new().set("network_weights", base())), Error::NotALora { .. }));
    fs::write(job.picture("banana.png"), "").unwrap();
    assert!(
        matches!(error(&job), Error::Data(lora_data::Error::UnreadablePicture { path, .. }) if path == job.picture("banana.png"))
    );
    assert!(!job.path("output").exists());
}
