//! The observable aspects of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use lora_data::{BucketConfig, DatasetConfig};
use lora_trainer::{Event, Trainer};

use crate::program::{Job, WeightFile};

/// An aspect of a run that an option can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// Images, buckets, captions, counts.
    Plan,
    /// The memory estimate.
    Memory,
    /// The warnings.
    Warnings,
    /// The latents and captions that are encoded before training, and those that are reused.
    Cached,
    /// The learning rates of all steps.
    LearningRates,
    /// The loss of the first step, before any update.
    FirstLoss,
    /// The losses of the other steps.
    Losses,
    /// The validation loss.
    Validation,
    /// Names, shapes and types of the tensors of the LoRA file.
    Layout,
    /// The values of these tensors.
    Weights,
    /// The files that exist after the run.
    Files,
    /// The images of the previews.
    Previews,
}

/// The value of every aspect of a run.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    sides: BTreeMap<Aspect, String>,
    metadata: BTreeMap<String, String>,
}

/// Entries that differ from run to run.
const TIMES: [&str; 6] = [
    "ss_session_id",
    "ss_training_started_at",
    "ss_training_finished_at",
    "sshs_model_hash",
    "sshs_legacy_hash",
    "modelspec.date",
];

impl Observation {
    /// Runs a job to its end.
    pub(crate) fn from_run(job: &Job) -> lora_trainer::Result<Self> {
        let mut observed = Self::default();
        let mut lora = None;
        let mut losses = Vec::new();
        for event in Trainer::new(job.config()?)? {
            observed.take(event?, &mut losses, &mut lora);
        }
        let later = losses.split_off(1.min(losses.len()));
        observed.add(Aspect::FirstLoss, &format!("{losses:?}"));
        observed.add(Aspect::Losses, &format!("{later:?}"));
        let file = WeightFile::read(&lora.expect("a LoRA"));
        for (key, tensor) in &file.tensors {
            observed.add(
                Aspect::Layout,
                &format!("{key} {:?} {:?}", tensor.dtype, tensor.shape),
            );
            observed.add(Aspect::Weights, &format!("{key} {}", hash(&tensor.bytes)));
        }
        observed.metadata = file.metadata.unwrap_or_default().into_iter().collect();
        observed
            .metadata
            .retain(|key, _| !TIMES.contains(&key.as_str()));
        let mut names = Vec::new();
        list(&job.path(""), "", &mut names);
        names.sort();
        observed.add(Aspect::Files, &names.join("\n"));
        let folder = job.path("").display().to_string();
        for text in observed
            .sides
            .values_mut()
            .chain(observed.metadata.values_mut())
        {
            *text = text.replace(&folder, "");
        }
        Ok(observed)
    }

    fn take(&mut self, event: Event, losses: &mut Vec<u32>, lora: &mut Option<std::path::PathBuf>) {
        match event {
            Event::Plan(mut plan) => {
                // The LoRA file contains them.
                (
                    plan.unet_adapters,
                    plan.text_encoder_adapters,
                    plan.parameters,
                ) = (0, 0, 0);
                self.add(Aspect::Memory, &format!("{:?}", plan.memory));
                plan.memory = lora_trainer::train::MemoryEstimate::default();
                for part in &mut plan.dataset.parts {
                    // The plan must show the effect of the option, not only its value.
                    part.config = DatasetConfig::new(BucketConfig::new(part.resolution));
                }
                self.add(Aspect::Plan, &format!("{plan:?}"));
            }
            Event::Warning(warning) => self.add(Aspect::Warnings, &warning.to_string()),
            Event::Cached(progress) => self.add(Aspect::Cached, &format!("{progress:?}")),
            Event::Step(step) => {
                losses.push(step.loss.to_bits());
                self.add(
                    Aspect::LearningRates,
                    &format!("{:?} {:?}", step.learning_rates, step.d.is_some()),
                );
            }
            Event::Epoch(end) => {
                if let Some(loss) = end.validation_loss {
                    self.add(Aspect::Validation, &format!("{loss:?}"));
                }
            }
            Event::Preview(preview) => {
                self.add(
                    Aspect::Previews,
                    &format!("{:?} {}", preview.at, hash(preview.image.as_raw())),
                );
            }
            Event::End(summary) => *lora = Some(summary.lora),
            _ => {}
        }
    }

    fn add(&mut self, seen: Aspect, text: &str) {
        let all = self.sides.entry(seen).or_default();
        all.push_str(text);
        all.push('\n');
    }

    /// The aspects and the metadata entries that differ.
    pub(crate) fn differences(&self, other: &Self) -> (BTreeSet<Aspect>, BTreeSet<String>) {
        (
            different(&self.sides, &other.sides),
            different(&self.metadata, &other.metadata),
        )
    }
}

fn different<K: Ord + Clone>(a: &BTreeMap<K, String>, b: &BTreeMap<K, String>) -> BTreeSet<K> {
    a.keys()
        .chain(b.keys())
        .filter(|key| a.get(key) != b.get(key))
        .cloned()
        .collect()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Files below a folder, with `#` for numbers that are a time.
fn list(folder: &Path, name: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry"))
    {
        let name = format!("{name}/{}", entry.file_name().to_str().expect("UTF-8"));
        if entry.path().is_dir() {
            list(&entry.path(), &name, names);
        } else {
            names.push(without_times(
                name.split(".tfevents").next().unwrap_or(&name),
            ));
        }
    }
}

fn without_times(name: &str) -> String {
    let mut text = String::new();
    let mut digits = String::new();
    for character in name.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        text.push_str(if digits.len() > 8 { "#" } else { &digits });
        digits.clear();
        text.push(character);
    }
    text
}
