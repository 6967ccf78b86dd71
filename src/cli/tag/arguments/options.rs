//! From the arguments of `lora-trainer tag` to the options of the library.

use lora_tag::{
    Category, FolderOptions, OnConflict, Output, Position, Replacements, Runtime, Style,
    TagOptions, TaggerOptions, Underscores,
};

use super::{ChoiceArguments, TagArguments, TextArguments};
use crate::error::{Error, Result};

/// An error about options that exclude one another.
fn conflict(option: &'static str, found: &str, expected: &str) -> Error {
    lora_tag::Error::Option {
        option,
        found: found.into(),
        expected: expected.into(),
    }
    .into()
}

impl TagArguments {
    /// The style of the originals.
    pub(in crate::cli::tag) fn style(&self) -> Style {
        self.tags.compat.or(self.tags.style).unwrap_or_default()
    }

    /// How the tagger is loaded.
    pub(in crate::cli::tag) fn tagger_options(&self) -> TaggerOptions {
        let library = self.model.onnxruntime.clone();
        let runtime = if library.is_some() || self.model.runtime == "onnxruntime" {
            Runtime::OnnxRuntime { library }
        } else {
            Runtime::Rten
        };
        TaggerOptions {
            runtime,
            threads: self.model.threads,
        }
    }

    /// How the folder is tagged.
    pub(in crate::cli::tag) fn folder_options(&self) -> Result<FolderOptions> {
        let files = &self.files;
        let output = match (&files.output_dir, &files.output_path) {
            (Some(folder), _) => Output::Folder(folder.clone()),
            (None, Some(file)) => Output::Metadata(file.clone()),
            (None, None) => Output::NextToImages,
        };
        let by_append = files.append_tags.then_some(OnConflict::Append);
        if let (Some(_), Some(other)) = (by_append, files.on_conflict)
            && other != OnConflict::Append
        {
            let found = format!("`true` next to `--on-conflict {}`", other.name());
            return Err(conflict("append-tags", &found, "only one of them"));
        }
        if self.model.onnx == Some(false) {
            let expected = "`true`: this program reads only ONNX models";
            return Err(conflict("onnx", "`false`", expected));
        }
        Ok(FolderOptions {
            tags: self.tag_options()?,
            recursive: files.recursive.unwrap_or(false),
            caption_extension: files.caption_extension.clone(),
            on_conflict: files.on_conflict.or(by_append).unwrap_or_default(),
            output,
            scores: files.scores,
            dry_run: self.dry_run,
            batch: self.model.batch,
            workers: self.model.workers.filter(|workers| *workers > 0),
        })
    }

    fn tag_options(&self) -> Result<TagOptions> {
        let (tags, text) = (&self.tags, &self.text);
        let thresholds = [
            (Category::General, tags.general_threshold),
            (Category::Character, tags.character_threshold),
            (Category::Copyright, tags.copyright_threshold),
            (Category::Artist, tags.artist_threshold),
            (Category::Meta, tags.meta_threshold),
            (Category::Model, tags.model_threshold),
        ];
        let set = thresholds.into_iter();
        Ok(TagOptions {
            compat: tags.compat.is_some(),
            threshold: tags.threshold,
            category_thresholds: set.filter_map(|(of, set)| Some((of, set?))).collect(),
            exclude_categories: tags.exclude_category.clone(),
            rating: tags.rating()?,
            quality: tags.quality()?,
            model: tags.add_model_tag,
            character_tags_first: tags.character_tags_first,
            always_first_tags: text.list(tags.always_first_tags.as_ref()),
            additional_tags: text.list(tags.additional_tags.as_ref()),
            exclude_tags: text.list(tags.exclude_tags.as_ref()),
            replacements: text.tag_replacement.parse::<Replacements>()?,
            character_tag_expand: text.character_tag_expand,
            underscores: text.underscores()?,
            escape_tag: text.escape_tag,
            caption_separator: text.caption_separator.clone(),
            ..TagOptions::new(self.style())
        })
    }
}

impl ChoiceArguments {
    fn rating(&self) -> Result<Option<Position>> {
        let set = [
            (self.use_rating_tags, Position::First),
            (self.use_rating_tags_as_last_tag, Position::Last),
            (
                self.add_rating_tag.unwrap_or(false),
                Position::ByProbability,
            ),
        ];
        one_of("use-rating-tags", &set)
    }

    fn quality(&self) -> Result<Option<Position>> {
        let set = [
            (self.use_quality_tags, Position::First),
            (self.use_quality_tags_as_last_tag, Position::Last),
        ];
        one_of("use-quality-tags", &set)
    }
}

/// The position whose switch is set.
fn one_of(option: &'static str, switches: &[(bool, Position)]) -> Result<Option<Position>> {
    let mut set = switches.iter().filter(|(is_set, _)| *is_set);
    let position = set.next().map(|(_, position)| *position);
    match set.next() {
        Some(_) => Err(conflict(option, "several positions", "only one")),
        None => Ok(position),
    }
}

impl TextArguments {
    /// The tags of a list, which are separated like those of a caption.
    fn list(&self, tags: Option<&String>) -> Vec<String> {
        let text = tags.map_or("", String::as_str);
        // A separator of white space is refused with all other options.
        let separator = match self.caption_separator.trim() {
            "" => ",",
            separator => separator,
        };
        let tags = lora_data::caption::tags_between(text, separator);
        tags.map(Into::into).collect()
    }

    fn underscores(&self) -> Result<Option<Underscores>> {
        let kept = self.replace_underscore_excludes.as_ref();
        let replaces = self.replace_underscore;
        match self.remove_underscore {
            Some(true) if replaces == Some(true) || kept.is_some() => Err(conflict(
                "remove-underscore",
                "`true` next to `--replace-underscore`",
                "only one of the two rules",
            )),
            Some(true) => Ok(Some(Underscores::ReplaceInLong)),
            _ if kept.is_some() && replaces == Some(false) => Err(conflict(
                "replace-underscore-excludes",
                "tags next to `--replace-underscore false`",
                "one of the two",
            )),
            _ if kept.is_some() => Ok(Some(Underscores::ReplaceExcept(self.list(kept)))),
            removes => Ok(match (replaces, removes) {
                (Some(true), _) => Some(Underscores::replace()),
                (Some(false), _) | (None, Some(false)) => Some(Underscores::Keep),
                (None, _) => None,
            }),
        }
    }
}
