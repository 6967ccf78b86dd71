//! `lora-trainer tag`.

mod arguments;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lora_data::count;
use lora_tag::{
    Category, Error as TagError, FolderJob, FolderOptions, FolderPlan, FolderTagger, ModelPlaces,
    OnConflict, ScoreSource, TagEvent, TaggedImage, Tagger, default_tagger,
};

pub(super) use self::arguments::TagArguments;
use super::captions::undo_hint;
use super::notices;
use super::progress::{Progress, duration, print_line};
use super::signals::Signals;
use crate::error::Result;

/// The failed images that are listed at the end.
const MOST_LISTED: usize = 50;

pub(super) fn run(arguments: &TagArguments, signals: &Signals) -> Result<ExitCode> {
    let options = arguments.folder_options()?;
    let mut progress = Progress::new();
    // Listed before the model is loaded, which takes seconds.
    let from_scores = arguments.model.from_scores;
    let job = FolderJob::new(&arguments.folder, options.clone(), from_scores)?;
    plan_lines(job.plan())
        .iter()
        .for_each(|line| progress.print(line));
    if job.plan().remaining == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(source) = source(arguments, &options, &mut progress, signals)? else {
        return Ok(ExitCode::from(signals.exit_code().unwrap_or(1)));
    };
    let mut run = job.start(source);
    let outcome = tag(&mut run, arguments, &options, &mut progress, signals);
    // Captions that are written at the end are kept whatever ended the run.
    let finished = run.finish();
    if arguments.frequency_tags {
        print_line("Tag frequencies:");
        for (tag, count) in run.frequency() {
            print_line(&format!("{tag}: {count}"));
        }
    }
    let code = summarize(&outcome, &run, &options, signals);
    match (outcome.failure, finished) {
        (Some(error), _) | (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(code),
    }
}

/// The probabilities of images: a tagger that is loaded, or files. `None` if a signal stopped the
/// download.
fn source(
    arguments: &TagArguments,
    options: &FolderOptions,
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
    let name = match &arguments.model.model {
        Some(name) => name,
        None => {
            let name = default_tagger(arguments.style());
            progress.print(&format!("tagger: {name} (--model names another one)"));
            name
        }
    };
    let downloads = arguments.model.download || arguments.model.force_download;
    let found = match places.find(name) {
        Ok(path) if !arguments.model.force_download => Some(path),
        Err(error) if !downloads => return Err(error.into()),
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
    if let Some(fixed) = tagger.fixed_batch()
        && options.batch > 1
        && options.batch != fixed
    {
        let images = count(fixed, "image");
        progress.print(&format!(
            "warning: the model's file fixes the batch to {images}"
        ));
    }
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
        found: "a build that cannot download".into(),
        expected: "a build with the feature `hub`, or the files of the tagger in a folder".into(),
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
    if plan.remaining == 0 {
        lines.push("--on-conflict copy replaces captions, append and prepend add tags".into());
    }
    lines
}

/// What a run did.
#[derive(Debug, Default)]
struct Outcome {
    tagged: usize,
    failed: Vec<(PathBuf, TagError)>,
    /// The error that ended the run.
    failure: Option<TagError>,
    seconds: f64,
}

fn tag(
    run: &mut FolderTagger,
    arguments: &TagArguments,
    options: &FolderOptions,
    progress: &mut Progress,
    signals: &Signals,
) -> Outcome {
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let total = run.plan().remaining as u64;
    while signals.exit_code().is_none()
        && let Some(event) = run.next()
    {
        match event {
            Err(error) => {
                outcome.failure = Some(error);
                break;
            }
            Ok(TagEvent::Tagged(image)) => {
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
            Ok(TagEvent::Failed { image, error }) => outcome.failed.push((image, error)),
            Ok(_) => {}
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
    outcome
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
    run: &FolderTagger,
    options: &FolderOptions,
    signals: &Signals,
) -> ExitCode {
    let verb = if options.dry_run {
        "would tag"
    } else {
        "tagged"
    };
    print_line(&format!(
        "{verb} {} in {}",
        count(outcome.tagged, "image"),
        duration(outcome.seconds)
    ));
    if !outcome.failed.is_empty() {
        failed_lines(&outcome.failed)
            .iter()
            .for_each(|line| print_line(line));
    }
    if let Some(folder) = run.history() {
        print_line(&undo_hint(folder));
    }
    match signals.exit_code() {
        Some(code) if outcome.tagged + outcome.failed.len() < run.plan().remaining => {
            print_line(match options.on_conflict {
                OnConflict::Ignore => {
                    "stopped; the next run goes on with the images that have no caption"
                }
                _ => "stopped; the next run starts with the first image again",
            });
            ExitCode::from(code)
        }
        _ if !outcome.failed.is_empty() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn failed_lines(failed: &[(PathBuf, TagError)]) -> Vec<String> {
    let mut lines = vec![format!("{} failed:", count(failed.len(), "image"))];
    for (image, error) in failed.iter().take(MOST_LISTED) {
        let place = if error.path() == Some(image) {
            String::new()
        } else {
            format!("{}: ", image.display())
        };
        lines.push(format!("  {place}{error}"));
    }
    if failed.len() > MOST_LISTED {
        lines.push(format!("  and {} more", failed.len() - MOST_LISTED));
    }
    lines
}
