//! The stages before training: latents and captions are encoded, or found beside the images.

use std::collections::VecDeque;
use std::sync::Arc;

use lora_data::cache::SourceFingerprint;

use super::base::Needs;
use super::cache_files::Found;
use super::captions::TextCache;
use super::event::{CacheProgress, Cached, Event};
use super::host_batch::BatchSource;
use super::latents::{self, LatentCache};
use super::loader::{Loader, Order};
use super::stages::Stage;
use super::trainer::Trainer;
use crate::config::PredictionType;
use crate::error::Result;

impl Trainer {
    /// The networks that every step needs besides the UNet.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            text_encoders: self.texts.is_off(),
            vae: self.latents.is_off(),
        }
    }

    /// Encodes the next image, or finds its latents.
    pub(super) fn cache_latents(&mut self) -> Result<Stage> {
        let total = self.dataset.items().len();
        if self.latents.done(total) == total {
            if let LatentCache::Disk(disk) = &mut self.latents {
                self.events.extend(
                    disk.files()
                        .summary("latents")
                        .into_iter()
                        .map(Event::Warning),
                );
                disk.files().close();
            }
            if !self.needs().vae {
                self.base.drop_vae();
            }
            return Ok(Stage::CacheTextOutputs);
        }
        let index = self.latents.done(total);
        let reused = match &mut self.latents {
            LatentCache::Disk(disk) => {
                disk.set_vae(|| Ok(self.base.checkpoint().vae_digest()?))?;
                match disk.find(&self.dataset)? {
                    Found::Usable(path) => {
                        disk.take(path);
                        true
                    }
                    found => {
                        warn(&mut self.events, found, |why| disk.files().make_again(why));
                        let device = self.base.device().clone();
                        let seen = SourceFingerprint::read(&self.dataset.items()[index].path)?;
                        let encoded = latents::encode(
                            &self.dataset,
                            index,
                            self.base.vae()?,
                            self.config.seed,
                            &device,
                        )?;
                        disk.write(&self.dataset, encoded, seen)?;
                        false
                    }
                }
            }
            LatentCache::Memory(cached) => {
                let device = self.base.device().clone();
                let encoded = latents::encode(
                    &self.dataset,
                    index,
                    self.base.vae()?,
                    self.config.seed,
                    &device,
                )?;
                cached.push(encoded.into_memory(self.base.checkpoint().scaling_factor()));
                false
            }
            LatentCache::Off => unreachable!("nothing is left to do"),
        };
        self.events.push_back(Event::Cached(CacheProgress {
            what: Cached::Latents,
            done: index + 1,
            total,
            reused,
        }));
        Ok(Stage::CacheLatents)
    }

    /// Encodes the next caption, or finds what came of it.
    pub(super) fn cache_text_outputs(&mut self) -> Result<Stage> {
        let total = self.texts.total(&self.dataset);
        if self.texts.done() == total {
            if let TextCache::Disk(disk) = &mut self.texts {
                self.events.extend(
                    disk.files()
                        .summary("encoded captions")
                        .into_iter()
                        .map(Event::Warning),
                );
                disk.files().close();
            }
            if !self.needs().text_encoders {
                self.base.drop_text_encoders();
            }
            return Ok(Stage::ReadNetworks);
        }
        let clip_skip = self.algorithm.clip_skip;
        let reused = match &mut self.texts {
            TextCache::Disk(disk) => {
                disk.set_model(|| {
                    text_model(&self.config, self.base.checkpoint(), self.reader.weighted)
                })?;
                match disk.find(&self.dataset)? {
                    Found::Usable(_) => {
                        disk.take();
                        true
                    }
                    found => {
                        warn(&mut self.events, found, |why| disk.files().make_again(why));
                        disk.encode_next(
                            &self.dataset,
                            &self.reader,
                            self.base.text_encoders()?,
                            clip_skip,
                        )?;
                        false
                    }
                }
            }
            TextCache::Memory(texts) => {
                texts.encode_next(&self.reader, self.base.text_encoders()?, clip_skip);
                false
            }
            TextCache::Off { .. } => unreachable!("nothing is left to do"),
        };
        let done = self.texts.done();
        self.events.push_back(Event::Cached(CacheProgress {
            what: Cached::TextOutputs,
            done,
            total,
            reused,
        }));
        Ok(Stage::CacheTextOutputs)
    }

    /// Reads what every step needs, and begins to load the first batches.
    pub(super) fn read_networks(&mut self) -> Result<Stage> {
        let source = BatchSource {
            dataset: Arc::clone(&self.dataset),
            latents: self.latents.place(),
            texts: self.texts.place(),
            captions: Arc::clone(&self.reader),
            seed: self.config.seed,
            total_steps: self.length.total_steps,
            compat: self.config.compat,
            prior_loss_weight: self.config.prior_loss_weight as f32,
        };
        let accumulated = self.config.gradient_accumulation_steps as usize;
        let order = Order::new(
            self.plan.clone(),
            self.config.seed,
            accumulated,
            self.length.total_steps,
        );
        self.loader = Some(Loader::new(source, order)?);

        self.base.training_networks(self.needs())?;
        let is_told = self.base.told_prediction_type().is_some();
        let prediction_type = self.base.prediction_type()?;
        let problems = self.config.check_prediction_type(prediction_type);
        if !problems.is_empty() {
            return Err(crate::Error::Config {
                file: None,
                problems,
            });
        }
        self.algorithm.objective.prediction_type = prediction_type;
        if !is_told {
            let (found, flag) = match prediction_type {
                PredictionType::VPrediction => ("velocities", true),
                PredictionType::Epsilon => ("noise", false),
            };
            self.events.push_back(Event::Warning(format!(
                "the checkpoint does not say what it predicts; by a trial at timestep 999: {found} \
                 (`v_parameterization = {flag}` makes sure)"
            )));
        }
        Ok(Stage::FirstPreviews)
    }

    /// Frees what only previews need. Before the caches are filled, these need it, too.
    pub(super) fn drop_preview_networks(&mut self) {
        let (images, needs) = (self.dataset.items().len(), self.needs());
        if !needs.vae && self.latents.done(images) == images {
            self.base.drop_vae();
        }
        if !needs.text_encoders && self.texts.done() == self.texts.total(&self.dataset) {
            self.base.drop_text_encoders();
        }
    }
}

fn warn(events: &mut VecDeque<Event>, found: Found, tell: impl FnOnce(String) -> Option<String>) {
    if let Found::Outdated(why) = found {
        events.extend(tell(why).map(Event::Warning));
    }
}

/// Everything that encoded captions depend on besides their text.
fn text_model(
    config: &crate::config::TrainConfig,
    checkpoint: &lora_models::Checkpoint,
    weighted: bool,
) -> Result<String> {
    let mut model = format!("text encoders {} f32", checkpoint.text_encoders_digest()?);
    for (file, strength) in config.merged_files() {
        model += &format!("; with {} at {strength}", crate::hash::sha256(file)?);
    }
    let weights = if weighted { "with weights" } else { "as text" };
    Ok(format!(
        "{model}; {} tokens, {weights}; compat {}",
        config.max_token_length, config.compat
    ))
}
