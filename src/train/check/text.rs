//! A report for people to read.

use std::fmt;

use lora_data::{SubsetReport, count};

use super::report::CheckReport;
use crate::train::run_length::RunLength;

/// The greatest number of lines of a list.
const SHOWN: usize = 20;

/// Formats the report as lines, with the first 20 entries of long lists.
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
    lines.extend(tags(report));
    lines.push(String::new());
    lines.push(format!(
        "caches: latents {}, text encoder outputs {}",
        size(report.latent_bytes),
        size(report.text_bytes)
    ));
    if let Some(memory) = report.memory {
        lines.push(format!("memory: about {}", size(memory.total())));
    }
    lines.extend(list("sd-scripts behaviour reproduced", &report.reproduced));
    lines.extend(long_captions(report));
    lines.extend(duplicates(report));
    lines.extend(tiny_images(report));
    lines.extend(warnings(report));
    lines.extend(list("problems", &report.problems));
    lines.push(String::new());
    lines.push(match report.problems.len() {
        0 => "ready to train".into(),
        problems => format!("cannot train: {}", count(problems, "problem")),
    });
    lines
}

fn folders(report: &CheckReport) -> Vec<String> {
    let Some(dataset) = &report.dataset else {
        return Vec::new();
    };
    let names: Vec<String> = dataset.subsets().map(folder_name).collect();
    let widths = names.iter().map(|name| name.chars().count());
    let width = widths.max().unwrap_or(0).max(6);
    let mut lines = vec![
        String::new(),
        format!(
            "{:<width$}  {:>8}  {:>7}  {:>10}  {:>14}  {:>12}",
            "folder", "images", "repeats", "captioned", "class tokens", "no caption"
        ),
    ];
    for (name, subset) in names.iter().zip(dataset.subsets()) {
        lines.push(format!(
            "{name:<width$}  {:>8}  {:>7}  {:>10}  {:>14}  {:>12}",
            subset.images,
            subset.repeats,
            subset.captions_from_files,
            subset.captions_from_class_tokens,
            subset.captions_missing
        ));
    }
    lines
}

fn folder_name(subset: &SubsetReport) -> String {
    if subset.is_reg {
        format!("{} (regularisation)", subset.name)
    } else {
        subset.name.clone()
    }
}

fn buckets(report: &CheckReport) -> Vec<String> {
    let mut lines = Vec::new();
    for part in report.dataset.iter().flat_map(|dataset| &dataset.parts) {
        let Some(info) = &part.bucket_info else {
            continue;
        };
        lines.push(String::new());
        lines.push(format!(
            "buckets at {}, batch size {}",
            part.resolution, part.batch_size
        ));
        for bucket in &info.buckets {
            let batches = bucket.count.div_ceil(part.batch_size.max(1));
            lines.push(format!(
                "{:>12}  {:>14}  {:>15}",
                bucket.resolution.to_string(),
                count(bucket.count, "image"),
                count(batches, "batch")
            ));
        }
        lines.push(format!(
            "mean aspect-ratio error {:.4}",
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
        steps_per_epoch,
        epochs,
        total_steps,
    } = *length;
    let cut = if total_steps < steps_per_epoch * epochs {
        ", the last one cut short"
    } else {
        ""
    };
    vec![
        String::new(),
        format!(
            "per epoch: {} with repeats, in {}",
            count(images_per_epoch, "image"),
            count(batches_per_epoch, "batch")
        ),
        format!(
            "{} / {gradient_accumulation_steps} (`gradient_accumulation_steps`), rounded up = {} \
             per \
             epoch",
            count(batches_per_epoch, "batch"),
            count(steps_per_epoch, "step")
        ),
        format!(
            "{}{cut}: {}",
            count(epochs, "epoch"),
            count(total_steps, "step")
        ),
    ]
}

fn tags(report: &CheckReport) -> Vec<String> {
    if report.tags.is_empty() {
        return Vec::new();
    }
    let most: Vec<String> = report
        .tags
        .iter()
        .take(SHOWN)
        .map(|(tag, images)| format!("{tag} ({images})"))
        .collect();
    let more = match report.tags.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    let tags = count(report.tags.len(), "different tag");
    vec![String::new(), format!("{tags}: {}{more}", most.join(", "))]
}

fn long_captions(report: &CheckReport) -> Vec<String> {
    let lines: Vec<String> = report
        .long_captions
        .iter()
        .map(|long| {
            let tokens = count(long.tokens, "token");
            format!(
                "{}: {tokens}, of which {} are used",
                long.path.display(),
                long.used
            )
        })
        .collect();
    list("captions longer than `max_token_length`", &lines)
}

fn duplicates(report: &CheckReport) -> Vec<String> {
    let lines: Vec<String> = report
        .duplicates
        .iter()
        .map(|group| {
            let paths: Vec<String> = group
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            paths.join(" = ")
        })
        .collect();
    list("images with the same content", &lines)
}

fn tiny_images(report: &CheckReport) -> Vec<String> {
    let lines: Vec<String> = report
        .tiny_images
        .iter()
        .map(|tiny| {
            format!(
                "{} is {}, trained at {}",
                tiny.path.display(),
                tiny.size,
                tiny.bucket
            )
        })
        .collect();
    list(
        "images with less than a quarter of the resolution's pixels",
        &lines,
    )
}

fn warnings(report: &CheckReport) -> Vec<String> {
    let lines: Vec<String> = report
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"))
        .collect();
    list("warnings", &lines)
}

/// A list with its title and length, or nothing if it is empty.
fn list(title: &str, lines: &[String]) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let mut list = vec![String::new(), format!("{title}: {}", lines.len())];
    list.extend(lines.iter().take(SHOWN).map(|line| format!("  {line}")));
    if lines.len() > SHOWN {
        list.push(format!("  and {} more", lines.len() - SHOWN));
    }
    list
}

fn size(bytes: u64) -> String {
    match bytes {
        0 => "none".into(),
        1..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
