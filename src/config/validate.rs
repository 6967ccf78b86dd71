//! Checks of a whole configuration.

use std::path::Path;

use super::options::options;
use super::{LrScheduler, TrainConfig, WarmupSteps};
use crate::atomic::AtomicFile;
use crate::error::{Error, Problem, ProblemKind, Result};

/// Pixels of a side of a latent: sizes are multiples of it.
const LATENT: u32 = 8;
/// Bytes of `output_name`: file systems take 255, and steps, times and endings are added to it.
const MAX_NAME: usize = 150;

impl TrainConfig {
    /// Checks every value and every rule between options. Reads nothing; [`check_paths`](Self::check_paths) does.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn validate(&self) -> Result<()> {
        report(self.problems())
    }

    /// Checks that what is to be read exists and that the output folder can be one, by a file that is removed at once.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn check_paths(&self) -> Result<()> {
        let file = |key: &str, path: &Path| {
            let found = if path.is_dir() { "a folder at" } else { "no file at" };
            (!path.is_file()).then(|| Problem::value(key, format!("{found} `{}`", path.display()), "a file"))
        };
        let mut problems = Vec::new();
        let model = |key: &str, path: &Path| {
            let found = || format!("nothing at `{}`", path.display());
            (!path.exists()).then(|| Problem::value(key, found(), "a file, or a folder in diffusers' layout"))
        };
        problems.extend(model("pretrained_model_name_or_path", &self.pretrained_model_name_or_path));
        problems.extend(self.vae.as_deref().and_then(|path| model("vae", path)));
        problems.extend(self.base_weights.iter().filter_map(|path| file("base_weights", path)));
        let folder = |key: &str, path: &Path| {
            let found = if path.exists() { "a file at" } else { "no folder at" };
            let found = format!("{found} `{}`", path.display());
            (!path.is_dir()).then(|| Problem::value(key, found, "a folder with pictures"))
        };
        match &self.dataset_config {
            Some(path) => problems.extend(file("dataset_config", path)),
            None => {
                let dirs =
                    [Some(&self.train_data_dir), self.reg_data_dir.as_ref(), self.conditioning_data_dir.as_ref()];
                let keys = ["train_data_dir", "reg_data_dir", "conditioning_data_dir"];
                let given = keys.into_iter().zip(dirs).filter_map(|(key, dir)| Some((key, dir?)));
                problems.extend(
                    given.filter(|(_, dir)| !dir.as_os_str().is_empty()).filter_map(|(key, dir)| folder(key, dir)),
                );
                problems.extend(self.in_json.as_deref().and_then(|path| file("in_json", path)));
            }
        }
        problems.extend(self.network_weights.as_deref().and_then(|path| file("network_weights", path)));
        problems.extend(unwritable("output_dir", &self.output_dir));
        problems.extend(self.logging_dir.as_deref().and_then(|path| unwritable("logging_dir", path)));
        problems.extend(self.blocked_outputs());
        report(problems)
    }

    /// What is in the way of the files that are to be written.
    fn blocked_outputs(&self) -> Option<Problem> {
        let lora = self.output_dir.join(format!("{}.safetensors", self.output_name));
        let samples = self.output_dir.join("sample");
        if lora.is_dir() {
            let found = format!("a folder at `{}`", lora.display());
            return Some(Problem::value("output_name", found, "a name that is free for a file"));
        }
        if self.sample_prompts.is_some() && samples.exists() && !samples.is_dir() {
            let found = format!("a file at `{}`", samples.display());
            return Some(Problem::value("output_dir", found, "a folder for previews, or nothing"));
        }
        let existing = lora.canonicalize().ok()?;
        let overwrites = |input: &Path| input.canonicalize().is_ok_and(|input| input == existing);
        let input = match () {
            () if overwrites(&self.pretrained_model_name_or_path) => "the base checkpoint",
            () if self.network_weights.as_deref().is_some_and(overwrites) => "the file of `network_weights`",
            () if self.vae.as_deref().is_some_and(overwrites) => "the VAE",
            () if self.base_weights.iter().any(|path| overwrites(path)) => "a file of `base_weights`",
            () => return None,
        };
        let found = format!("`{}`, {input}", lora.display());
        Some(Problem::value("output_name", found, "a name that overwrites no input"))
    }

    /// Everything that is wrong, in the order of the options.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.missing();
        let ranges = problems.len();
        // Fields can be set past the table, from Rust.
        for spec in options() {
            let value = spec.get(self);
            if !value.is_null()
                && !problems.iter().any(|problem| problem.key == spec.name)
                && let Err(mismatch) = spec.set(&mut self.clone(), &value)
            {
                problems.push(Problem::value(spec.name, mismatch.found, mismatch.expected));
            }
        }
        // Rules between options assume that each is right by itself.
        if problems.len() == ranges {
            problems.extend(self.data_conflicts());
            problems.extend(self.training_conflicts());
            problems.extend(self.output_conflicts());
        }
        problems
    }

    fn missing(&self) -> Vec<Problem> {
        let missing = |key: &str, value: &Path, expected: &str| {
            let kind = ProblemKind::Missing { expected: expected.into() };
            value.as_os_str().is_empty().then(|| Problem::new(key, kind))
        };
        [
            missing(
                "pretrained_model_name_or_path",
                &self.pretrained_model_name_or_path,
                "the base checkpoint, a file or a folder",
            ),
            missing("train_data_dir", &self.train_data_dir, "the folder with the training pictures")
                .filter(|_| self.dataset_config.is_none() && self.in_json.is_none()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn data_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.caption_extension.starts_with('.') || self.caption_extension.contains(['/', '\\']) {
            let found = format!("\"{}\"", self.caption_extension);
            problems.push(Problem::value("caption_extension", found, "an extension with its dot, such as \".txt\""));
        }
        let mut conflict = |applies: bool, key: &str, reason: &str| {
            if applies {
                problems.push(Problem::new(key, ProblemKind::Conflict(reason.into())));
            }
        };
        let trained = self.trains_text_encoder();
        let to_disk = self.cache_text_encoder_outputs_to_disk;
        conflict(self.alpha_mask && self.alpha_background.is_some(), "alpha_mask", "excludes `alpha_background`");
        conflict(self.in_json.is_some() && self.reg_data_dir.is_some(), "in_json", "excludes `reg_data_dir`");
        conflict(
            self.cache_latents_to_disk && self.cache_latents == Some(false),
            "cache_latents_to_disk",
            "needs `cache_latents`",
        );
        conflict(
            to_disk && self.cache_text_encoder_outputs == Some(false),
            "cache_text_encoder_outputs_to_disk",
            "needs `cache_text_encoder_outputs`",
        );
        let needs = "needs `network_train_unet_only`: what is trained cannot be computed before";
        conflict(self.cache_text_encoder_outputs == Some(true) && trained, "cache_text_encoder_outputs", needs);
        conflict(to_disk && trained, "cache_text_encoder_outputs_to_disk", needs);
        // Each data set of a `dataset_config` has buckets of its own.
        if self.dataset_config.is_none() {
            problems.extend(self.bucket_conflicts());
        }
        problems
    }

    fn bucket_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (width, height) = (self.resolution.width, self.resolution.height);
        let (short, long) = (width.min(height), width.max(height));
        let found = format!("{width} x {height}");
        let step = self.bucket_reso_steps;
        if !self.enable_bucket {
            if !width.is_multiple_of(LATENT) || !height.is_multiple_of(LATENT) {
                problems.push(Problem::value("resolution", found, format!("multiples of {LATENT}")));
            }
            return problems;
        }
        if !step.is_multiple_of(LATENT) {
            let expected = format!("a multiple of {LATENT}");
            problems.push(Problem::value("bucket_reso_steps", step.to_string(), expected));
        } else if self.bucket_no_upscale {
            if short < step {
                let expected = format!("at least one of bucket_reso_steps, {step}");
                problems.push(Problem::value("resolution", found, expected));
            }
        } else {
            let max = self.max_bucket_reso.div_ceil(step).saturating_mul(step);
            let min = self.min_bucket_reso / step * step;
            if min == 0 || min > max {
                let expected = format!("at least bucket_reso_steps, {step}, and at most max_bucket_reso, {max}");
                problems.push(Problem::value("min_bucket_reso", self.min_bucket_reso.to_string(), expected));
            } else if short < min || long > max {
                let expected = format!("sides from min_bucket_reso, {min}, to max_bucket_reso, {max}");
                problems.push(Problem::value("resolution", found, expected));
            }
        }
        problems
    }

    fn training_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.lr_scheduler == LrScheduler::Constant && self.lr_warmup_steps != WarmupSteps::Steps(0) {
            let reason = "a constant learning rate has no warm-up; `lr_scheduler = \"constant_with_warmup\"` has one";
            problems.push(Problem::new("lr_warmup_steps", ProblemKind::Conflict(reason.into())));
        }
        if self.min_timestep >= self.max_timestep {
            let expected = format!("less than max_timestep, {}", self.max_timestep);
            problems.push(Problem::value("min_timestep", self.min_timestep.to_string(), expected));
        }
        if let Err(Error::Device { reason, .. }) = crate::device::parse(&self.device) {
            let kind = ProblemKind::Conflict(format!("device \"{}\": {reason}", self.device));
            problems.push(Problem::new("device", kind));
        }
        if self.network_train_unet_only && self.network_train_text_encoder_only {
            let kind = ProblemKind::Conflict("excludes `network_train_text_encoder_only`".into());
            problems.push(Problem::new("network_train_unet_only", kind));
        }
        if self.dim_from_weights && self.network_weights.is_none() {
            problems.push(Problem::new("dim_from_weights", ProblemKind::Conflict("needs `network_weights`".into())));
        }
        let (strengths, files) = (self.base_weights_multiplier.len(), self.base_weights.len());
        if strengths > files {
            let reason = format!("has {strengths} numbers for {files} files of `base_weights`");
            problems.push(Problem::new("base_weights_multiplier", ProblemKind::Conflict(reason)));
        }
        if self.base_weights_multiplier.iter().any(|strength| !strength.is_finite()) {
            let found = format!("{:?}", self.base_weights_multiplier);
            problems.push(Problem::value("base_weights_multiplier", found, "finite numbers"));
        }
        if self.conv_alpha.is_some() && self.conv_dim.is_none() {
            problems.push(Problem::new("conv_alpha", ProblemKind::Conflict("needs `conv_dim`".into())));
        }
        problems
    }

    fn output_conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_name = !self.output_name.trim().is_empty() && !self.output_name.contains(['/', '\\', '\0']);
        if !is_name || self.output_name.len() > MAX_NAME {
            let found = format!("\"{}\"", self.output_name);
            let expected = format!("a file name without folders, of at most {MAX_NAME} bytes");
            problems.push(Problem::value("output_name", found, expected));
        }
        if cfg!(not(feature = "tensorboard")) && self.logging_dir.is_some() {
            let reason = "this build has no TensorBoard; rebuild with `--features tensorboard`";
            problems.push(Problem::new("logging_dir", ProblemKind::Conflict(reason.into())));
        }
        if self.sample_prompts.is_none() {
            let intervals = [
                ("sample_every_n_epochs", self.sample_every_n_epochs.is_some()),
                ("sample_every_n_steps", self.sample_every_n_steps.is_some()),
                ("sample_at_first", self.sample_at_first),
            ];
            for (key, _) in intervals.iter().filter(|(_, given)| *given) {
                problems.push(Problem::new(*key, ProblemKind::Conflict("needs `sample_prompts`".into())));
            }
        }
        problems
    }
}

