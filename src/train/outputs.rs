//! Everything that a run writes: LoRA files, previews, logs.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use burn::tensor::Tensor;
use image::RgbImage;
use jiff::ZonedDateTime;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, BoundAdapters};
use lora_core::diffusion::SettingsOf;
use lora_core::rng::{Purpose, Stream};
use lora_data::Dataset;
use lora_models::Tokenizer;
use rand_core::Rng as _;

use super::base::Base;
use super::event::{Event, Preview};
use super::preview::{self, Style};
use super::run::{self, Length};
use super::save;
use super::step::Algorithm;
use crate::config::{Compat, Family, PredictionType, SavePrecision, TrainConfig};
use crate::contact_sheet::{contact_sheet, write_png};
use crate::error::{Error, Result};
use crate::hash::{self, Sha256Handle};
use crate::metadata::{Facts, MixedPrecision, adapter_metadata};
use crate::prompt::{self, PreviewTime, Prompt};

/// The files of a run, and what their names and metadata need.
#[derive(Debug)]
pub(super) struct Outputs {
    output_dir: PathBuf,
    base: PathBuf,
    hash: Option<BaseHash>,
    session_id: u32,
    started_at: f64,
    prompts: Vec<Prompt>,
    tokenizer: Tokenizer,
    first_previews: Vec<RgbImage>,
    last_previews: Option<Vec<RgbImage>>,
    #[cfg(feature = "tensorboard")]
    tensorboard: Option<crate::tensorboard::EventWriter>,
    #[cfg(feature = "tensorboard")]
    tensorboard_folder: Option<PathBuf>,
}

#[derive(Debug)]
enum BaseHash {
    Running(Sha256Handle),
    Known(String),
}

