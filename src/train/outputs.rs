//! Everything that a run writes: LoRA files, previews, logs.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use image::RgbImage;
use jiff::ZonedDateTime;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, BoundAdapters};
use lora_core::rng::{Purpose, Stream};
use lora_data::DatasetReport;
use lora_models::Tokenizer;
use rand_core::Rng as _;

use super::base::Base;
use super::event::{Event, Preview};
use super::hashed_model::{HashedModel, doubt_of_vae};
use super::preview::{self, Style};
use super::run::Length;
use super::save;
use super::step::Algorithm;
use crate::config::{Family, PredictionType, SavePrecision, TrainConfig};
use crate::contact_sheet::{contact_sheet, write_png};
use crate::error::{Error, Result};
use crate::metadata::{self, Facts, adapter_metadata};
use crate::prompt::{self, PreviewTime, Prompt};
use crate::warning::Warning;

/// The files of a run, and what their names and metadata need.
#[derive(Debug)]
pub(super) struct Outputs {
    output_dir: PathBuf,
    output_name: String,
    base: HashedModel,
    vae: Option<HashedModel>,
    session_id: u32,
    started_at: f64,
    prompts: Vec<Prompt>,
    /// Which of the text encoder's states previews use.
    pub(super) clip_skip: usize,
    tokenizer: Tokenizer,
    first_previews: DrawnAt,
    last_previews: DrawnAt,
    #[cfg(feature = "tensorboard")]
    tensorboard: Option<crate::tensorboard::EventWriter>,
    #[cfg(feature = "tensorboard")]
    tensorboard_folder: Option<PathBuf>,
}

/// The previews of one time.
#[derive(Debug, Default)]
struct DrawnAt {
    step: u64,
    images: Vec<RgbImage>,
}

impl Outputs {
    /// Reads the prompts. Nothing is written yet.
    pub(super) fn new(config: &TrainConfig) -> Result<Self> {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seed = since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        Ok(Self {
            output_dir: config.output_dir.clone(),
            output_name: config.output_name.clone(),
            base: HashedModel::new(&config.pretrained_model_name_or_path),
            vae: config.vae.as_deref().map(HashedModel::new),
            session_id: Stream::new(seed, Purpose::Session, 0, 0).next_u32(),
            started_at: since_epoch.as_secs_f64(),
            prompts: config
                .sample_prompts
                .as_deref()
                .map(prompt::load)
                .transpose()?
                .unwrap_or_default(),
            clip_skip: 1,
            tokenizer: Tokenizer::new(),
            first_previews: DrawnAt::default(),
            last_previews: DrawnAt::default(),
            #[cfg(feature = "tensorboard")]
            tensorboard: None,
            #[cfg(feature = "tensorboard")]
            tensorboard_folder: config.logging_dir.as_deref().map(|dir| {
                let prefix = config.log_prefix.as_deref().unwrap_or_default();
                crate::tensorboard::run_folder(dir, prefix, ZonedDateTime::now().datetime())
            }),
        })
    }

    /// Starts to hash the base in the background; the first saved file needs the result. A VAE is
    /// hashed at once: what is known of it is returned.
    pub(super) fn hash_models(&mut self, family: Family) -> Result<Option<Warning>> {
        self.base.start()?;
        let Some(vae) = &mut self.vae else {
            return Ok(None);
        };
        vae.start()?;
        // A VAE by itself has a third of a GB; a whole checkpoint is not one of those that are
        // known.
        if vae.path.metadata().is_ok_and(|file| file.len() > 1 << 30) {
            return Ok(None);
        }
        let hash = vae.full();
        Ok(doubt_of_vae(&vae.path, &hash, family))
    }

    /// The path of a LoRA file of this name.
    pub(super) fn lora_path(&self, name: &str) -> PathBuf {
        self.output_dir.join(format!("{name}.safetensors"))
    }

    /// The path of the LoRA file of an epoch, counted from 1.
    pub(super) fn epoch_path(&self, epoch: u64) -> PathBuf {
        self.lora_path(&format!("{}-{epoch:06}", self.output_name))
    }

    /// The path of the LoRA file of an update, counted from 1.
    pub(super) fn step_path(&self, step: u64) -> PathBuf {
        self.lora_path(&format!("{}-step{step:08}", self.output_name))
    }

    /// What the metadata tells beside the configuration.
    pub(super) fn facts(
        &mut self,
        report: &DatasetReport,
        length: Length,
        algorithm: &Algorithm,
        family: Family,
        [steps, epoch]: [u64; 2],
        [caches_latents, has_dataset_config]: [bool; 2],
    ) -> Facts {
        Facts {
            session_id: self.session_id,
            training_started_at: self.started_at,
            training_finished_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            family,
            v_prediction: algorithm.objective.prediction_type == PredictionType::VPrediction,
            zero_terminal_snr: algorithm.objective.schedule.has_zero_terminal_snr(),
            sd_model_hash: self.base.short.clone(),
            new_sd_model_hash: self.base.full(),
            vae_hashes: self.vae.as_mut().map(|vae| [vae.short.clone(), vae.full()]),
            num_train_images: report.num_train_images() as u64,
            num_reg_images: report.num_reg_images() as u64,
            num_validation_images: report.num_validation_images() as u64,
            caches_latents,
            num_batches_per_epoch: length.batches_per_epoch,
            num_epochs: length.epochs,
            max_train_steps: length.total_steps,
            steps,
            epoch,
            dataset_dirs: report.dataset_dirs(false),
            reg_dataset_dirs: report.dataset_dirs(true),
            tag_frequency: report.tag_frequency(),
            bucket_info: report
                .parts
                .first()
                .and_then(|part| part.bucket_info.clone()),
            datasets: has_dataset_config.then(|| metadata::datasets(report)),
        }
    }

