//! Rules for files and folders: inputs exist, and outputs can be written.

use std::path::Path;

use lora_data::atomic::AtomicFile;

use crate::config::train_config::TrainConfig;
use crate::error::{Problem, ProblemKind};

/// The problems of all files and folders. Whether a folder can be written to is tested with a file
/// that is deleted at once.
pub(super) fn path_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(no_model(
        "pretrained_model_name_or_path",
        &config.pretrained_model_name_or_path,
    ));
    if let Some(vae) = &config.vae {
        problems.extend(no_model("vae", vae));
    }
    for file in &config.base_weights {
        problems.extend(no_file("base_weights", file));
    }
    problems.extend(data_problems(config));
    if let Some(file) = &config.network_weights {
        problems.extend(no_file("network_weights", file));
    }
    problems.extend(unwritable("output_dir", &config.output_dir));
    if let Some(folder) = &config.logging_dir {
        problems.extend(unwritable("logging_dir", folder));
    }
    problems.extend(blocked_output(config));
    problems
}

fn data_problems(config: &TrainConfig) -> Vec<Problem> {
    if let Some(file) = &config.dataset_config {
        return no_file("dataset_config", file).into_iter().collect();
    }
    let mut problems = Vec::new();
    for (option, folder) in [
        ("train_data_dir", Some(&config.train_data_dir)),
        ("reg_data_dir", config.reg_data_dir.as_ref()),
        (
            "conditioning_data_dir",
            config.conditioning_data_dir.as_ref(),
        ),
    ] {
        if let Some(folder) = folder
            && !folder.as_os_str().is_empty()
        {
            problems.extend(no_folder(option, folder));
        }
    }
    if let Some(file) = &config.in_json {
        problems.extend(no_file("in_json", file));
    }
    problems
}

fn no_model(option: &str, path: &Path) -> Option<Problem> {
    if path.exists() {
        return None;
    }
    let expected = "a file, or a folder in diffusers' layout";
    Some(unfit(option, path, "nothing", expected))
}

fn no_file(option: &str, path: &Path) -> Option<Problem> {
    if path.is_file() {
        return None;
    }
    let found = if path.is_dir() { "a folder" } else { "no file" };
    Some(unfit(option, path, found, "a file"))
}

fn no_folder(option: &str, path: &Path) -> Option<Problem> {
    if path.is_dir() {
        return None;
    }
    let found = if path.exists() { "a file" } else { "no folder" };
    Some(unfit(option, path, found, "a folder with images"))
}

/// A path without the file or folder that its option needs.
fn unfit(option: &str, path: &Path, found: &str, expected: &str) -> Problem {
    let kind = ProblemKind::Path {
        path: path.into(),
        found: format!("{found} at `{}`", path.display()),
        expected: expected.into(),
        refused: path.metadata().err().map(|error| error.kind()),
    };
    Problem::new(option, kind)
}

/// Why no file can be written into this folder, which need not exist yet.
fn unwritable(option: &str, folder: &Path) -> Option<Problem> {
    let nearest = folder
        .ancestors()
        .find(|part| !part.as_os_str().is_empty() && part.symlink_metadata().is_ok())
        .unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Some(unfit(option, nearest, "a file", "a folder"));
    }
    // Permissions alone are not enough: file systems can be mounted read-only. The file is deleted
    // when this function returns.
    let Err(lora_data::Error::Write { source, .. }) =
        AtomicFile::create(nearest.join("lora-trainer"))
    else {
        return None;
    };
    let kind = ProblemKind::Path {
        path: nearest.into(),
        found: format!(
            "the folder `{}`, which cannot be written to ({source})",
            nearest.display()
        ),
        expected: "a folder for the files of the run".into(),
        refused: Some(source.kind()),
    };
    Some(Problem::new(option, kind))
}

/// Something at the path of a file or folder that is to be written.
fn blocked_output(config: &TrainConfig) -> Option<Problem> {
    let lora = config
        .output_dir
        .join(format!("{}.safetensors", config.output_name));
    let samples = config.output_dir.join("sample");
    if lora.is_dir() {
        let found = format!("a folder at `{}`", lora.display());
        let expected = "a name not used by a folder";
        return Some(Problem::value("output_name", found, expected));
    }
    if config.sample_prompts.is_some() && samples.exists() && !samples.is_dir() {
        let found = format!("a file at `{}`", samples.display());
        let expected = "a folder for previews, or nothing";
        return Some(Problem::value("output_dir", found, expected));
    }
    let input = overwritten_input(config, &lora)?;
    let found = format!("`{}`, {input}", lora.display());
    let expected = "another name: this would overwrite an input";
    Some(Problem::value("output_name", found, expected))
}

/// The input that the LoRA file would overwrite.
fn overwritten_input(config: &TrainConfig, lora: &Path) -> Option<&'static str> {
    let existing = lora.canonicalize().ok()?;
    let is_existing = |input: &Path| input.canonicalize().is_ok_and(|input| input == existing);
    if is_existing(&config.pretrained_model_name_or_path) {
        Some("the base checkpoint")
    } else if config.network_weights.as_deref().is_some_and(is_existing) {
        Some("the file of `network_weights`")
    } else if config.vae.as_deref().is_some_and(is_existing) {
        Some("the VAE")
    } else if config.base_weights.iter().any(|path| is_existing(path)) {
        Some("a file of `base_weights`")
    } else {
        None
    }
}
