//! The keywords of `tag_folder`, which have the names of the command line's options.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Value};
use lora_trainer::tag::{
    Category, FolderOptions, OnConflict, Output, Position, Replacements, Style, TagOptions,
    Underscores,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use crate::error::ErrorClass;
use crate::tag_error::to_tag_exception;
use crate::value::{argument, choice, unusable_argument};

/// Numbers of images and threads.
pub(crate) const POSITIVE: Kind = Kind::Integer {
    min: 1,
    max: u32::MAX as i64,
};
const THRESHOLD: Kind = Kind::Number { min: 0.0, max: 1.0 };

/// The categories whose threshold can be set.
const THRESHOLDS: [(&str, Category); 6] = [
    ("general_threshold", Category::General),
    ("character_threshold", Category::Character),
    ("copyright_threshold", Category::Copyright),
    ("artist_threshold", Category::Artist),
    ("meta_threshold", Category::Meta),
    ("model_threshold", Category::Model),
];

/// The keywords as Python passes them: a dict by name, in which `None` is the default.
pub(crate) struct Keywords<'a, 'py>(pub(crate) &'a Bound<'py, PyDict>);

impl<'py> Keywords<'_, 'py> {
    fn get(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.0.get_item(name)?.filter(|value| !value.is_none()))
    }

    fn value(&self, name: &str, kind: Kind) -> PyResult<Option<Value>> {
        self.get(name)?
            .map(|value| argument(name, &value, kind))
            .transpose()
    }

    fn flag(&self, name: &str) -> PyResult<Option<bool>> {
        Ok(self
            .value(name, Kind::Flag)?
            .and_then(|flag| flag.as_bool()))
    }

    fn is_set(&self, name: &str) -> PyResult<bool> {
        Ok(self.flag(name)?.unwrap_or(false))
    }

    fn threshold(&self, name: &str) -> PyResult<Option<f32>> {
        let number = self
            .value(name, THRESHOLD)?
            .and_then(|number| number.as_f64());
        Ok(number.map(|number| number as f32))
    }

    fn count(&self, name: &str) -> PyResult<Option<usize>> {
        let count = self.value(name, POSITIVE)?.and_then(|count| count.as_u64());
        Ok(count.map(|count| count as usize))
    }

    fn text(&self, name: &str) -> PyResult<Option<String>> {
        let text = self.value(name, Kind::Text)?;
        Ok(text.and_then(|text| text.as_str().map(Into::into)))
    }

    fn path(&self, name: &str) -> PyResult<Option<PathBuf>> {
        let path = self.value(name, Kind::Path)?;
        Ok(path.and_then(|path| path.as_str().map(Into::into)))
    }

    fn choice<T>(
        &self,
        name: &str,
        names: &'static [&'static str],
        read: fn(&str) -> Option<T>,
    ) -> PyResult<Option<T>> {
        self.text(name)?
            .map(|text| choice(self.0.py(), name, &text, names, read))
            .transpose()
    }

    /// A list, or a text with commas between its entries.
    fn list(&self, name: &str) -> PyResult<Option<Vec<String>>> {
        self.get(name)?.map(|value| texts(name, &value)).transpose()
    }

    fn categories(&self, name: &str) -> PyResult<Vec<Category>> {
        const NAMES: [&str; 8] = [
            "rating",
            "quality",
            "general",
            "character",
            "copyright",
            "artist",
            "meta",
            "model",
        ];
        let names = self.list(name)?.unwrap_or_default();
        names
            .iter()
            .map(|text| choice(self.0.py(), name, text, &NAMES, Category::from_name))
            .collect()
    }

    /// The one of these keywords that is true.
    fn only_one<T: Copy>(&self, positions: &[(&str, T)]) -> PyResult<Option<T>> {
        let mut chosen = None;
        for (name, position) in positions {
            if !self.is_set(name)? {
                continue;
            }
            if let Some((first, _)) = chosen {
                return Err(self.conflict(first, name));
            }
            chosen = Some((*name, *position));
        }
        Ok(chosen.map(|(_, position)| position))
    }

    fn conflict(&self, first: &str, second: &str) -> PyErr {
        let found = format!("in addition to {first}");
        unusable_argument(self.0.py(), second, found, "only one of them")
    }

    fn replacements(&self, name: &str) -> PyResult<Replacements> {
        let py = self.0.py();
        let Some(value) = self.get(name)? else {
            return Ok(Replacements::default());
        };
        if let Ok(pairs) = value.cast::<PyMapping>() {
            let mut read = Vec::new();
            for pair in pairs.items()? {
                let Ok(pair) = pair.extract::<(String, String)>() else {
                    let expected = "a dict of tags by the tags that they replace";
                    return Err(unusable_argument(
                        py,
                        name,
                        pair.repr()?.to_string(),
                        expected,
                    ));
                };
                read.push(pair);
            }
            return Ok(Replacements::new(read));
        }
        let text = self.text(name)?.unwrap_or_default();
        text.parse()
            .map_err(to_tag_exception(py, ErrorClass::Config))
    }

    fn style(&self) -> PyResult<(Style, bool)> {
        let style = self.choice("style", &Style::NAMES, Style::from_name)?;
        let compat = self.choice("compat", &Style::NAMES, Style::from_name)?;
        match (style, compat) {
            (Some(style), Some(compat)) if style != compat => Err(self.conflict("style", "compat")),
            _ => Ok((compat.or(style).unwrap_or_default(), compat.is_some())),
        }
    }

    fn underscores(&self) -> PyResult<Option<Underscores>> {
        let excludes = self.list("replace_underscore_excludes")?;
        let replace = self.flag("replace_underscore")?;
        let Some(remove) = self.flag("remove_underscore")? else {
            return Ok(match (excludes, replace) {
                (_, Some(false)) => Some(Underscores::Keep),
                (Some(kept), _) => Some(Underscores::ReplaceExcept(kept)),
                (None, Some(true)) => Some(Underscores::replace()),
                (None, None) => None,
            });
        };
        if replace.is_some() {
            return Err(self.conflict("replace_underscore", "remove_underscore"));
        }
        if excludes.is_some() {
            return Err(self.conflict("replace_underscore_excludes", "remove_underscore"));
        }
        Ok(Some(if remove {
            Underscores::ReplaceInLong
        } else {
            Underscores::Keep
        }))
    }

    fn output(&self) -> PyResult<Output> {
        Ok(
            match (self.path("output_dir")?, self.path("output_path")?) {
                (Some(_), Some(_)) => return Err(self.conflict("output_dir", "output_path")),
                (Some(folder), None) => Output::Folder(folder),
                (None, Some(file)) => Output::Metadata(file),
                (None, None) => Output::NextToImages,
            },
        )
    }

    /// The options that turn probabilities into captions.
    pub(crate) fn tag_options(&self) -> PyResult<TagOptions> {
        let (style, compat) = self.style()?;
        let defaults = TagOptions::new(style);
        let mut category_thresholds = Vec::new();
        for (name, category) in THRESHOLDS {
            category_thresholds.extend(self.threshold(name)?.map(|least| (category, least)));
        }
        Ok(TagOptions {
            style,
            compat,
            threshold: self.threshold("threshold")?.unwrap_or(defaults.threshold),
            category_thresholds,
            exclude_categories: self.categories("exclude_category")?,
            rating: self.only_one(&[
                ("add_rating_tag", Position::ByProbability),
                ("use_rating_tags", Position::First),
                ("use_rating_tags_as_last_tag", Position::Last),
            ])?,
            quality: self.only_one(&[
                ("use_quality_tags", Position::First),
                ("use_quality_tags_as_last_tag", Position::Last),
            ])?,
            model: self.flag("add_model_tag")?,
            character_tags_first: self.is_set("character_tags_first")?,
            always_first_tags: self.list("always_first_tags")?.unwrap_or_default(),
            additional_tags: self.list("additional_tags")?.unwrap_or_default(),
            exclude_tags: self.list("exclude_tags")?.unwrap_or_default(),
            replacements: self.replacements("tag_replacement")?,
            character_tag_expand: self.is_set("character_tag_expand")?,
            underscores: self.underscores()?,
            escape_tag: self.flag("escape_tag")?,
            caption_separator: self
                .text("caption_separator")?
                .unwrap_or(defaults.caption_separator),
        })
    }

    /// The options of a run over a folder.
    pub(crate) fn folder_options(&self) -> PyResult<FolderOptions> {
        let defaults = FolderOptions::default();
        let on_conflict = self.choice("on_conflict", &OnConflict::NAMES, OnConflict::from_name)?;
        Ok(FolderOptions {
            tags: self.tag_options()?,
            recursive: self.is_set("recursive")?,
            caption_extension: self
                .text("caption_extension")?
                .unwrap_or(defaults.caption_extension),
            on_conflict: on_conflict.unwrap_or_default(),
            output: self.output()?,
            scores: self.is_set("scores")?,
            dry_run: self.is_set("dry_run")?,
            batch: self.count("batch")?.unwrap_or(defaults.batch),
            workers: self.count("workers")?,
        })
    }
}

/// A list of texts, or one text with commas between them, without white space and empty ones.
fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let texts: Vec<String> = if let Ok(text) = value.cast::<PyString>() {
        text.to_str()?.split(',').map(Into::into).collect()
    } else {
        let list = argument(name, value, Kind::Texts)?;
        let texts = list.as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(Into::into))
            .collect()
    };
    let trimmed = texts.iter().map(|text| text.trim());
    Ok(trimmed
        .filter(|text| !text.is_empty())
        .map(Into::into)
        .collect())
}

/// The options of keywords, as Rust's debug text. A test checks that each keyword sets its option.
#[pyfunction]
#[pyo3(signature = (keywords: "dict[str, Any]"))]
pub(crate) fn _folder_options(keywords: &Bound<'_, PyDict>) -> PyResult<String> {
    Ok(format!("{:?}", Keywords(keywords).folder_options()?))
}