impl Outputs {
    /// Reads the prompts. Nothing is written yet.
    pub(super) fn new(config: &TrainConfig) -> Result<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        Ok(Self {
            output_dir: config.output_dir.clone(),
            base: config.pretrained_model_name_or_path.clone(),
            hash: None,
            session_id: Stream::new(seed, Purpose::Session, 0, 0).next_u32(),
            started_at: since_epoch.as_secs_f64(),
            prompts: config.sample_prompts.as_deref().map(prompt::load).transpose()?.unwrap_or_default(),
            tokenizer: Tokenizer::new(),
            first_previews: Vec::new(),
            last_previews: None,
            #[cfg(feature = "tensorboard")]
            tensorboard: None,
            #[cfg(feature = "tensorboard")]
            tensorboard_folder: config
                .logging_dir
                .as_deref()
                .map(|dir| crate::tensorboard::run_folder(dir, ZonedDateTime::now().datetime())),
        })
    }

    /// Starts to hash the base in the background; the first saved file needs the result.
    pub(super) fn hash_base(&mut self) -> Result<()> {
        self.hash = Some(BaseHash::Running(hash::spawn_sha256(&self.base)?));
        Ok(())
    }

    fn base_hash(&mut self) -> Result<String> {
        let hash = match self.hash.take() {
            Some(BaseHash::Known(hash)) => hash,
            Some(BaseHash::Running(handle)) => handle.join()?,
            None => hash::sha256(&self.base)?,
        };
        self.hash = Some(BaseHash::Known(hash.clone()));
        Ok(hash)
    }

    /// The path of a LoRA file of this name.
    pub(super) fn lora_path(&self, name: &str) -> PathBuf {
        self.output_dir.join(format!("{name}.safetensors"))
    }

    /// What the metadata tells beside the configuration.
    pub(super) fn facts(
        &mut self,
        dataset: &Dataset,
        length: Length,
        algorithm: &Algorithm,
        steps: u64,
        epoch: u64,
    ) -> Result<Facts> {
        let report = dataset.report();
        Ok(Facts {
            session_id: self.session_id,
            training_started_at: self.started_at,
            training_finished_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            family: Family::Sd1,
            v_prediction: algorithm.objective.prediction_type == PredictionType::VPrediction,
            sd_model_hash: hash::short_hash(&self.base)?,
            new_sd_model_hash: self.base_hash()?,
            mixed_precision: MixedPrecision::No,
            num_train_images: report.num_train_images as u64,
            num_batches_per_epoch: length.batches_per_epoch,
            num_epochs: length.epochs,
            max_train_steps: length.total_steps,
            steps,
            epoch,
            dataset_dirs: report.dataset_dirs(),
            tag_frequency: report.tag_frequency,
            bucket_info: report.bucket_info,
        })
    }

    /// Writes a LoRA file. What the chosen number type cannot hold is saved as `float` instead of being lost; the result is
    /// then a warning.
    pub(super) fn save(
        &self,
        path: &Path,
        config: &TrainConfig,
        precision: SavePrecision,
        adapters: &AdapterSet,
        facts: &Facts,
    ) -> Result<Option<String>> {
        let metadata = adapter_metadata(config, facts);
        match save::write_lora(path, adapters, precision, metadata.clone()) {
            Err(error @ Error::SaveRange { .. }) if precision != SavePrecision::Float => {
                save::write_lora(path, adapters, SavePrecision::Float, metadata)?;
                Ok(Some(format!("{error}; saved as float")))
            }
            written => written.map(|()| None),
        }
    }

    /// Draws and writes a picture for each prompt.
    pub(super) fn draw_previews(
        &mut self,
        at: PreviewTime,
        step: u64,
        config: &TrainConfig,
        base: &mut Base,
        adapters: &AdapterSet,
    ) -> Result<Vec<Preview>> {
        let seeds: Vec<u64> =
            (0..).zip(&self.prompts).map(|(index, prompt)| seed_of(prompt, config, step, index)).collect();
        let latents = self.draw_latents(&self.prompts, &seeds, config, base, adapters.bind(1.0))?;
        let drawn_at = ZonedDateTime::now().datetime();
        let vae = base.vae()?;
        let mut previews = Vec::new();
        for (index, ((prompt, seed), latents)) in self.prompts.iter().zip(seeds).zip(latents).enumerate() {
            let picture = preview::picture(latents, vae);
            let name = prompt::file_name(&config.output_name, at, index, drawn_at, prompt.seed);
            let path = self.output_dir.join("sample").join(name);
            create_parent(&path)?;
            write_png(&path, &picture)?;
            previews.push(Preview { path, at, step, index, prompt: prompt.clone(), seed, picture });
        }
        let pictures = previews.iter().map(|preview| preview.picture.clone()).collect();
        match step {
            0 => self.first_previews = pictures,
            _ => self.last_previews = Some(pictures),
        }
        Ok(previews)
    }

    /// Draws one prompt, with the adapters scaled by `multiplier`.
    pub(super) fn sample(
        &self,
        prompt: &Prompt,
        multiplier: f32,
        step: u64,
        config: &TrainConfig,
        base: &mut Base,
        adapters: &AdapterSet,
    ) -> Result<RgbImage> {
        let seed = seed_of(prompt, config, step, 0);
        let prompts = std::slice::from_ref(prompt);
        let mut latents = self.draw_latents(prompts, &[seed], config, base, adapters.bind(multiplier))?;
        Ok(preview::picture(latents.remove(0), base.vae()?))
    }

    fn draw_latents(
        &self,
        prompts: &[Prompt],
        seeds: &[u64],
        config: &TrainConfig,
        base: &mut Base,
        adapters: BoundAdapters,
    ) -> Result<Vec<Tensor<4>>> {
        let style = Style {
            sampler: config.sample_sampler,
            settings_of: match config.compat {
                Compat::None => SettingsOf::Pipelines,
                Compat::SdScripts => SettingsOf::SdScripts,
            },
            prediction_type: base.checkpoint().config().prediction_type.unwrap_or(PredictionType::Epsilon),
            clip_skip: run::clip_skip(config),
        };
        let cx = ForwardContext::base().with(adapters);
        let (encoder, _) = base.text_encoder()?;
        let encode = |prompt| preview::encode(prompt, &self.tokenizer, encoder, style.clip_skip, &cx);
        let contexts: Vec<_> = prompts.iter().map(encode).collect();
        let (unet, device) = (base.unet(), base.device());
        let draw = |((prompt, seed), contexts)| preview::draw(prompt, seed, contexts, style, unet, device, &cx);
        Ok(prompts.iter().zip(seeds.iter().copied()).zip(contexts).map(draw).collect())
    }

    /// Writes the pictures before training above those after it, if there are both.
    pub(super) fn write_contact_sheet(&self, config: &TrainConfig) -> Result<Option<PathBuf>> {
        let Some(last) = self.last_previews.as_ref().filter(|_| !self.first_previews.is_empty()) else {
            return Ok(None);
        };
        let path = self.output_dir.join("sample").join(format!("{}_before_after.png", config.output_name));
        write_png(&path, &contact_sheet(&[self.first_previews.clone(), last.clone()]))?;
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
        let Some(folder) = &self.tensorboard_folder else { return Ok(()) };
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

/// A prompt's own seed, else one for this time and prompt.
fn seed_of(prompt: &Prompt, config: &TrainConfig, step: u64, index: u64) -> u64 {
    prompt.seed.unwrap_or_else(|| u64::from(Stream::new(config.seed, Purpose::PreviewSeed, step, index).next_u32()))
}

fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder")),
        None => Ok(()),
    }
}
