//! Everything that can be said of a run without training: `lora-trainer check`.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lora_data::{Dataset, DatasetReport, Item, Size, Survey, TrainImage};
use lora_models::{Checkpoint, Tokenizer};
use rayon::prelude::*;
use serde::Serialize;

use super::captions::{TextCache, whole_caption};
use super::data::{self, Described};
use super::examples::{ExampleImage, examples};
use super::host_batch::CaptionReader;
use super::latents::LatentCache;
use super::memory::{Load, MemoryEstimate};
use super::prepared::Prepared;
use super::run::{self, Length};
use crate::config::{Family, KeyUse, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt;

/// What a run would be, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// What makes the run impossible.
    pub problems: Vec<String>,
    /// What may not be meant.
    pub warnings: Vec<String>,
    /// What became of each key of the configuration file; empty for a configuration without one.
    pub keys: Vec<KeyUse>,
    /// The base's family, where the checkpoint can be read.
    pub family: Option<String>,
    /// Folders, buckets and tags; `None` where no folder can be read.
    pub dataset: Option<DatasetReport>,
    /// How long the run is; `None` without images.
    pub length: Option<RunLength>,
    /// How many images have a tag, over all folders, the most frequent first.
    pub tags: Vec<(String, usize)>,
    /// Captions that are cut because they have more tokens than `max_token_length` allows.
    pub long_captions: Vec<LongCaption>,
    /// Files with the same content.
    pub duplicates: Vec<Vec<PathBuf>>,
    /// Images with less than a quarter of the training resolution's pixels.
    pub tiny_images: Vec<TinyImage>,
    /// A few of the images.
    pub examples: Vec<ExampleImage>,
    /// Bytes of cached latents, in memory or on disk; 0 where none are cached or the checkpoint
    /// can't be read.
    pub latent_bytes: u64,
    /// Bytes of cached captions, in memory or on disk; 0 where none are cached or the checkpoint
    /// can't be read.
    pub text_bytes: u64,
    /// About how much memory the steps take; `None` where checkpoint or images can't be read.
    pub memory: Option<MemoryEstimate>,
    /// What is done as in sd-scripts, with `compat = "sd-scripts"`.
    pub reproduced: Vec<String>,
}

/// The arithmetic of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunLength {
    /// Images of an epoch, repeats counted.
    pub images_per_epoch: u64,
    /// Batches of an epoch: for each bucket, its images over the batch size, rounded up.
    pub batches_per_epoch: u64,
    /// Batches of an update.
    pub gradient_accumulation_steps: u64,
    /// Updates of an epoch: its batches over those of an update, rounded up.
    pub steps_per_epoch: u64,
    /// Epochs, the last of which may be cut short.
    pub epochs: u64,
    /// Updates.
    pub total_steps: u64,
}

/// A caption that is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongCaption {
    /// Its image.
    pub path: PathBuf,
    /// Its tokens.
    pub tokens: usize,
    /// Those that are used.
    pub used: usize,
}

/// An image that is small for the training resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TinyImage {
    /// The image.
    pub path: PathBuf,
    /// Its size.
    pub size: Size,
    /// The size that it is trained at.
    pub bucket: Size,
}

impl CheckReport {
    /// Whether the run is possible.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads everything that a run would read, decodes every image, and trains nothing. What is wrong
/// is collected instead of ending the check. Nothing is written but, with `cache_info`, the sizes
/// of the images.
#[must_use]
pub fn check(config: &TrainConfig) -> CheckReport {
    check_with_images(config, &[])
}

/// As [`check`], for a run that a program gives images to
/// ([`Trainer::with_images`](crate::Trainer::with_images)).
#[must_use]
pub fn check_with_images(config: &TrainConfig, images: &[TrainImage]) -> CheckReport {
    let mut report = CheckReport::default();
    for checked in [config.check_all(!images.is_empty()), prompts(config)] {
        report.problems.extend(checked.err().iter().flat_map(each));
    }
    let opened = Checkpoint::open_with(
        &config.pretrained_model_name_or_path,
        &run::checkpoint(config),
    );
    let checkpoint = opened.map_err(|error| report.tell(Error::from(error))).ok();
    let family = checkpoint
        .as_ref()
        .map_or_else(|| config.likely_family(), Checkpoint::family);
    if let Some(checkpoint) = &checkpoint {
        report.reproduced = config.reproduced(family, checkpoint.zero_terminal_snr());
    }
    let config = &config.resolved(family);
    let base = checkpoint.and_then(|base| match report.look_at_base(config, base) {
        Ok(prepared) => Some(prepared),
        Err(error) => {
            report.problems.extend(each(&error));
            None
        }
    });
    match data::describe(config, family, images) {
        Ok(described) => report.look_at(config, described, base.as_ref()),
        Err(error) => report.tell(error),
    }
    // The same file or option may be at fault in more than one respect.
    let mut told = BTreeSet::new();
    report
        .problems
        .retain(|problem| told.insert(problem.clone()));
    report
}

/// The problems of an error, each by itself.
fn each(error: &Error) -> Vec<String> {
    let Error::Config { file, problems } = error else {
        return vec![error.to_string()];
    };
    let place = file
        .as_ref()
        .map_or_else(String::new, |file| format!("{}: ", file.display()));
    problems
        .iter()
        .map(|problem| format!("{place}{problem}"))
        .collect()
}

fn prompts(config: &TrainConfig) -> Result<()> {
    config
        .sample_prompts
        .as_deref()
        .map(prompt::load)
        .transpose()
        .map(drop)
}

impl CheckReport {
    /// The report of a configuration that can't even be read.
    #[cfg(feature = "cli")]
    pub(crate) fn refused(error: &Error) -> Self {
        Self {
            problems: each(error),
            ..Self::default()
        }
    }

