//! `lora-trainer tag`.

mod arguments;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lora_data::count;
use lora_tag::{
    Category, Error as TagError, FolderOptions, FolderPlan, FolderTagger, ModelPlaces, ScoreSource,
    Style, TagEvent, TaggedImage, Tagger,
};

pub(super) use self::arguments::TagArguments;
use super::notices;
use super::progress::{Progress, duration, print_line};
use super::signals::Signals;
use crate::error::Result;

/// SD-Trainer's default tagger, and that of sd-scripts.
const DEFAULT_MODELS: [(Style, &str); 2] = [
    (Style::SdTrainer, "wd-vit-v3"),
    (Style::SdScripts, "SmilingWolf/wd-v1-4-convnext-tagger-v2"),
];

/// The failed images that are listed at the end.
const MOST_LISTED: usize = 50;

pub(super) fn run(arguments: &TagArguments, signals: &Signals) -> Result<ExitCode> {
    let options = arguments.folder_options()?;
    options.tags.check()?;
    let mut progress = Progress::new();
    let Some(source) = source(arguments, &mut progress, signals)? else {
        return Ok(ExitCode::from(signals.exit_code().unwrap_or(1)));
    };
    if let ScoreSource::Tagger(tagger) = &source
        && let Some(fixed) = tagger.fixed_batch()
        && options.batch > 1
        && options.batch != fixed
    {
        let images = count(fixed, "image");
        progress.print(&format!(
            "warning: the model's file fixes the batch to {images}"
        ));
    }
    let mut run = FolderTagger::new(&arguments.folder, source, options.clone())?;
    plan_lines(run.plan())
        .iter()
        .for_each(|line| progress.print(line));
    let outcome = tag(&mut run, arguments, &options, &mut progress, signals);
    // Captions that are written at the end are kept whatever ended the run.
    run.finish()?;
    let outcome = outcome?;
    if arguments.frequency_tags {
        print_line("Tag frequencies:");
        for (tag, count) in run.frequency() {
            print_line(&format!("{tag}: {count}"));
        }
    }
    Ok(summarize(&outcome, run.plan(), &options, signals))
}

/// The probabilities of images: a tagger that is loaded, or files. `None` if a signal stopped the
/// download.
fn source(
    arguments: &TagArguments,
    progress: &mut Progress,
    signals: &Signals,
) -> Result<Option<ScoreSource>> {
    if arguments.model.from_scores {
        return Ok(Some(ScoreSource::Files));
    }
    let mut places = ModelPlaces::from_env();
    if let Some(folder) = &arguments.model.model_dir {
        places.folders.insert(0, folder.clone());
    }
    let style = arguments.style();
    let default = DEFAULT_MODELS.iter().find(|(of, _)| *of == style);
    let name = match (&arguments.model.model, default) {
        (Some(name), _) => name.as_str(),
        (None, Some((_, name))) => name,
        (None, None) => "",
    };
    let found = match places.find(name) {
        Ok(path) if !arguments.model.force_download => Some(path),
        Err(error) if !(arguments.model.download || arguments.model.force_download) => {
            return Err(error.into());
        }
        _ => download(
            name,
            arguments.model.force_download,
            &places,
            progress,
            signals,
        )?,
    };
    let Some(path) = found else {
        return Ok(None);
    };
    progress.status(&format!("loading {}", path.display()));
    let tagger = Tagger::open(path, &arguments.tagger_options())?;
    Ok(Some(ScoreSource::Tagger(Arc::new(tagger))))
}

/// Downloads a tagger. `None` if a signal stopped it.
#[cfg(feature = "hub")]
fn download(
    name: &str,
    force: bool,
    places: &ModelPlaces,
    progress: &mut Progress,
    signals: &Signals,
) -> Result<Option<PathBuf>> {
    const MEGABYTE: u64 = 1_000_000;
    let mut shown = None;
    let downloaded = lora_tag::Hub::from_env(places)?.download(name, force, |now| {
        // One line or bar per file, in megabytes.
        let (done, total) = (now.bytes.div_ceil(MEGABYTE), now.total.div_ceil(MEGABYTE));
        let piece = (now.file.to_owned(), done);
        if done > 0 && shown.as_ref() != Some(&piece) {
            progress.advance(&format!("{} (MB)", now.file), done, total, String::new());
            shown = Some(piece);
        }
        signals.exit_code().is_none()
    });
    match downloaded {
        Err(_) if signals.exit_code().is_some() => Ok(None),
        path => Ok(Some(path?)),
    }
}

