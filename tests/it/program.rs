//! The program, run as a user runs it: a config file in its own folder, a command, its output and
//! its files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tempfile::TempDir;

/// Images of the training folder.
const IMAGES: [&str; 3] = ["airplane", "banana", "bicycle"];

/// A folder with three images and a configuration that trains one step on the bundled base model.
pub(crate) struct Job {
    folder: TempDir,
    options: BTreeMap<String, String>,
}

impl Job {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut job = Self {
            folder,
            options: BTreeMap::new(),
        };
        let images = job.path("images/2_emoji");
        fs::create_dir_all(&images).expect("a folder");
        for name in IMAGES {
            for extension in ["png", "txt"] {
                let file = format!("{name}.{extension}");
                fs::copy(
                    assets().join("train/8_blueprint").join(&file),
                    images.join(&file),
                )
                .expect("an image");
            }
        }
        job.set("pretrained_model_name_or_path", base());
        for (key, value) in [
            ("train_data_dir", "images"),
            ("output_dir", "output"),
            ("output_name", "emoji"),
        ] {
            job.set(key, value);
        }
        let values = [
            ("resolution", "\"64,64\""),
            ("max_train_steps", "1"),
            ("network_dim", "4"),
            ("seed", "0"),
        ];
        for (key, value) in values.into_iter().chain([
            ("network_train_unet_only", "true"),
            ("max_token_length", "75"),
        ]) {
            job.toml(key, value);
        }
        job
    }

    /// Sets an option to a string or path.
    pub(crate) fn set(&mut self, key: &str, value: impl AsRef<OsStr>) -> &mut Self {
        let text = value.as_ref().to_str().expect("UTF-8");
        self.toml(key, &format!("'{text}'"))
    }

    /// Sets an option to a value in TOML.
    pub(crate) fn toml(&mut self, key: &str, value: &str) -> &mut Self {
        self.options.insert(key.into(), value.into());
        self
    }

    pub(crate) fn remove(&mut self, key: &str) -> &mut Self {
        self.options.remove(key);
        self
    }

    /// The path of a file in the job's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn image(&self, file: &str) -> PathBuf {
        self.path("images/2_emoji").join(file)
    }

    /// Writes a file of the job's folder and returns its path.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// The command `train job.toml`, in the job's folder, with the configuration written.
    pub(crate) fn command(&self) -> Command {
        let text: String = self
            .options
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        self.write("job.toml", text);
        let mut command = Command::new(PROGRAM);
        command
            .args(["train", "job.toml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self) -> Run {
        Run::from_command(&mut self.command())
    }

    /// The same job from Rust.
    pub(crate) fn config(&self) -> lora_trainer::Result<lora_trainer::TrainConfig> {
        self.command();
        let mut config = lora_trainer::TrainConfig::from_toml_file(self.path("job.toml"))?;
        let paths = [
            &mut config.pretrained_model_name_or_path,
            &mut config.train_data_dir,
            &mut config.output_dir,
        ]
        .into_iter();
        let given = [
            &mut config.vae,
            &mut config.network_weights,
            &mut config.reg_data_dir,
            &mut config.in_json,
            &mut config.dataset_config,
            &mut config.conditioning_data_dir,
            &mut config.logging_dir,
        ];
        for path in paths
            .chain(given.into_iter().flatten())
            .chain(&mut config.base_weights)
        {
            if !path.as_os_str().is_empty() {
                *path = self.folder.path().join(&path);
            }
        }
        Ok(config)
    }

    /// The command `check job.toml` with these further arguments.
    pub(crate) fn check(&self, arguments: &[&str]) -> Run {
        self.command();
        let mut command = Command::new(PROGRAM);
        command
            .args(["check", "job.toml"])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        Run::from_command(&mut command)
    }

    /// The events of the same job, run from Rust.
    pub(crate) fn events(&self) -> Vec<lora_trainer::Event> {
        let trainer =
            lora_trainer::Trainer::new(self.config().expect("a configuration")).expect("a trainer");
        trainer.map(|event| event.expect("an event")).collect()
    }

    /// The losses of the same job, run from Rust.
    pub(crate) fn losses(&self) -> Vec<f32> {
        let loss = |event: &lora_trainer::Event| match event {
            lora_trainer::Event::Step(step) => Some(step.loss),
            _ => None,
        };
        self.events().iter().filter_map(loss).collect()
    }

    /// The names in the output folder, sorted; empty if there is no such folder.
    pub(crate) fn outputs(&self) -> Vec<String> {
        names(&self.path("output"))
    }

    /// Asserts that the job is refused before anything is written, with a message that has all of
    /// these parts.
    pub(crate) fn is_refused(&self, parts: &[&str]) {
        refused(&self.run(), parts);
        assert!(
            !self.path("output").is_dir(),
            "left behind: {:?}",
            self.outputs()
        );
        self.has_no_temporary();
    }

    pub(crate) fn has_no_temporary(&self) {
        for folder in [self.path(""), self.path("output")] {
            let names = names(&folder);
            assert!(
                !names.iter().any(|name| name.ends_with(".tmp")),
                "left behind: {names:?}"
            );
        }
    }
}

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lora-trainer");

pub(crate) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

pub(crate) fn base() -> PathBuf {
    assets().join("tiny-base.safetensors")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// The exit code and the output of a finished program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs a command until it ends.
    pub(crate) fn from_command(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    pub(crate) fn succeeded(&self) {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (Some(0), ""),
            "{}",
            self.stdout
        );
    }
}

/// Asserts that the program ended with exit code 2 before the first step, with a message that has
/// all of these parts.
pub(crate) fn refused(run: &Run, parts: &[&str]) {
    println!("{}", run.stderr);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(
        run.stderr.starts_with("error: ") && !run.stderr.contains("panicked"),
        "{run:?}"
    );
    assert!(!run.stdout.contains("training"), "{run:?}");
    for part in parts {
        assert!(run.stderr.contains(part), "no `{part}` in: {}", run.stderr);
    }
}

/// A tensor of a weight file.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    pub(crate) fn zeros(shape: &[usize]) -> Self {
        Self {
            dtype: Dtype::F16,
            shape: shape.into(),
            bytes: vec![0; 2 * shape.iter().product::<usize>()],
        }
    }
}

/// A weight file in memory that a test can change.
#[derive(Debug, Clone)]
pub(crate) struct WeightFile {
    pub(crate) tensors: BTreeMap<String, Stored>,
    pub(crate) metadata: Option<std::collections::HashMap<String, String>>,
}

impl WeightFile {
    /// A file with a small tensor of zeros under each of these keys.
    pub(crate) fn with_zeros(keys: &[&str]) -> Self {
        let tensors = keys
            .iter()
            .map(|key| ((*key).to_owned(), Stored::zeros(&[4, 4])))
            .collect();
        Self {
            tensors,
            metadata: None,
        }
    }

    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a weight file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let file = SafeTensors::deserialize(&bytes).expect("a weight file");
        let mut tensors = BTreeMap::new();
        for (key, view) in file.tensors() {
            let stored = Stored {
                dtype: view.dtype(),
                shape: view.shape().into(),
                bytes: view.data().into(),
            };
            tensors.insert(key, stored);
        }
        Self {
            tensors,
            metadata: header.metadata().clone(),
        }
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(key, stored)| {
            (
                key,
                TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes)
                    .expect("a tensor"),
            )
        });
        safetensors::serialize(views, self.metadata.clone()).expect("a weight file")
    }
}