    fn tell(&mut self, problem: impl std::fmt::Display) {
        self.problems.push(problem.to_string());
    }

    fn look_at_base(&mut self, config: &TrainConfig, checkpoint: Checkpoint) -> Result<Prepared> {
        let family = checkpoint.family();
        self.family = Some(family.to_string());
        run::check_family(config, &checkpoint)?;
        let prepared = Prepared::new(
            &mut config.clone(),
            checkpoint,
            &crate::device::parse("cpu")?,
        )?;
        self.warnings.extend(prepared.warnings.iter().cloned());
        run::learning_rates(config, family, &prepared.adapters)?;
        Ok(prepared)
    }

    fn look_at(&mut self, config: &TrainConfig, described: Described, base: Option<&Prepared>) {
        let Described {
            config: data,
            notices,
        } = described;
        self.problems.extend(
            data::check_uses(config, &data)
                .err()
                .map(|error| error.to_string()),
        );
        let Survey {
            mut dataset,
            problems,
        } = Dataset::survey(data);
        self.problems
            .extend(problems.iter().map(ToString::to_string));
        // Why nothing is left to look at was told.
        let is_told = dataset.items().is_empty() && !problems.is_empty();
        if let Some(error) = dataset.verify(|| ()).err().filter(|_| !is_told) {
            self.problems
                .extend(error.into_parts().iter().map(ToString::to_string));
        }
        let summary = run::report(&dataset, &notices);
        self.warnings
            .extend(summary.notices.iter().map(ToString::to_string));
        self.warnings.extend(
            summary
                .skipped_images
                .iter()
                .map(|message| format!("skipped: {message}")),
        );
        self.length = self.length_of(config, &dataset);
        self.tags = tags(&summary);
        self.dataset = Some(summary);
        self.duplicates = dataset.duplicates();
        let mut seen = BTreeSet::new();
        let different: Vec<&Item> = dataset
            .items()
            .iter()
            .filter(|item| seen.insert(&item.path))
            .collect();
        self.tiny_images = different
            .iter()
            .filter_map(|item| tiny(&dataset, item))
            .collect();
        self.long_captions = long_captions(config, &dataset, &different);
        self.examples = examples(&dataset, &different);
        if let Some(base) = base {
            self.caches(config, &dataset, base);
        }
    }

    fn length_of(&mut self, config: &TrainConfig, dataset: &Dataset) -> Option<RunLength> {
        let plan = dataset.plan().map_err(|error| self.tell(error)).ok()?;
        if plan.batches_per_epoch() == 0 {
            return None;
        }
        let length = Length::new(config, plan.batches_per_epoch());
        self.warnings.extend(run::doubts(config, length));
        Some(RunLength {
            images_per_epoch: plan.images_per_epoch() as u64,
            batches_per_epoch: length.batches_per_epoch,
            gradient_accumulation_steps: config.gradient_accumulation_steps.into(),
            steps_per_epoch: length.steps_per_epoch,
            epochs: length.epochs,
            total_steps: length.total_steps,
        })
    }

    fn caches(&mut self, config: &TrainConfig, dataset: &Dataset, base: &Prepared) {
        let tokens = 75 * run::token_limit(config).windows() + 2;
        let (family, text_bytes) = (base.checkpoint.family(), base.widths.bytes(tokens));
        let latents = LatentCache::new(config, dataset, family)
            .map_err(|error| self.tell(error))
            .ok();
        let texts = TextCache::new(config, dataset, &base.widths, tokens)
            .map_err(|error| self.tell(error))
            .ok();
        self.latent_bytes = latents.as_ref().map_or(0, |cache| cache.bytes(dataset));
        if let Some(cache) = &texts {
            self.text_bytes = (cache.total(dataset) * text_bytes) as u64;
            self.warnings.extend(cache.warning());
        }
        let load = Load::new(
            config,
            family,
            base.parameters,
            base.adapters.parameter_count(),
        );
        if let (Ok(load), Some(latents), Some(texts)) = (load, &latents, &texts) {
            let memory = load.estimate(dataset, latents, texts, text_bytes);
            let device = crate::device::parse(&config.device).ok();
            self.warnings
                .extend(device.and_then(|device| memory.doubt(&device)));
            self.memory = Some(memory);
        }
    }
}

/// Captions with all their tags, counted in tokens.
fn long_captions(config: &TrainConfig, dataset: &Dataset, items: &[&Item]) -> Vec<LongCaption> {
    let limit = run::token_limit(config);
    let reader = CaptionReader {
        tokenizer: Tokenizer::new(),
        limit,
        // Whatever the family, the tokens are the same.
        family: Family::Sd1,
        weighted: config.weighted_captions,
    };
    let used = 75 * limit.windows();
    let long = items.par_iter().filter_map(|item| {
        let tokens = reader.count(&whole_caption(dataset, item));
        (tokens > used).then(|| LongCaption {
            path: item.path.clone(),
            tokens,
            used,
        })
    });
    long.collect()
}

fn tags(report: &DatasetReport) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (tag, count) in report.tag_frequency().into_values().flatten() {
        *counts.entry(tag).or_default() += count;
    }
    let mut tags: Vec<(String, usize)> = counts.into_iter().collect();
    tags.sort_by(|(a_tag, a), (b_tag, b)| b.cmp(a).then_with(|| a_tag.cmp(b_tag)));
    tags
}

fn tiny(dataset: &Dataset, item: &Item) -> Option<TinyImage> {
    let resolution = dataset.configs()[dataset.subset_of(item).dataset]
        .buckets
        .resolution;
    (4 * item.size.area() < resolution.area()).then(|| TinyImage {
        path: item.path.clone(),
        size: item.size,
        bucket: item.selection.bucket,
    })
}
