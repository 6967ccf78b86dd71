//! Caches of latents and encoded captions on disk: an entry is encoded once, and again if something
//! that it depends on has changed.

use std::fs;
use std::path::{Path, PathBuf};

use lora_data::Size;
use lora_data::cache::CachedLatents;
use lora_trainer::train::Cached;
use lora_trainer::{Event, Trainer};

use crate::families;
use crate::program::{Job, refused};

/// A job that caches latents on disk.
fn job() -> Job {
    let mut job = Job::new();
    job.toml("cache_latents_to_disk", "true")
        .toml("max_train_steps", "3");
    job
}

/// The number of latents or captions that a run encodes and reuses, and its warnings.
fn encoded_and_reused(job: &Job, what: Cached) -> (usize, usize, Vec<String>) {
    let events = job.events();
    let progress = |reused: bool| {
        let cached = events.iter().filter(
            |event| matches!(event, Event::Cached(p) if p.what == what && p.reused == reused),
        );
        cached.count()
    };
    let warning = |event: &Event| {
        if let Event::Warning(warning) = event {
            Some(warning.to_string())
        } else {
            None
        }
    };
    (
        progress(false),
        progress(true),
        events.iter().filter_map(warning).collect(),
    )
}

fn latents(job: &Job) -> (usize, usize, Vec<String>) {
    encoded_and_reused(job, Cached::Latents)
}

