//! Dataset files: sd-scripts' `dataset_config`, in TOML or JSON.
//!
//! ```toml
//! [general]
//! resolution = 1024
//! enable_bucket = true
//!
//! [[datasets]]
//! batch_size = 2
//!
//! [[datasets.subsets]]
//! image_dir = "images/cat"
//! num_repeats = 10
//! ```
//!
//! # Keys
//!
//! A value is looked up in the subset, then in its dataset, then in `[general]`, then in the
//! caller's defaults (the command line). Paths are relative to the working directory.
//!
//! | keys | table | value |
//! |---|---|---|
//! | `resolution` | dataset | pixels, `[width, height]` or `"width,height"` |
//! | `batch_size`, `min_bucket_reso`, `max_bucket_reso`, `bucket_reso_steps` | dataset | integer ≥ 1 |
//! | `enable_bucket`, `bucket_no_upscale` | dataset | true or false |
//! | `network_multiplier` | dataset | number |
//! | `validation_split`, `validation_seed` | dataset | a number ≥ 0 and < 1, an integer ≥ 0 |
//! | `image_dir` ᵃ, `metadata_file` ᵐ, `conditioning_data_dir` ᶜ | subset only | path |
//! | `is_reg` ᶠ, `alpha_mask` ᶠᵐ | subset only | true or false |
//! | `class_tokens` ᶠ | subset | text |
//! | `caption_extension` ᶠᶜ | subset | non-empty text |
//! | `cache_info` ᶠᶜ, `recursive` ᶠᶜ | subset | true or false |
//! | `num_repeats` | subset | integer ≥ 1 |
//! | `keep_tokens`, `token_warmup_min`, `caption_dropout_every_n_epochs` | subset | integer ≥ 0 |
//! | `shuffle_caption`, `enable_wildcard`, `color_aug`, `flip_aug`, `random_crop` | subset | true or false |
//! | `caption_separator` | subset | non-empty text |
//! | `keep_tokens_separator`, `secondary_separator`, `caption_prefix`, `caption_suffix` | subset | text |
//! | `caption_dropout_rate`, `caption_tag_dropout_rate` | subset | number from 0 to 1 |
//! | `token_warmup_step` | subset | number ≥ 0 |
//! | `face_crop_aug_range` | subset | `[min, max]`, in multiples of the face's size |
//! | `resize_interpolation` | subset | a filter's name |
//! | `custom_attributes` | subset | table with `diff_output_preservation` (true or false) |
//! | `alpha_background` | subset | `"#rrggbb"`, `[r, g, b]`, or `""` |
//!
//! Keys of datasets belong in `[general]` or `[[datasets]]`; keys of subsets in these or in
//! `[[datasets.subsets]]`. All subsets of a dataset are of one kind: ᶠ folders, ᶜ folders with
//! `conditioning_data_dir`, or ᵐ lists of images ([`metadata_file`](crate::metadata_file)). A
//! marked key has an effect on these kinds only; for other kinds it is an error unless it is false,
//! 0 or empty. ᵃ `image_dir` is required without `metadata_file`.
//!
//! `recursive` (includes the images in subfolders) and `alpha_background` (the colour behind
//! transparent pixels) do not exist in sd-scripts. `diff_output_preservation` is the only one of
//! the `custom_attributes` that sd-scripts itself reads.

mod draft;
mod keys;
mod reader;
mod values;

use std::io::Read;
use std::path::Path;

pub use self::reader::DatasetConfigFile;
use self::reader::Reader;
use super::DatasetConfig;
use super::tree::{self, Node, SyntaxError};
pub use crate::error::{DatasetConfigProblem, DatasetConfigProblemKind};
use crate::error::{Error, Result};

/// The format of a dataset file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.json`
    Json,
}

impl Format {
    fn from_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        if extension.eq_ignore_ascii_case("toml") {
            Some(Self::Toml)
        } else if extension.eq_ignore_ascii_case("json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    fn parse(self, text: &str) -> Result<Node, Vec<DatasetConfigProblem>> {
        match self {
            Self::Toml => tree::parse_toml(text).map_err(|errors| {
                errors
                    .into_iter()
                    .map(|error| syntax_problem("TOML", error))
                    .collect()
            }),
            Self::Json => {
                tree::parse_json(text).map_err(|error| vec![syntax_problem("JSON", error)])
            }
        }
    }
}

fn syntax_problem(format: &'static str, error: SyntaxError) -> DatasetConfigProblem {
    DatasetConfigProblem {
        line: error.line,
        place: String::new(),
        kind: DatasetConfigProblemKind::Syntax {
            format,
            reason: error.message,
        },
    }
}

/// Reads a dataset file. Its extension decides the format; with an extension other than `.toml` and
/// `.json`, both are tried.
///
/// Missing values are taken from `defaults`, those of subsets from its first subset, except paths.
/// If the resolution of `defaults` is 0x0, the file must set one.
///
/// # Errors
/// [`Error::Io`] for an unreadable file, and [`Error::DatasetConfig`] with all its problems.
pub fn read(path: impl AsRef<Path>, defaults: &DatasetConfig) -> Result<DatasetConfigFile> {
    let path = path.as_ref();
    let bytes = read_bytes(path).map_err(|error| Error::io(path, error))?;
    let tree = text(bytes).and_then(|text| match Format::from_extension(path) {
        Some(format) => format.parse(&text),
        None => parse_either(&text),
    });
    tree.and_then(|tree| Reader::default().file(&tree, defaults))
        .map_err(|problems| Error::DatasetConfig {
            file: Some(path.into()),
            problems,
        })
}

/// Reads the text of a dataset file; see [`read`].
///
/// # Errors
/// [`Error::DatasetConfig`] with all its problems.
pub fn parse(text: &str, format: Format, defaults: &DatasetConfig) -> Result<DatasetConfigFile> {
    let tree = format.parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    tree.and_then(|tree| Reader::default().file(&tree, defaults))
        .map_err(|problems| Error::DatasetConfig {
            file: None,
            problems,
        })
}

/// Far above any dataset file: the path of a checkpoint must not fill the memory.
const MAX_BYTES: u64 = 16 << 20;

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let expected = "expected a dataset file in TOML or JSON, at most 16 MiB";
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            expected,
        ));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Vec<DatasetConfigProblem>> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line_ends = error.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n');
        let error = SyntaxError {
            line: Some(1 + line_ends.count()),
            message: format!("byte {offset}; save the file as UTF-8"),
        };
        vec![syntax_problem("UTF-8", error)]
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Reads TOML, or else JSON. Returns the error of the more probable format.
fn parse_either(text: &str) -> Result<Node, Vec<DatasetConfigProblem>> {
    Format::Toml.parse(text).or_else(|toml| {
        let json = Format::Json.parse(text);
        if text.trim_start().starts_with('{') {
            json
        } else {
            json.map_err(|_| toml)
        }
    })
}

#[cfg(test)]
mod tests;
