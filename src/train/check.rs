//! Checks a run without training: `lora-trainer check`.

pub(crate) mod example_images;
mod long_captions;
pub(crate) mod report;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use lora_data::{Dataset, DatasetReport, Item, Survey, TrainImage, most_frequent};
use lora_models::Checkpoint;

use self::example_images::examples;
use self::long_captions::long_captions;
use self::report::{CheckReport, TinyImage};
use super::caches::latents::LatentPlan;
use super::caches::plans::CachePlans;
use super::caches::text::TextPlan;
use super::data::dataset::{self, DatasetPlan};
use super::memory::MemoryEstimate;
use super::model::adapters::Adapters;
use super::model::open_base::{OpenBase, open_checkpoint};
use super::run_length::RunLength;
use crate::config::TrainConfig;
use crate::config::rules::{self, BaseFacts, DataFacts};
use crate::error::{Error, Result};
use crate::prompt;
use crate::settings::RunSettings;
use crate::warning::Warning;

/// Reads everything that a run would read, decodes every image, and trains nothing. Problems are
/// collected instead of ending the check. Nothing is written but, with `cache_info`, the sizes of
/// the images.
#[must_use]
pub fn check(config: &TrainConfig) -> CheckReport {
    check_with_images(config, &[])
}

/// Like [`check`], for a run with images of the program
/// ([`Trainer::with_images`](crate::Trainer::with_images)).
#[must_use]
pub fn check_with_images(config: &TrainConfig, images: &[TrainImage]) -> CheckReport {
    let mut report = CheckReport::default();
    report.collect(config.check_all(!images.is_empty()));
    if let Some(prompts) = &config.sample_prompts {
        report.collect(prompt::load(prompts));
    }
    let checkpoint = report.collect(open_checkpoint(config));
    let family = match &checkpoint {
        Some(checkpoint) => checkpoint.family(),
        None => config.likely_family(),
    };
    let resolved = &config.resolved(family);
    let base_is_zero_terminal = checkpoint
        .as_ref()
        .is_some_and(Checkpoint::zero_terminal_snr);
    let settings = &RunSettings::new(resolved, family, base_is_zero_terminal);
    let mut base = None;
    if let Some(checkpoint) = checkpoint {
        report.reproduced = rules::reproduced(config, family, base_is_zero_terminal);
        let checked = check_base(&mut report, resolved, settings, checkpoint);
        base = report.collect(checked);
    }
    if let Some(plan) = report.collect(DatasetPlan::new(&settings.data, images)) {
        check_data(&mut report, config, settings, plan, base.as_ref());
    }
    // The same file or option may be wrong in more than one respect.
    let mut reported = BTreeSet::new();
    report
        .problems
        .retain(|problem| reported.insert(problem.clone()));
    report
}

/// A base and its adapters.
#[derive(Debug)]
struct CheckedBase {
    base: OpenBase,
    adapters: Adapters,
}

fn check_base(
    report: &mut CheckReport,
    config: &TrainConfig,
    settings: &RunSettings,
    checkpoint: Checkpoint,
) -> Result<CheckedBase> {
    report.family = Some(settings.family.to_string());
    let facts = BaseFacts::new(&checkpoint);
    Error::config(rules::base_problems(config, &facts))?;
    let device = crate::device::parse("cpu")?;
    let base = OpenBase::new(checkpoint, settings)?;
    report.warnings.extend(rules::base_warnings(config, &facts));
    let base = base.merged(settings, &device)?;
    let adapters = Adapters::new(settings, &base.layers, &device)?;
    report.warnings.extend(adapters.warnings.iter().cloned());
    Ok(CheckedBase { base, adapters })
}

fn check_data(
    report: &mut CheckReport,
    config: &TrainConfig,
    settings: &RunSettings,
    plan: DatasetPlan,
    base: Option<&CheckedBase>,
) {
    let facts = DataFacts::new(&plan.config);
    report.collect(Error::config(rules::dataset_problems(config, &facts)));
    let Survey {
        mut dataset,
        problems,
    } = Dataset::survey(plan.config);
    for problem in &problems {
        report.add_problem(problem);
    }
    // The problems explain why no image is left to verify.
    let is_explained = dataset.items().is_empty() && !problems.is_empty();
    if let Err(error) = dataset.verify(|| ())
        && !is_explained
    {
        for part in error.into_parts() {
            report.add_problem(part);
        }
    }
    let summary = dataset::report(&dataset, &plan.notices);
    let notices = summary.notices.iter().cloned();
    report.warnings.extend(notices.map(Warning::Data));
    let skipped = summary.skipped_images.iter().cloned();
    report
        .warnings
        .extend(skipped.map(|error| Warning::SkippedImage { error }));
    report.length = run_length(report, config, settings, &dataset);
    report.tags = tags(&summary);
    report.dataset = Some(summary);
    report.duplicates = dataset.duplicates();
    let mut paths = BTreeSet::new();
    let items = dataset.items().iter();
    let different: Vec<&Item> = items.filter(|item| paths.insert(&item.path)).collect();
    report.tiny_images = different
        .iter()
        .filter_map(|item| tiny(&dataset, item))
        .collect();
    report.long_captions = long_captions(settings, &dataset, &different);
    report.examples = examples(&dataset, &different);
    if let Some(base) = base {
        check_caches(report, config, settings, &dataset, base);
    }
}

fn run_length(
    report: &mut CheckReport,
    config: &TrainConfig,
    settings: &RunSettings,
    dataset: &Dataset,
) -> Option<RunLength> {
    let plan = report.collect(dataset.plan().map_err(Into::into))?;
    if plan.batches_per_epoch() == 0 {
        return None;
    }
    let length = RunLength::new(&settings.training, &plan);
    report
        .warnings
        .extend(rules::run_warnings(config, &length.length_facts()));
    Some(length)
}

fn check_caches(
    report: &mut CheckReport,
    config: &TrainConfig,
    settings: &RunSettings,
    dataset: &Dataset,
    CheckedBase { base, adapters }: &CheckedBase,
) {
    let trains_text_encoder = adapters.shape.trains_text_encoder;
    let texts = TextPlan::new(settings, dataset, &base.widths, trains_text_encoder);
    let latents = report.collect(LatentPlan::new(settings, dataset));
    let texts = report.collect(texts);
    if let Some(latents) = latents {
        report.latent_bytes = latents.bytes(dataset);
    }
    if let Some(texts) = &texts {
        report.text_bytes = texts.bytes(settings, dataset, &base.widths);
        report.warnings.extend(texts.warning());
    }
    if let (Some(latents), Some(texts), Ok(optimizer)) = (latents, texts, config.optimizer()) {
        let plans = CachePlans { latents, texts };
        let memory = MemoryEstimate::new(settings, &optimizer, dataset, base, adapters, &plans);
        if let Ok(device) = crate::device::parse(&config.device) {
            report.warnings.extend(memory.warning(&device));
        }
        report.memory = Some(memory);
    }
}

fn tags(report: &DatasetReport) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (tag, count) in report.tag_frequency().into_values().flatten() {
        *counts.entry(tag).or_default() += count;
    }
    most_frequent(counts)
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
