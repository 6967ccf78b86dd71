//! A report for people to read.

use std::fmt;

use lora_data::SubsetReport;

use super::{CheckReport, RunLength};

/// How many lines of a list are shown.
const SHOWN: usize = 20;

/// All of it in lines; of long lists the first 20.
impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines(self).join("\n"))
    }
}

fn lines(report: &CheckReport) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(report.family.iter().map(|family| format!("base: {family}")));
    lines.extend(folders(report));
    lines.extend(buckets(report));
    lines.extend(report.length.iter().flat_map(length));
    if !report.tags.is_empty() {
        let most: Vec<String> = report
            .tags
            .iter()
            .take(SHOWN)
            .map(|(tag, count)| format!("{tag} ({count})"))
            .collect();
        lines.push(String::new());
        lines.push(format!(
            "{} different tags: {}{}",
            report.tags.len(),
            most.join(", "),
            more(report.tags.len())
        ));
    }
    lines.push(String::new());
    lines.push(format!(
        "caches: {} of latents, {} of captions",
        size(report.latent_bytes),
        size(report.text_bytes)
    ));
    lines.extend(
        report
            .memory
            .map(|memory| format!("memory: about {}", size(memory.total()))),
    );
    lines.extend(list("as sd-scripts", report.reproduced.iter().cloned()));
    let long = report.long_captions.iter().map(|long| {
        format!(
            "{} has {} tokens, of which {} are used",
            long.path.display(),
            long.tokens,
            long.used
        )
    });
    lines.extend(list("captions beyond `max_token_length`", long));
    let duplicates = report.duplicates.iter().map(|group| {
        group
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(" = ")
    });
    lines.extend(list("images with the same content", duplicates));
    let tiny = report.tiny_images.iter().map(|tiny| {
        format!(
            "{} is {}, trained at {}",
            tiny.path.display(),
            tiny.size,
            tiny.bucket
        )
    });
    lines.extend(list(
        "images with less than a quarter of the resolution's pixels",
        tiny,
    ));
    lines.extend(list(
        "warnings",
        report.warnings.iter().map(ToString::to_string),
    ));
    lines.extend(list("problems", report.problems.iter().cloned()));
    lines.push(String::new());
    lines.push(match report.problems.len() {
        0 => "the run is possible".into(),
        1 => "the run is not possible: 1 problem".into(),
        problems => format!("the run is not possible: {problems} problems"),
    });
    lines
}

fn folders(report: &CheckReport) -> Vec<String> {
    let Some(dataset) = &report.dataset else {
        return Vec::new();
    };
    let name = |subset: &SubsetReport| match subset.is_reg {
        true => format!("{} (regularisation)", subset.name),
        false => subset.name.clone(),
    };
    let width = dataset
        .subsets()
        .map(|subset| name(subset).chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut lines = vec![
        String::new(),
        format!(
            "{:<width$}  {:>8}  {:>7}  {:>10}  {:>14}  {:>12}",
            "folder", "images", "repeats", "captioned", "class tokens", "no caption"
        ),
    ];
    lines.extend(dataset.subsets().map(|subset| {
        format!(
            "{:<width$}  {:>8}  {:>7}  {:>10}  {:>14}  {:>12}",
            name(subset),
            subset.images,
            subset.repeats,
            subset.captions_from_files,
            subset.captions_from_class_words,
            subset.captions_missing
        )
    }));
    lines
}

fn buckets(report: &CheckReport) -> Vec<String> {
    let mut lines = Vec::new();
    for part in report.dataset.iter().flat_map(|dataset| &dataset.parts) {
        let Some(info) = &part.bucket_info else {
            continue;
        };
        lines.push(String::new());
        lines.push(format!(
            "buckets at {}, batches of {}",
            part.resolution, part.batch_size
        ));
        for bucket in &info.buckets {
            let batches = bucket.count.div_ceil(part.batch_size.max(1));
            lines.push(format!(
                "{:>12}  {:>7} images  {:>7} batches",
                bucket.resolution.to_string(),
                bucket.count,
                batches
            ));
        }
        lines.push(format!(
            "mean distance of aspect ratios {:.4}",
            info.mean_img_ar_error
        ));
    }
    lines
}

/// The arithmetic, spelled out.
fn length(length: &RunLength) -> Vec<String> {
    let RunLength {
        images_per_epoch,
        batches_per_epoch,
        gradient_accumulation_steps,
        ..
    } = *length;
    let RunLength {
        steps_per_epoch,
        epochs,
        total_steps,
        ..
    } = *length;
    let cut = if total_steps < steps_per_epoch * epochs {
        ", the last one cut short"
    } else {
        ""
    };
    vec![
        String::new(),
        format!("an epoch: {images_per_epoch} images with repeats, in {batches_per_epoch} batches"),
        format!(
            "{batches_per_epoch} batches / {gradient_accumulation_steps} a step, rounded up = \
             {steps_per_epoch} steps an epoch"
        ),
        format!("{epochs} epochs{cut}: {total_steps} steps"),
    ]
}

fn list(title: &str, lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let count = lines.len();
    if count == 0 {
        return Vec::new();
    }
    let mut list = vec![String::new(), format!("{title}: {count}")];
    list.extend(lines.take(SHOWN).map(|line| format!("  {line}")));
    if count > SHOWN {
        list.push(format!("  and {} more", count - SHOWN));
    }
    list
}

fn more(count: usize) -> String {
    if count > SHOWN {
        format!(" and {} more", count - SHOWN)
    } else {
        String::new()
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
