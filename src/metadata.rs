//! The metadata of LoRA files: sd-scripts' `ss_` entries and the `modelspec.` entries of
//! <https://github.com/Stability-AI/ModelSpec>. Web UIs read both.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lora_data::{BucketInfo, DatasetDir, TagFrequency};

use crate::config::{Family, Resolution, TrainConfig};
use crate::hash::AdapterHashes;

mod data;
mod python;
mod training;

pub(crate) use data::datasets;
pub(crate) use python::float as python_float;

/// The metadata entries of a LoRA file. All values are strings; nested values are JSON.
pub type Metadata = BTreeMap<String, String>;

/// The facts about a run that its metadata needs besides the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// A random number, the same in all files of the run.
    pub session_id: u32,
    /// Seconds since 1970.
    pub training_started_at: f64,
    /// The time of saving, in seconds since 1970.
    pub training_finished_at: f64,
    /// The family of the base.
    pub family: Family,
    /// True if the base was trained with v-prediction.
    pub v_prediction: bool,
    /// True if the noise schedule has zero terminal SNR.
    pub zero_terminal_snr: bool,
    /// [`hash::short_hash`](crate::hash::short_hash) of the base.
    pub sd_model_hash: String,
    /// [`hash::sha256`](crate::hash::sha256) of the base.
    pub new_sd_model_hash: String,
    /// The short and the full hash of an external VAE.
    pub vae_hashes: Option<[String; 2]>,
    /// The number of images per epoch, including repeats.
    pub num_train_images: u64,
    /// The number of regularisation images, including their own repeats, before they are repeated
    /// to match the training images.
    pub num_reg_images: u64,
    /// The number of images held out for validation.
    pub num_validation_images: u64,
    /// True if latents are encoded once, before training.
    pub caches_latents: bool,
    /// The number of batches per epoch.
    pub num_batches_per_epoch: u64,
    /// The number of epochs of the whole run.
    pub num_epochs: u64,
    /// The number of updates of the whole run.
    pub max_train_steps: u64,
    /// The number of updates so far.
    pub steps: u64,
    /// The epoch of saving, starting at 1 at the end of an epoch and at 0 within an epoch.
    pub epoch: u64,
    /// Folders of training images by name.
    pub dataset_dirs: BTreeMap<String, DatasetDir>,
    /// Folders of regularisation images by name.
    pub reg_dataset_dirs: BTreeMap<String, DatasetDir>,
    /// The number of images with each tag, per folder.
    pub tag_frequency: TagFrequency,
    /// `None` without buckets.
    pub bucket_info: Option<BucketInfo>,
    /// All datasets as JSON, if they come from a `dataset_config`.
    pub datasets: Option<serde_json::Value>,
}

/// The name of this program, in place of sd-scripts' own version.
const VERSION: &str = concat!("lora-trainer/", env!("CARGO_PKG_VERSION"));

/// Entries for options of sd-scripts that have a fixed value in this program.
const FIXED: &[(&str, &str)] = &[
    ("ss_fp8_base", "False"),
    ("ss_fp8_base_unet", "False"),
    ("ss_full_fp16", "False"),
    ("ss_lowram", "False"),
    ("ss_max_validation_steps", "None"),
    ("ss_validate_every_n_epochs", "None"),
    ("ss_validate_every_n_steps", "None"),
];

/// The `ss_` entries that `no_metadata` keeps, because programs need them to load the file.
const MINIMUM: &[&str] = &[
    "ss_base_model_version",
    "ss_network_alpha",
    "ss_network_args",
    "ss_network_dim",
    "ss_network_module",
    "ss_v2",
];

