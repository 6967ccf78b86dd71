//! Figures of the captions of a folder.

use std::path::PathBuf;

use lora_data::{duplicates, most_frequent};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::edit::TokenCounter;
use super::folder::{Captions, Entry, unique_files};

/// Figures of captions. Serialized paths that are not UTF-8 have replacement characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The number of images.
    pub images: usize,
    /// Images without a caption file.
    #[serde(serialize_with = "paths")]
    pub without_caption: Vec<PathBuf>,
    /// Caption files without text.
    #[serde(serialize_with = "paths")]
    pub empty_captions: Vec<PathBuf>,
    /// Caption files without an image.
    #[serde(serialize_with = "paths")]
    pub orphaned_captions: Vec<PathBuf>,
    /// All tags, the most frequent first, otherwise in order.
    pub tags: Vec<TagCount>,
    /// The length of captions in tokens.
    pub tokens: TokenStats,
    /// Groups of images with the same bytes.
    #[serde(serialize_with = "groups")]
    pub duplicate_images: Vec<Vec<PathBuf>>,
    /// Captions with a tag several times in one line.
    pub repeated_tags: Vec<RepeatedTags>,
}

/// The number of captions with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// The number of captions.
    pub captions: usize,
}

/// The length of captions in tokens, without those at the start and end. A caption of several lines
/// is as long as its longest line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenStats {
    /// The number of captions with text.
    pub captions: usize,
    /// The median length.
    pub median: usize,
    /// The longest length; 0 without captions.
    pub longest: usize,
    /// The file of the longest caption.
    #[serde(serialize_with = "optional_path")]
    pub longest_caption: Option<PathBuf>,
    /// The captions that are cut with each `max_token_length`.
    pub longer_than: Vec<LongCaptions>,
}

/// The captions above a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongCaptions {
    /// The limit in tokens.
    pub tokens: usize,
    /// The caption files.
    #[serde(serialize_with = "paths")]
    pub captions: Vec<PathBuf>,
}

/// The tags that a caption has several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedTags {
    /// The caption file.
    #[serde(serialize_with = "path")]
    pub caption: PathBuf,
    /// The tags.
    pub tags: Vec<String>,
}

/// The values of `max_token_length`.
const LIMITS: [usize; 3] = [75, 150, 225];

impl Captions {
    /// Figures of these entries. Images of equal length are read to find duplicates.
    #[must_use]
    pub fn stats(&self, entries: &[&Entry], count_tokens: TokenCounter) -> Stats {
        let files = unique_files(entries);
        let without = entries.iter().filter(|entry| entry.text.is_none());
        let empty = files.iter().filter(|entry| {
            let text = entry.text.as_deref();
            text.is_some_and(|text| self.parse(text).is_empty())
        });
        let repeated = files.iter().filter_map(|entry| {
            let tags = self.repeated_tags(entry);
            (!tags.is_empty()).then(|| RepeatedTags {
                caption: entry.file.clone(),
                tags,
            })
        });
        Stats {
            images: entries.len(),
            without_caption: without.map(|entry| entry.image.clone()).collect(),
            empty_captions: empty.map(|entry| entry.file.clone()).collect(),
            orphaned_captions: self.orphaned_captions().to_vec(),
            tags: self.tag_counts(entries),
            tokens: self.token_stats(&files, count_tokens),
            duplicate_images: duplicates(entries.iter().map(|entry| entry.image.as_path())),
            repeated_tags: repeated.collect(),
        }
    }

    /// The number of captions with each tag, the most frequent first.
    #[must_use]
    pub fn tag_counts(&self, entries: &[&Entry]) -> Vec<TagCount> {
        let frequencies = self.frequencies(entries);
        most_frequent(frequencies)
            .into_iter()
            .map(|(tag, captions)| TagCount {
                tag: tag.into(),
                captions,
            })
            .collect()
    }