#[cfg(not(feature = "hub"))]
fn download(
    _name: &str,
    _force: bool,
    _places: &ModelPlaces,
    _progress: &mut Progress,
    _signals: &Signals,
) -> Result<Option<PathBuf>> {
    Err(TagError::Option {
        option: "download",
        found: "a build without downloads".into(),
        expected: "a build with `--features hub`, or a model in one of the places".into(),
    }
    .into())
}

fn plan_lines(plan: &FolderPlan) -> Vec<String> {
    let mut lines = notices::lines(&plan.notices);
    lines.push(format!(
        "{}: tagging {}, skipping {} that have a caption",
        count(plan.images, "image"),
        plan.remaining,
        plan.done
    ));
    lines
}

/// What a run did.
#[derive(Debug, Default)]
struct Outcome {
    tagged: usize,
    failed: Vec<(PathBuf, TagError)>,
    seconds: f64,
}

fn tag(
    run: &mut FolderTagger,
    arguments: &TagArguments,
    options: &FolderOptions,
    progress: &mut Progress,
    signals: &Signals,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let total = run.plan().remaining as u64;
    while signals.exit_code().is_none()
        && let Some(event) = run.next()
    {
        match event? {
            TagEvent::Tagged(image) => {
                outcome.tagged += 1;
                if options.dry_run {
                    progress.print(&format!("{}: {}", image.image.display(), image.caption));
                }
                if arguments.debug {
                    debug_lines(&image, options)
                        .iter()
                        .for_each(|line| progress.print(line));
                }
            }
            TagEvent::Failed { image, error } => outcome.failed.push((image, error)),
            _ => {}
        }
        let done = outcome.tagged as u64 + outcome.failed.len() as u64;
        outcome.seconds = start.elapsed().as_secs_f64();
        let speed = done as f64 / outcome.seconds.max(1e-9);
        let left = duration((total - done) as f64 / speed);
        progress.advance(
            "tagging",
            done,
            total,
            format!("{speed:.2} images/s, {left} left"),
        );
    }
    Ok(outcome)
}

/// The tags of an image by category, as sd-scripts prints them.
fn debug_lines(image: &TaggedImage, options: &FolderOptions) -> Vec<String> {
    let mut lines = vec![format!("{}:", image.image.display())];
    for category in Category::ALL {
        let threshold = options.tags.threshold_of(category);
        let tags: Vec<String> = image
            .scores
            .of(category)
            .iter()
            .filter(|score| score.probability >= threshold)
            .map(|score| format!("{} {:.3}", score.tag, score.probability))
            .collect();
        if !tags.is_empty() {
            lines.push(format!("    {category}: {}", tags.join(", ")));
        }
    }
    lines
}

/// Prints what was done, and the images that failed.
fn summarize(
    outcome: &Outcome,
    plan: &FolderPlan,
    options: &FolderOptions,
    signals: &Signals,
) -> ExitCode {
    let written = if options.dry_run {
        "would tag"
    } else {
        "tagged"
    };
    let done = outcome.tagged + outcome.failed.len();
    print_line(&format!(
        "{written} {} in {}",
        count(outcome.tagged, "image"),
        duration(outcome.seconds)
    ));
    if !outcome.failed.is_empty() {
        print_line(&format!("{} failed:", count(outcome.failed.len(), "image")));
        for (image, error) in outcome.failed.iter().take(MOST_LISTED) {
            let names_image = error.path() == Some(image);
            let place = if names_image {
                String::new()
            } else {
                format!("{}: ", image.display())
            };
            print_line(&format!("  {place}{error}"));
        }
        if outcome.failed.len() > MOST_LISTED {
            print_line(&format!(
                "  and {} more",
                outcome.failed.len() - MOST_LISTED
            ));
        }
    }
    match signals.exit_code() {
        Some(code) if done < plan.remaining => {
            print_line("stopped; the next run goes on with the images that have no caption");
            ExitCode::from(code)
        }
        _ if !outcome.failed.is_empty() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
