//! Images that have a caption already.

use lora_data::caption::tags;

use super::options::FolderOptions;
use crate::options::Style;

/// What happens to an image that has a caption (`batch_output_action_on_conflict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The caption stays, and the image is not decoded.
    #[default]
    Ignore,
    /// The caption is replaced.
    Copy,
    /// New tags are put in front of the caption.
    Prepend,
    /// New tags are put behind the caption (sd-scripts' `append_tags`).
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

/// The caption of new tags and an existing caption, each tag once.
pub(super) fn merged(new: &[String], existing: &str, options: &FolderOptions) -> String {
    let separator = &options.tags.caption_separator;
    let existing: Vec<&str> = match options.tags.style {
        Style::SdTrainer => tags(existing).collect(),
        Style::SdScripts => existing
            .split(separator.trim())
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .collect(),
    };
    let new = new.iter().map(String::as_str);
    let both: Vec<&str> = match options.on_conflict {
        OnConflict::Prepend => new.chain(existing).collect(),
        OnConflict::Append => existing.into_iter().chain(new).collect(),
        OnConflict::Copy | OnConflict::Ignore => new.collect(),
    };
    let mut written: Vec<&str> = Vec::with_capacity(both.len());
    for tag in both {
        if !written.contains(&tag) {
            written.push(tag);
        }
    }
    written.join(separator)
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
}