    fn repeated_tags(&self, entry: &Entry) -> Vec<String> {
        let mut repeated: Vec<String> = Vec::new();
        let text = self.parse(entry.text.as_deref().unwrap_or_default());
        for line in text.lines() {
            let mut seen = std::collections::HashSet::new();
            for tag in self.parse(line).tags() {
                if !seen.insert(tag) && !repeated.iter().any(|other| other == tag) {
                    repeated.push(tag.into());
                }
            }
        }
        repeated
    }

    fn token_stats(&self, files: &[&Entry], count_tokens: TokenCounter) -> TokenStats {
        let length = |entry: &&&Entry| {
            let text = entry.text.as_deref()?;
            self.parse(text).lines().map(count_tokens).max()
        };
        let mut lengths: Vec<(usize, &PathBuf)> = files
            .par_iter()
            .filter_map(|entry| Some((length(&entry)?, &entry.file)))
            .collect();
        let longer = |limit| {
            let longer = lengths.iter().filter(|(length, _)| *length > limit);
            LongCaptions {
                tokens: limit,
                captions: longer.map(|(_, file)| (*file).clone()).collect(),
            }
        };
        let longer_than = LIMITS.map(longer).into();
        lengths.sort_by_key(|(length, _)| *length);
        let longest = lengths.last();
        TokenStats {
            captions: lengths.len(),
            median: lengths
                .get(lengths.len() / 2)
                .map_or(0, |(length, _)| *length),
            longest: longest.map_or(0, |(length, _)| *length),
            longest_caption: longest.map(|(_, file)| (*file).clone()),
            longer_than,
        }
    }
}

fn path<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn optional_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    let path = path.as_ref().map(|path| path.to_string_lossy());
    path.serialize(serializer)
}

fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

fn groups<S: Serializer>(groups: &[Vec<PathBuf>], serializer: S) -> Result<S::Ok, S::Error> {
    let names = |group: &Vec<PathBuf>| -> Vec<String> {
        let paths = group.iter();
        paths
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    };
    serializer.collect_seq(groups.iter().map(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::CaptionsOptions;

    #[test]
    fn figures_of_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.png", Some("x, y, x")),
            ("b.png", Some("\u{feff}y\r\nz, a long one\n")),
            ("c.png", Some(" \n")),
            ("d.png", None),
            ("b.jpg", None),
        ] {
            let image = dir.path().join(name);
            let bytes = if name.starts_with(['a', 'd']) {
                "same"
            } else {
                name
            };
            std::fs::write(&image, bytes).unwrap();
            if let Some(text) = text {
                std::fs::write(image.with_extension("txt"), text).unwrap();
            }
        }
        std::fs::write(dir.path().join("alone.txt"), "x").unwrap();
        let captions = Captions::open(dir.path(), &CaptionsOptions::default()).unwrap();
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        let stats = captions.stats(&entries, &|line| 10 * line.len());
        let file = |name: &str| dir.path().join(name);
        assert_eq!(stats.images, 5);
        assert_eq!(stats.without_caption, [file("d.png")]);
        assert_eq!(stats.empty_captions, [file("c.txt")]);
        assert_eq!(stats.orphaned_captions, [file("alone.txt")]);
        let tags: Vec<(&str, usize)> = stats
            .tags
            .iter()
            .map(|count| (&*count.tag, count.captions))
            .collect();
        assert_eq!(tags, [("y", 2), ("a long one", 1), ("x", 1), ("z", 1)]);
        assert_eq!(stats.duplicate_images, [[file("a.png"), file("d.png")]]);
        assert_eq!(stats.repeated_tags.len(), 1);
        assert_eq!(stats.repeated_tags[0].tags, ["x"]);
        let tokens = &stats.tokens;
        assert_eq!(
            (tokens.captions, tokens.longest, tokens.median),
            (2, 130, 130)
        );
        assert_eq!(tokens.longest_caption, Some(file("b.txt")));
        let longer: Vec<usize> = tokens
            .longer_than
            .iter()
            .map(|l| l.captions.len())
            .collect();
        assert_eq!(longer, [1, 0, 0]);
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["tokens"]["longer_than"][1]["tokens"], 150);
        assert!(
            json["without_caption"][0]
                .as_str()
                .unwrap()
                .ends_with("d.png")
        );
    }
}