/// Returns all entries except the hashes, which [`insert_hashes`] adds.
pub fn adapter_metadata(config: &TrainConfig, facts: &Facts) -> Metadata {
    let mut entries = Entries::default();
    entries.0.extend(
        FIXED
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    entries.run(config, facts);
    entries.model(config, facts);
    entries.data(config, facts);
    entries.optimizer(config);
    entries.objective(config, facts.zero_terminal_snr);
    entries.network(config);
    if config.no_metadata {
        entries.0.retain(|key, _| MINIMUM.contains(&key.as_str()));
    }
    entries.model_spec(config, facts);
    entries.0
}

/// Adds the hashes of the file.
pub fn insert_hashes(metadata: &mut Metadata, hashes: AdapterHashes) {
    metadata.insert("sshs_model_hash".into(), hashes.model);
    metadata.insert("sshs_legacy_hash".into(), hashes.legacy);
}

#[derive(Default)]
struct Entries(Metadata);

impl Entries {
    fn put(&mut self, key: &str, value: &(impl ToString + ?Sized)) {
        self.0.insert(key.into(), value.to_string());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.put(key, if value { "True" } else { "False" });
    }

    fn float(&mut self, key: &str, value: f64) {
        self.put(key, &python_float(value));
    }

    /// Adds an entry, with the text `None` if there is no value.
    fn option(&mut self, key: &str, value: Option<impl ToString>) {
        self.put(
            key,
            &value.map_or_else(|| "None".to_owned(), |value| value.to_string()),
        );
    }

    fn run(&mut self, config: &TrainConfig, facts: &Facts) {
        self.put("ss_session_id", &facts.session_id);
        self.float("ss_training_started_at", facts.training_started_at);
        self.float("ss_training_finished_at", facts.training_finished_at);
        self.put("ss_output_name", &config.output_name);
        self.option("ss_training_comment", config.training_comment.as_ref());
        self.put("ss_sd_scripts_commit_hash", VERSION);
        self.put("ss_num_epochs", &facts.num_epochs);
        self.put("ss_max_train_steps", &facts.max_train_steps);
        self.put("ss_steps", &facts.steps);
        self.put("ss_epoch", &facts.epoch);
        self.put("ss_seed", &config.seed);
        self.put(
            "ss_gradient_accumulation_steps",
            &config.gradient_accumulation_steps,
        );
        self.put("ss_mixed_precision", &config.mixed_precision);
    }

    fn model(&mut self, config: &TrainConfig, facts: &Facts) {
        let name = config
            .pretrained_model_name_or_path
            .file_name()
            .unwrap_or_default();
        self.put("ss_sd_model_name", &name.to_string_lossy());
        self.put("ss_sd_model_hash", &facts.sd_model_hash);
        self.put("ss_new_sd_model_hash", &facts.new_sd_model_hash);
        if let (Some(vae), Some([short, full])) = (&config.vae, &facts.vae_hashes) {
            self.put(
                "ss_vae_name",
                &vae.file_name().unwrap_or_default().to_string_lossy(),
            );
            self.put("ss_vae_hash", short);
            self.put("ss_new_vae_hash", full);
        }
        self.flag("ss_v2", facts.family == Family::Sd2);
        let version = match (facts.family, facts.v_prediction) {
            (Family::Sd1, false) => "sd_v1",
            (Family::Sd1, true) => "sd_v1_v",
            (Family::Sd2, false) => "sd_v2",
            (Family::Sd2, true) => "sd_v2_v",
            (Family::Sdxl, _) => "sdxl_base_v1-0",
        };
        self.put("ss_base_model_version", version);
        self.option("ss_clip_skip", clip_skip(config));
        // sd-scripts' option is not set for one window.
        self.option(
            "ss_max_token_length",
            Some(config.max_token_length).filter(|length| *length != 75),
        );
    }

    fn model_spec(&mut self, config: &TrainConfig, facts: &Facts) {
        let (architecture, implementation) = match facts.family {
            Family::Sd1 => ("stable-diffusion-v1/lora", "diffusers"),
            Family::Sd2 if facts.v_prediction => ("stable-diffusion-v2-768-v/lora", "diffusers"),
            Family::Sd2 => ("stable-diffusion-v2-512/lora", "diffusers"),
            Family::Sdxl => (
                "stable-diffusion-xl-v1-base/lora",
                "https://github.com/Stability-AI/generative-models",
            ),
        };
        let Resolution { width, height } = config.family_options(facts.family).resolution;
        self.put("modelspec.sai_model_spec", "1.0.1");
        self.put("modelspec.architecture", architecture);
        self.put("modelspec.implementation", implementation);
        self.put("modelspec.implementation_version", VERSION);
        self.put(
            "modelspec.title",
            config
                .metadata_title
                .as_ref()
                .unwrap_or(&config.output_name),
        );
        self.put("modelspec.resolution", &format!("{width}x{height}"));
        self.put("modelspec.date", &local_date(facts.training_finished_at));
        self.put(
            "modelspec.prediction_type",
            if facts.v_prediction { "v" } else { "epsilon" },
        );
        let timesteps = (config.min_timestep, config.max_timestep);
        let range = (timesteps != (0, 1000)).then(|| format!("{},{}", timesteps.0, timesteps.1));
        let optional = [
            ("modelspec.author", config.metadata_author.clone()),
            ("modelspec.description", config.metadata_description.clone()),
            ("modelspec.license", config.metadata_license.clone()),
            ("modelspec.tags", config.metadata_tags.clone()),
            (
                "modelspec.encoder_layer",
                clip_skip(config).map(|layer| layer.to_string()),
            ),
            ("modelspec.timestep_range", range),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                self.put(key, &value);
            }
        }
    }
}

/// Returns `clip_skip`, or `None` if it has no effect: 0 selects the embeddings only with
/// `compat = "sd-scripts"`.
fn clip_skip(config: &TrainConfig) -> Option<u32> {
    config
        .clip_skip
        .filter(|skip| *skip == config.effective_clip_skip())
}

/// Formats a time as local time in whole seconds: `2026-11-22T13:55:21`.
fn local_date(seconds: f64) -> String {
    let timestamp = Timestamp::from_second(seconds as i64).unwrap_or_default();
    timestamp
        .to_zoned_datetime(TimeZone::system())
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests;