/// Why no file can be written into this folder, which need not exist yet.
fn unwritable(key: &str, folder: &Path) -> Option<Problem> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let exists = |part: &&Path| part.symlink_metadata().is_ok();
    let nearest = folder.ancestors().find(exists).filter(|part| !part.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Some(Problem::value(key, format!("a file at `{}`", nearest.display()), "a folder"));
    }
    // Permissions alone do not tell: file systems can be mounted read-only. The file is gone when this returns.
    let Err(Error::Io { source, .. }) = AtomicFile::create(nearest.join("lora-trainer")) else { return None };
    let found = format!("the folder `{}`, which cannot be written to ({source})", nearest.display());
    Some(Problem::value(key, found, "a folder for the files of the run"))
}

fn report(problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::Config { file: None, problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Color;
    use crate::config::Resolution;

    fn base() -> TrainConfig {
        TrainConfig::new("base.safetensors", "pictures")
    }

    /// The keys that are complained about.
    fn keys(config: &TrainConfig) -> Vec<String> {
        config.problems().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        base().validate().unwrap();
        assert_eq!(keys(&TrainConfig::new("", "")), ["pretrained_model_name_or_path", "train_data_dir"]);
    }

    #[test]
    fn values_set_from_rust_are_checked_too() {
        let config = TrainConfig {
            network_dim: 0,
            unet_lr: Some(f64::NAN),
            max_grad_norm: -1.0,
            caption_dropout_rate: 2.0,
            max_token_length: 77,
            ..base()
        };
        let expected = ["max_token_length", "caption_dropout_rate", "unet_lr", "max_grad_norm", "network_dim"];
        assert_eq!(keys(&config), expected);
    }

    #[test]
    fn options_at_odds() {
        let small = Resolution::square(128);
        let steps = WarmupSteps::Steps(10);
        for (key, config) in [
            ("alpha_mask", TrainConfig { alpha_mask: true, alpha_background: Some(Color { rgb: [0; 3] }), ..base() }),
            ("in_json", TrainConfig { in_json: Some("a.json".into()), reg_data_dir: Some("b".into()), ..base() }),
            (
                "cache_latents_to_disk",
                TrainConfig { cache_latents_to_disk: true, cache_latents: Some(false), ..base() },
            ),
            ("cache_text_encoder_outputs", TrainConfig { cache_text_encoder_outputs: Some(true), ..base() }),
            ("cache_text_encoder_outputs_to_disk", TrainConfig { cache_text_encoder_outputs_to_disk: true, ..base() }),
            ("lr_warmup_steps", TrainConfig { lr_scheduler: LrScheduler::Constant, lr_warmup_steps: steps, ..base() }),
            ("min_timestep", TrainConfig { min_timestep: 500, max_timestep: 500, ..base() }),
            ("device", TrainConfig { device: "tpu".into(), ..base() }),
            ("conv_alpha", TrainConfig { conv_alpha: Some(1.0), ..base() }),
            ("output_name", TrainConfig { output_name: "a/b".into(), ..base() }),
            ("output_name", TrainConfig { output_name: " ".into(), ..base() }),
            ("sample_at_first", TrainConfig { sample_at_first: true, ..base() }),
            ("caption_extension", TrainConfig { caption_extension: "txt".into(), ..base() }),
            ("resolution", TrainConfig { enable_bucket: false, resolution: Resolution::square(500), ..base() }),
            ("resolution", TrainConfig { bucket_no_upscale: false, resolution: small, ..base() }),
            ("resolution", TrainConfig { resolution: Resolution { width: 512, height: 32 }, ..base() }),
            ("min_bucket_reso", TrainConfig { bucket_no_upscale: false, min_bucket_reso: 2048, ..base() }),
            ("bucket_reso_steps", TrainConfig { bucket_reso_steps: 20, ..base() }),
        ] {
            assert_eq!(keys(&config), [key], "{config:?}");
        }
        // Not used, so not checked.
        TrainConfig { resolution: small, ..base() }.validate().unwrap();
        TrainConfig { lr_scheduler: LrScheduler::ConstantWithWarmup, lr_warmup_steps: steps, ..base() }
            .validate()
            .unwrap();
    }

    #[test]
    fn paths_that_are_not_there_are_named_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let good = TrainConfig::new(&file, folder.path());
        let good = TrainConfig { output_dir: folder.path().join("new/folder"), ..good };
        good.check_paths().unwrap();

        let bad = TrainConfig {
            network_weights: Some(folder.path().join("absent")),
            output_dir: file.join("output"),
            logging_dir: Some(file.clone()),
            ..TrainConfig::new(folder.path().join("no.safetensors"), folder.path().join("absent"))
        };
        let error = bad.check_paths().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let Error::Config { problems, .. } = error else { panic!("{error}") };
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected =
            ["pretrained_model_name_or_path", "train_data_dir", "network_weights", "output_dir", "logging_dir"];
        assert_eq!(keys, expected);
        assert!(problems.iter().all(|problem| problem.to_string().contains(folder.path().to_str().unwrap())));
    }
}
