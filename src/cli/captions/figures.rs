//! Reports about captions: figures, and lists of images or tags.

use std::path::Path;

use lora_data::count;
use lora_models::Tokenizer;
use lora_tag::captions::{Captions, Entry, Stats, TagCount};
use serde::Serialize;

use crate::cli::progress::print_line;

/// The most files that a line of the report names.
const MOST_NAMED: usize = 5;

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    stats: &'a Stats,
    notices: &'a [lora_data::Notice],
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    image: String,
    caption_file: String,
    caption: Option<&'a str>,
}

/// Prints figures of the captions.
pub(super) fn print_stats(captions: &Captions, entries: &[&Entry], top: usize, json: bool) {
    let tokenizer = Tokenizer::new();
    let stats = captions.stats(entries, &|text| tokenizer.ids(text).len());
    if json {
        let problems = captions.problems().iter().map(ToString::to_string);
        print_json(&Report {
            stats: &stats,
            notices: captions.notices(),
            problems: problems.collect(),
        });
    } else {
        let lines = stats_lines(captions, &stats, top);
        lines.iter().for_each(|line| print_line(line));
    }
}

/// Prints the paths of images.
pub(super) fn print_images(entries: &[&Entry], json: bool) {
    if json {
        let listed: Vec<Listed> = entries
            .iter()
            .map(|entry| Listed {
                image: entry.image.display().to_string(),
                caption_file: entry.file.display().to_string(),
                caption: entry.text.as_deref(),
            })
            .collect();
        return print_json(&listed);
    }
    for entry in entries {
        print_line(&entry.image.display().to_string());
    }
}

/// Prints tags with their numbers of captions.
pub(super) fn print_tags(tags: &[TagCount], json: bool) {
    if json {
        return print_json(&tags);
    }
    tag_lines(tags).iter().for_each(|line| print_line(line));
}

fn print_json(value: &impl Serialize) {
    // Serialization cannot fail: all map keys are strings.
    print_line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

fn stats_lines(captions: &Captions, stats: &Stats, top: usize) -> Vec<String> {
    let tokens = &stats.tokens;
    let mut lines = vec![format!(
        "{}, {} with text, {}",
        count(stats.images, "image"),
        count(tokens.captions, "caption"),
        count(stats.tags.len(), "different tag")
    )];
    let mut list = |what: &str, files: &[std::path::PathBuf]| {
        if !files.is_empty() {
            let named = named_files(captions, files);
            lines.push(format!("{what}: {} ({named})", files.len()));
        }
    };
    list("images without a caption", &stats.without_caption);
    list("captions without text", &stats.empty_captions);
    list("captions without an image", &stats.orphaned_captions);
    for group in &stats.duplicate_images {
        list("images with the same bytes", group);
    }
    if !stats.repeated_tags.is_empty() {
        let repeated = stats.repeated_tags.iter().take(MOST_NAMED);
        let repeated: Vec<String> = repeated
            .map(|repeated| {
                let file = captions.relative(&repeated.caption);
                format!("{file}: {}", repeated.tags.join(", "))
            })
            .collect();
        let more = more(stats.repeated_tags.len());
        let number = stats.repeated_tags.len();
        let repeated = repeated.join("; ");
        lines.push(format!(
            "captions with a tag twice: {number} ({repeated}{more})"
        ));
    }
    if let Some(longest) = &tokens.longest_caption {
        lines.push(format!(
            "length in CLIP tokens: median {}, longest {} ({})",
            tokens.median,
            tokens.longest,
            captions.relative(longest)
        ));
        for longer in &tokens.longer_than {
            if !longer.captions.is_empty() {
                let named = named_files(captions, &longer.captions);
                let number = longer.captions.len();
                lines.push(format!("  more than {}: {number} ({named})", longer.tokens));
            }
        }
    }
    if top > 0 && !stats.tags.is_empty() {
        lines.push("captions with each tag:".into());
        let shown = &stats.tags[..top.min(stats.tags.len())];
        lines.extend(tag_lines(shown).into_iter().map(|line| format!("  {line}")));
        if shown.len() < stats.tags.len() {
            let more = count(stats.tags.len() - shown.len(), "more tag");
            lines.push(format!("  and {more} (--top, or list --tags)"));
        }
    }
    lines
}

/// Lines such as `  12  1girl`.
fn tag_lines(tags: &[TagCount]) -> Vec<String> {
    let most = tags.iter().map(|count| count.captions).max();
    let width = most.unwrap_or(0).to_string().len();
    tags.iter()
        .map(|TagCount { tag, captions }| format!("{captions:>width$}  {tag}"))
        .collect()
}

fn named_files(captions: &Captions, files: &[impl AsRef<Path>]) -> String {
    let names = files.iter().map(|file| captions.relative(file.as_ref()));
    named(&names.collect::<Vec<_>>())
}

/// The first names, and the number of the others.
pub(super) fn named(names: &[String]) -> String {
    let first = &names[..names.len().min(MOST_NAMED)];
    first.join(", ") + &more(names.len())
}

fn more(number: usize) -> String {
    match number.saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}
