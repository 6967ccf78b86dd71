//! Images that have a caption already.

use std::convert::Infallible;

use lora_data::caption::tags_between;

use super::options::FolderOptions;
use crate::captions::CaptionText;
use crate::options::Style;

/// What happens to an image that has a caption (`batch_output_action_on_conflict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The caption stays, and the image is not decoded.
    #[default]
    Ignore,
    /// The caption is replaced.
    Copy,
    /// New tags are written before those of the caption.
    Prepend,
    /// New tags are written after those of the caption (sd-scripts' `append_tags`).
    Append,
}

impl OnConflict {
    /// SD-Trainer's names.
    pub const NAMES: [&str; 4] = ["ignore", "copy", "prepend", "append"];

    /// SD-Trainer's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Copy => "copy",
            Self::Prepend => "prepend",
            Self::Append => "append",
        }
    }

    /// The action of this name; `overwrite` is `copy`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ignore" => Self::Ignore,
            "copy" | "overwrite" => Self::Copy,
            "prepend" => Self::Prepend,
            "append" => Self::Append,
            _ => return None,
        })
    }
}

/// The caption of new tags and an existing caption, each tag once. Of several lines, each is a
/// caption of its own and gets the new tags.
pub(super) fn merged(new: &[String], existing: &str, options: &FolderOptions) -> String {
    let separator = &options.tags.caption_separator;
    // SD-Trainer splits at commas whatever the separator is.
    let split_at = match options.tags.style {
        Style::SdTrainer => ",",
        Style::SdScripts => separator.trim(),
    };
    let text = CaptionText::new(existing, split_at);
    if text.is_empty() || options.on_conflict == OnConflict::Copy {
        return new.join(separator);
    }
    let with_new = |line: &str| {
        let existing = tags_between(line, split_at);
        let new = new.iter().map(String::as_str);
        let both: Vec<&str> = match options.on_conflict {
            OnConflict::Prepend => new.chain(existing).collect(),
            _ => existing.chain(new).collect(),
        };
        let mut written: Vec<&str> = Vec::with_capacity(both.len());
        for tag in both {
            if !written.contains(&tag) {
                written.push(tag);
            }
        }
        Ok::<String, Infallible>(written.join(separator))
    };
    let Ok(merged) = text.map_lines(with_new);
    merged.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TagOptions;

    #[test]
    fn each_tag_is_written_once() {
        let new = ["1girl".to_owned(), "hat".to_owned()];
        let merge = |on_conflict, style| {
            let options = FolderOptions {
                on_conflict,
                tags: TagOptions::new(style),
                ..FolderOptions::default()
            };
            merged(&new, " hat,my tag,, x\n", &options)
        };
        for style in [Style::SdTrainer, Style::SdScripts] {
            assert_eq!(merge(OnConflict::Append, style), "hat, my tag, x, 1girl");
            assert_eq!(merge(OnConflict::Prepend, style), "1girl, hat, my tag, x");
            assert_eq!(merge(OnConflict::Copy, style), "1girl, hat");
        }
    }
    #[test]
    fn each_line_gets_the_tags_and_keeps_its_end() {
        let new = ["hat".to_owned()];
        let merge = |existing, on_conflict| {
            let options = FolderOptions {
                on_conflict,
                ..FolderOptions::default()
            };
            merged(&new, existing, &options)
        };
        for (existing, on_conflict, expected) in [
            ("\u{feff}hat, a\r\n", OnConflict::Append, "\u{feff}hat, a"),
            (
                "\u{feff}a\r\n\r\nb\r\n",
                OnConflict::Prepend,
                "\u{feff}hat, a\r\n\r\nhat, b",
            ),
            ("a\nhat, b", OnConflict::Append, "a, hat\nhat, b"),
            ("\n", OnConflict::Append, "hat"),
        ] {
            assert_eq!(merge(existing, on_conflict), expected);
        }
    }
}