    /// Writes a LoRA file. What the chosen number type cannot hold is saved as `float` instead of
    /// being lost; the result is then a warning.
    pub(super) fn save(
        &self,
        path: &Path,
        config: &TrainConfig,
        precision: SavePrecision,
        adapters: &AdapterSet,
        facts: &Facts,
    ) -> Result<Option<Warning>> {
        let metadata = adapter_metadata(config, facts);
        match save::write_lora(path, adapters, precision, metadata.clone()) {
            Err(error @ Error::SaveRange { .. }) if precision != SavePrecision::Float => {
                save::write_lora(path, adapters, SavePrecision::Float, metadata)?;
                Ok(Some(Warning::SavedAsFloat {
                    error: error.to_string(),
                }))
            }
            written => written.map(|()| None),
        }
    }

    /// How many prompts there are.
    pub(super) fn prompt_count(&self) -> usize {
        self.prompts.len()
    }

    /// Draws and writes the image of a prompt.
    pub(super) fn draw_preview(
        &mut self,
        index: usize,
        at: PreviewTime,
        step: u64,
        config: &TrainConfig,
        base: &mut Base,
        adapters: &AdapterSet,
    ) -> Result<Preview> {
        let prompt = self.prompts[index].clone();
        let seed = seed_of(&prompt, config, index);
        let image = self.draw(&prompt, seed, config, base, adapters.bind(1.0))?;
        let name = prompt::file_name(
            &config.output_name,
            at,
            index,
            ZonedDateTime::now().datetime(),
            prompt.seed,
        );
        let path = self.output_dir.join("sample").join(name);
        create_parent(&path)?;
        write_png(&path, &image)?;
        let images = if step == 0 {
            &mut self.first_previews
        } else {
            &mut self.last_previews
        };
        if index == 0 {
            *images = DrawnAt {
                step,
                images: Vec::new(),
            };
        }
        images.images.push(image.clone());
        Ok(Preview {
            path,
            at,
            step,
            index,
            prompt,
            seed,
            image,
        })
    }

    /// Draws one prompt, with the adapters scaled by `multiplier`.
    pub(super) fn sample(
        &self,
        prompt: &Prompt,
        multiplier: f32,
        config: &TrainConfig,
        base: &mut Base,
        adapters: &AdapterSet,
    ) -> Result<RgbImage> {
        prompt.check()?;
        self.draw(
            prompt,
            seed_of(prompt, config, 0),
            config,
            base,
            adapters.bind(multiplier),
        )
    }

    fn draw(
        &self,
        prompt: &Prompt,
        seed: u64,
        config: &TrainConfig,
        base: &mut Base,
        adapters: BoundAdapters,
    ) -> Result<RgbImage> {
        let style = Style::new(config, self.clip_skip, base)?;
        preview::render(
            prompt,
            seed,
            style,
            &self.tokenizer,
            base,
            &ForwardContext::base().with(adapters),
        )
    }

    /// Writes the images before training above those after `steps` steps, its last, if there are
    /// both.
    pub(super) fn write_contact_sheet(
        &self,
        config: &TrainConfig,
        steps: u64,
    ) -> Result<Option<PathBuf>> {
        let (first, last) = (&self.first_previews, &self.last_previews);
        if first.images.is_empty() || last.images.is_empty() || last.step != steps {
            return Ok(None);
        }
        let path = self
            .output_dir
            .join("sample")
            .join(format!("{}_before_after.png", config.output_name));
        write_png(
            &path,
            &contact_sheet(&[first.images.clone(), last.images.clone()]),
        )?;
        Ok(Some(path))
    }

    /// The folder of TensorBoard's events.
    pub(super) fn logs(&self) -> Option<PathBuf> {
        #[cfg(feature = "tensorboard")]
        {
            self.tensorboard_folder.clone()
        }
        #[cfg(not(feature = "tensorboard"))]
        {
            None
        }
    }

    /// Writes an event to the logs.
    #[cfg(feature = "tensorboard")]
    pub(super) fn log(&mut self, event: &Event) -> Result<()> {
        let Some(folder) = &self.tensorboard_folder else {
            return Ok(());
        };
        if self.tensorboard.is_none() {
            self.tensorboard = Some(crate::tensorboard::EventWriter::create(folder)?);
        }
        match &mut self.tensorboard {
            Some(writer) => writer.event(event),
            None => Ok(()),
        }
    }

    /// There are no logs in this build.
    #[cfg(not(feature = "tensorboard"))]
    #[allow(clippy::unused_self, reason = "the counterpart with logs needs it")]
    pub(super) fn log(&mut self, _event: &Event) -> Result<()> {
        Ok(())
    }
}

/// A prompt's own seed, else one that it keeps over the run, so that previews can be compared.
fn seed_of(prompt: &Prompt, config: &TrainConfig, index: usize) -> u64 {
    prompt.seed.unwrap_or_else(|| {
        u64::from(Stream::new(config.seed, Purpose::PreviewSeed, 0, index as u64).next_u32())
    })
}

fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))
        }
        None => Ok(()),
    }
}