/// The cache files, sorted.
fn files(job: &Job) -> Vec<PathBuf> {
    let entries = fs::read_dir(job.path("images/2_emoji"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "npz"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_run_reuses_the_cache() {
    let mut job = job();
    let expected = job.remove("cache_latents_to_disk").losses();
    job.toml("cache_latents_to_disk", "true");
    assert_eq!(job.losses(), expected);
    let names: Vec<String> = files(&job)
        .iter()
        .map(|path| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let size = image::image_dimensions(job.image("airplane.png")).expect("an image");
    assert_eq!(
        names[0],
        format!("airplane_{:04}x{:04}_sd.npz", size.0, size.1)
    );
    assert_eq!(names.len(), 3);
    assert_eq!(latents(&job), (0, 3, vec![]));
    assert_eq!(job.losses(), expected);
    // Flipped latents are not cached yet.
    let (made, found, warnings) = latents(job.toml("flip_aug", "true"));
    assert_eq!((made, found, warnings.len()), (3, 0, 3), "{warnings:?}");
    assert_eq!(latents(&job).1, 3);
}

#[test]
fn changed_entries_are_encoded_again() {
    let mut job = job();
    assert_eq!(latents(&job).0, 3);
    fs::copy(job.image("airplane.png"), job.image("banana.png")).expect("another image");
    let (made, found, warnings) = latents(&job);
    assert_eq!((made, found), (1, 2));
    assert!(
        warnings[0].starts_with("recomputing the cache file `")
            && warnings[0].contains("banana_")
            && warnings[0].contains("`: the image changed"),
        "{warnings:?}"
    );
    // Another bucket.
    assert_eq!(latents(job.set("resolution", "128,128")).0, 3);
    // The entries of the first size are still there.
    assert_eq!(latents(job.set("resolution", "64,64")).1, 3);

    // Another VAE.
    let base = fs::read(crate::program::base()).expect("a file");
    let mut changed = base.clone();
    let length = u64::from_le_bytes(base[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&base[8..8 + length]).expect("a header");
    let (_, bias) = header
        .as_object()
        .expect("an object")
        .iter()
        .find(|(key, _)| key.ends_with("encoder.conv_in.bias"))
        .expect("a bias");
    let at = 8 + length + bias["data_offsets"][0].as_u64().expect("an offset") as usize;
    changed[at] ^= 1;
    let other = job.write("other.safetensors", changed);
    job.set(
        "pretrained_model_name_or_path",
        other.to_str().expect("UTF-8"),
    );
    let (made, found, warnings) = latents(&job);
    assert_eq!((made, found), (3, 0));
    assert!(warnings[0].contains("another model"), "{warnings:?}");
}

#[test]
fn interrupted_caching_continues() {
    let job = job();
    let mut trainer = Trainer::new(job.config().expect("a configuration")).expect("a trainer");
    let events = trainer.by_ref();
    assert!(events.any(|event| matches!(event, Ok(Event::Cached(_)))));
    drop(trainer);
    assert_eq!(files(&job).len(), 1);
    let (made, found, _) = latents(&job);
    assert_eq!((made, found), (2, 1));
}

#[test]
fn files_of_other_programs_are_used_if_they_fit() {
    let mut job = job();
    let expected = job.losses();
    fs::remove_file(job.path("images/2_emoji/.lora-trainer-cache.jsonl")).expect("the records");
    let (made, found, warnings) = latents(&job);
    assert_eq!((made, found), (0, 3));
    assert!(
        warnings
            .concat()
            .contains("latents of 3 images were read from another program's cache files"),
        "{warnings:?}"
    );
    // Also under the name of an older version.
    rename_to_old_names(&job);
    assert_eq!(job.losses(), expected);

    let airplane = job.path("images/2_emoji/airplane.npz");
    let whole = fs::read(&airplane).expect("a file");
    for (case, message) in [
        ("truncated", "damaged"),
        ("nan", "NaN"),
        ("shape", "expected [4, 8, 8]"),
    ] {
        match case {
            "truncated" => fs::write(&airplane, &whole[..whole.len() / 2]).expect("written"),
            "nan" => write_latents(&airplane, Size::new(8, 8), f32::NAN),
            _ => write_latents(&airplane, Size::new(4, 8), 0.5),
        }
        // The entry that replaced it in the last run.
        files(&job)
            .iter()
            .filter(|path| path.to_string_lossy().contains("_sd"))
            .for_each(|path| fs::remove_file(path).expect("removed"));
        let (made, found, warnings) = latents(&job);
        assert_eq!((made, found), (1, 2), "{case}");
        assert!(
            warnings[0].contains("recomputing the cache file `")
                && warnings[0].contains("airplane.npz`: ")
                && warnings[0].contains(message),
            "{warnings:?}"
        );
    }
    job.toml("compat", "'sd-scripts'");
    files(&job)
        .iter()
        .for_each(|path| fs::remove_file(path).expect("removed"));
    assert_eq!(latents(&job).0, 3);
    assert!(airplane.is_file());
}

/// Gives the cache files the names of an older version of sd-scripts, `NAME.npz`.
fn rename_to_old_names(job: &Job) {
    for file in files(job) {
        let name = file.file_name().expect("a name").to_string_lossy();
        let stem = name.split('_').next().expect("a stem");
        fs::rename(&file, file.with_file_name(format!("{stem}.npz"))).expect("renamed");
    }
}

/// Writes a cache file of an image of 64 x 64 pixels.
fn write_latents(path: &Path, size: Size, value: f32) {
    let latents = CachedLatents {
        size,
        latents: vec![value; 4 * (size.width * size.height) as usize],
        flipped: None,
        alpha_mask: None,
        original_size: Size::new(64, 64),
        crop_ltrb: [0.0; 4],
    };
    let file = fs::File::create(path).expect("a file");
    latents.write(file).expect("written");
}

#[test]
fn a_file_that_breaks_after_the_check_is_named() {
    let job = job();
    let config = job.config().expect("a configuration");
    let mut trainer = Trainer::new(config).expect("a trainer");
    let mut cached = 0;
    for event in trainer.by_ref() {
        cached += usize::from(matches!(event, Ok(Event::Cached(_))));
        if cached == 3 {
            break;
        }
    }
    for file in files(&job) {
        fs::write(file, "nothing").expect("written");
    }
    let error = trainer.find_map(Result::err).expect("an error");
    assert!(error.to_string().contains("_sd.npz"), "{error}");
}

#[test]
fn encoded_captions_of_sdxl() {
    let mut job = families::job("sdxl");
    job.toml("max_train_steps", "3");
    let expected = job.losses();
    job.toml("cache_text_encoder_outputs_to_disk", "true");
    let texts = |job: &Job| encoded_and_reused(job, Cached::TextOutputs);
    assert_eq!(texts(&job).0, 3);
    assert_eq!(
        files(&job)
            .iter()
            .filter(|path| path.to_string_lossy().ends_with("_te_outputs.npz"))
            .count(),
        3
    );
    assert_eq!(texts(&job).1, 3);
    let from_disk = job.losses();
    assert!(
        from_disk
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() <= 1e-6 * b),
        "{from_disk:?}, {expected:?}"
    );
    fs::write(job.image("banana.txt"), "another caption").expect("a caption");
    let (made, found, warnings) = texts(&job);
    assert_eq!((made, found), (1, 2), "{warnings:?}");
    assert!(
        warnings
            .concat()
            .contains("banana_te_outputs.npz`: it was made with another model, caption"),
        "{warnings:?}"
    );
    assert_eq!(texts(job.set("caption_prefix", "photo of")).0, 3);

    job.toml("shuffle_caption", "true");
    refused(
        &job.run(),
        &[
            "`cache_text_encoder_outputs_to_disk`",
            "cannot be combined with options that change captions",
        ],
    );
    job.remove("shuffle_caption")
        .toml("network_train_unet_only", "false");
    refused(
        &job.run(),
        &[
            "`cache_text_encoder_outputs_to_disk`",
            "needs `network_train_unet_only`",
        ],
    );
    let mut sd1 = Job::new();
    sd1.toml("cache_text_encoder_outputs_to_disk", "true")
        .is_refused(&["is for SDXL only"]);
    sd1.remove("cache_text_encoder_outputs_to_disk")
        .toml("cache_latents", "true")
        .toml("color_aug", "true");
    sd1.is_refused(&["`cache_latents`", "cannot be combined with `color_aug`"]);
}

#[test]
fn images_do_not_share_a_file() {
    let job = job();
    let image = image::open(job.image("banana.png"))
        .expect("an image")
        .into_rgb8();
    image.save(job.image("banana.bmp")).expect("an image");
    refused(
        &job.run(),
        &[
            "banana.bmp`",
            "banana.png`",
            "would share the cache file",
            "rename one of them",
        ],
    );
}

#[test]
fn subsets_do_not_share_a_file_for_different_things() {
    let mut job = job();
    let folder = job.path("images/2_emoji");
    let subset = |more: &str| {
        format!(
            "[[datasets.subsets]]\nimage_dir = '{}'\n{more}\n",
            folder.display()
        )
    };
    let write = |job: &Job, more: &str| {
        job.write(
            "data.toml",
            format!(
                "[[datasets]]\nresolution = 64\n{}{}",
                subset(""),
                subset(more)
            ),
        );
    };
    job.remove("train_data_dir")
        .set("dataset_config", "data.toml");
    write(&job, "num_repeats = 2");
    job.run().succeeded();
    write(&job, "flip_aug = true");
    refused(
        &job.run(),
        &[
            "airplane.png`: two subsets use this image",
            "set `cache_latents_to_disk = false`",
        ],
    );
}

#[test]
fn image_sizes_are_cached_with_the_latents() {
    let mut job = job();
    job.losses();
    let sizes = job.path("images/2_emoji/.lora-trainer-sizes.json");
    assert!(sizes.is_file());
    fs::remove_file(&sizes).expect("removed");
    job.toml("cache_info", "false").losses();
    assert!(!sizes.exists());
    job.remove("cache_latents_to_disk")
        .toml("cache_info", "true")
        .losses();
    assert!(sizes.is_file());
}

/// A full disk while caching ends the run with an error that names the file; finished entries are
/// kept.
#[cfg(unix)]
#[test]
fn a_full_disk_while_caching() {
    let mut job = job();
    let small = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let large = image::RgbImage::from_fn(512, 512, |x, y| image::Rgb([x as u8, y as u8, 7]));
    small.save(job.image("airplane.png")).expect("an image");
    large.save(job.image("banana.png")).expect("an image");
    job.set("resolution", "512,512");
    let mut command = std::process::Command::new("sh");
    // Blocks of 512 bytes: 16 kB, less than the latents of the second image.
    let script = format!(
        "ulimit -f 32; exec {} train job.toml",
        crate::program::PROGRAM
    );
    job.config().expect("written");
    command.args(["-c", &script]).current_dir(job.path(""));
    let run = crate::program::Run::from_command(&mut command);
    refused(&run, &["banana_0512x0512_sd.npz", "cannot write"]);
    job.has_no_temporary();
    assert_eq!(files(&job).len(), 1);
    job.toml("max_train_steps", "1");
    assert_eq!(latents(&job).1, 1);
}
