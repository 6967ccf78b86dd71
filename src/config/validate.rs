//! Checks of a whole configuration.

use std::path::Path;

use super::TrainConfig;
use super::options::options;
use crate::atomic::AtomicFile;
use crate::error::{Error, Problem, ProblemKind, Result};

impl TrainConfig {
    /// Checks every value and every rule between options. Reads nothing;
    /// [`check_paths`](Self::check_paths) does.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn validate(&self) -> Result<()> {
        report(self.problems())
    }

    /// As [`validate`](Self::validate), for a run that a program gives images to
    /// ([`Trainer::with_images`](crate::Trainer::with_images)): the options need not name any.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_beside_images(&self) -> Result<()> {
        report(beside_images(self.problems()))
    }

    /// [`validate`](Self::validate) and [`check_paths`](Self::check_paths) in one error.
    pub(crate) fn check_all(&self, has_images: bool) -> Result<()> {
        let mut problems = if has_images {
            beside_images(self.problems())
        } else {
            self.problems()
        };
        if let Err(Error::Config {
            problems: further, ..
        }) = self.check_paths()
        {
            let is_new = |problem: &Problem| !problems.iter().any(|known| known.key == problem.key);
            let further: Vec<Problem> = further.into_iter().filter(is_new).collect();
            problems.extend(further);
        }
        report(problems)
    }

    /// Checks that what is to be read exists and that the output folder can be one, by a file that
    /// is removed at once.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn check_paths(&self) -> Result<()> {
        let file = |key: &str, path: &Path| {
            let found = if path.is_dir() { "a folder" } else { "no file" };
            (!path.is_file()).then(|| unfit(key, path, found, "a file"))
        };
        let mut problems = Vec::new();
        let model = |key: &str, path: &Path| {
            (!path.exists()).then(|| {
                unfit(
                    key,
                    path,
                    "nothing",
                    "a file, or a folder in diffusers' layout",
                )
            })
        };
        problems.extend(model(
            "pretrained_model_name_or_path",
            &self.pretrained_model_name_or_path,
        ));
        problems.extend(self.vae.as_deref().and_then(|path| model("vae", path)));
        problems.extend(
            self.base_weights
                .iter()
                .filter_map(|path| file("base_weights", path)),
        );
        let folder = |key: &str, path: &Path| {
            let found = if path.exists() { "a file" } else { "no folder" };
            (!path.is_dir()).then(|| unfit(key, path, found, "a folder with images"))
        };
        match &self.dataset_config {
            Some(path) => problems.extend(file("dataset_config", path)),
            None => {
                let dirs = [
                    Some(&self.train_data_dir),
                    self.reg_data_dir.as_ref(),
                    self.conditioning_data_dir.as_ref(),
                ];
                let keys = ["train_data_dir", "reg_data_dir", "conditioning_data_dir"];
                let given = keys
                    .into_iter()
                    .zip(dirs)
                    .filter_map(|(key, dir)| Some((key, dir?)));
                problems.extend(
                    given
                        .filter(|(_, dir)| !dir.as_os_str().is_empty())
                        .filter_map(|(key, dir)| folder(key, dir)),
                );
                problems.extend(
                    self.in_json
                        .as_deref()
                        .and_then(|path| file("in_json", path)),
                );
            }
        }
        problems.extend(
            self.network_weights
                .as_deref()
                .and_then(|path| file("network_weights", path)),
        );
        problems.extend(unwritable("output_dir", &self.output_dir));
        problems.extend(
            self.logging_dir
                .as_deref()
                .and_then(|path| unwritable("logging_dir", path)),
        );
        problems.extend(self.blocked_outputs());
        report(problems)
    }

    /// What is in the way of the files that are to be written.
    fn blocked_outputs(&self) -> Option<Problem> {
        let lora = self
            .output_dir
            .join(format!("{}.safetensors", self.output_name));
        let samples = self.output_dir.join("sample");
        if lora.is_dir() {
            let found = format!("a folder at `{}`", lora.display());
            return Some(Problem::value(
                "output_name",
                found,
                "a name that is free for a file",
            ));
        }
        if self.sample_prompts.is_some() && samples.exists() && !samples.is_dir() {
            let found = format!("a file at `{}`", samples.display());
            return Some(Problem::value(
                "output_dir",
                found,
                "a folder for previews, or nothing",
            ));
        }
        let existing = lora.canonicalize().ok()?;
        let overwrites = |input: &Path| input.canonicalize().is_ok_and(|input| input == existing);
        let input = match () {
            () if overwrites(&self.pretrained_model_name_or_path) => "the base checkpoint",
            () if self.network_weights.as_deref().is_some_and(overwrites) => {
                "the file of `network_weights`"
            }
            () if self.vae.as_deref().is_some_and(overwrites) => "the VAE",
            () if self.base_weights.iter().any(|path| overwrites(path)) => {
                "a file of `base_weights`"
            }
            () => return None,
        };
        let found = format!("`{}`, {input}", lora.display());
        Some(Problem::value(
            "output_name",
            found,
            "a name that overwrites no input",
        ))
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
            problems.extend(self.conflicts());
        }
        problems
    }

    fn missing(&self) -> Vec<Problem> {
        let missing = |key: &str, value: &Path, expected: &str| {
            let kind = ProblemKind::Missing {
                expected: expected.into(),
            };
            value
                .as_os_str()
                .is_empty()
                .then(|| Problem::new(key, kind))
        };
        [
            missing(
                "pretrained_model_name_or_path",
                &self.pretrained_model_name_or_path,
                "the base checkpoint, a file or a folder",
            ),
            missing(
                "train_data_dir",
                &self.train_data_dir,
                "the folder with the training images",
            )
            .filter(|_| self.dataset_config.is_none() && self.in_json.is_none()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Of these problems those that are left where a program gives the images.
pub(super) fn beside_images(mut problems: Vec<Problem>) -> Vec<Problem> {
    let is_missing = |problem: &Problem| matches!(problem.kind, ProblemKind::Missing { .. });
    problems.retain(|problem| problem.key != "train_data_dir" || !is_missing(problem));
    problems
}

/// Something else than what an option needs at a path, or nothing.
fn unfit(key: &str, path: &Path, what: &str, expected: &str) -> Problem {
    let kind = ProblemKind::Path {
        path: path.into(),
        found: format!("{what} at `{}`", path.display()),
        expected: expected.into(),
        refused: path.metadata().err().map(|error| error.kind()),
    };
    Problem::new(key, kind)
}

/// Why no file can be written into this folder, which need not exist yet.
fn unwritable(key: &str, folder: &Path) -> Option<Problem> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let exists = |part: &&Path| part.symlink_metadata().is_ok();
    let nearest = folder
        .ancestors()
        .find(exists)
        .filter(|part| !part.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Some(unfit(key, nearest, "a file", "a folder"));
    }
    // Permissions alone do not tell: file systems can be mounted read-only. The file is gone when
    // this returns.
    let Err(Error::Io { source, .. }) = AtomicFile::create(nearest.join("lora-trainer")) else {
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
    Some(Problem::new(key, kind))
}

fn report(problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Config {
            file: None,
            problems,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> TrainConfig {
        TrainConfig::new("base.safetensors", "images")
    }

    /// The keys that are complained about.
    fn keys(config: &TrainConfig) -> Vec<String> {
        config
            .problems()
            .into_iter()
            .map(|problem| problem.key)
            .collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        base().validate().unwrap();
        assert_eq!(
            keys(&TrainConfig::new("", "")),
            ["pretrained_model_name_or_path", "train_data_dir"]
        );
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
        let expected = [
            "max_token_length",
            "caption_dropout_rate",
            "unet_lr",
            "max_grad_norm",
            "network_dim",
        ];
        assert_eq!(keys(&config), expected);
    }

    #[test]
    fn paths_that_are_not_there_are_named_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let good = TrainConfig::new(&file, folder.path());
        let good = TrainConfig {
            output_dir: folder.path().join("new/folder"),
            ..good
        };
        good.check_paths().unwrap();

        let bad = TrainConfig {
            network_weights: Some(folder.path().join("absent")),
            output_dir: file.join("output"),
            logging_dir: Some(file.clone()),
            ..TrainConfig::new(
                folder.path().join("no.safetensors"),
                folder.path().join("absent"),
            )
        };
        let error = bad.check_paths().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let Error::Config { problems, .. } = error else {
            panic!("{error}")
        };
        let keys: Vec<&str> = problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        let expected = [
            "pretrained_model_name_or_path",
            "train_data_dir",
            "network_weights",
            "output_dir",
            "logging_dir",
        ];
        assert_eq!(keys, expected);
        assert!(problems.iter().all(|problem| {
            problem
                .to_string()
                .contains(folder.path().to_str().unwrap())
        }));
    }
}
