//! Files that describe data sets: sd-scripts' `dataset_config`, in TOML or JSON.
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
//! A value is looked up in the subset, then in its data set, then in `[general]`, then in the
//! defaults that the caller gives (the command line). Paths are relative to the working directory.
//!
//! | keys | where | value |
//! |---|---|---|
//! | `resolution` | data set | pixels, `[width, height]` or `"width,height"` |
//! | `batch_size`, `min_bucket_reso`, `max_bucket_reso`, `bucket_reso_steps` | data set | integer from 1 |
//! | `enable_bucket`, `bucket_no_upscale` | data set | true or false |
//! | `network_multiplier` | data set | number |
//! | `validation_split`, `validation_seed` | data set | a number from 0 to below 1, an integer of at least 0 |
//! | `image_dir` ᵃ, `metadata_file` ᵐ, `conditioning_data_dir` ᶜ | subset alone | path |
//! | `is_reg` ᶠ, `alpha_mask` ᶠᵐ | subset alone | true or false |
//! | `class_tokens` ᶠ | subset | text |
//! | `caption_extension` ᶠᶜ | subset | text that is not empty |
//! | `cache_info` ᶠᶜ, `recursive` ᶠᶜ | subset | true or false |
//! | `num_repeats` | subset | integer from 1 |
//! | `keep_tokens`, `token_warmup_min`, `caption_dropout_every_n_epochs` | subset | integer from 0 |
//! | `shuffle_caption`, `enable_wildcard`, `color_aug`, `flip_aug`, `random_crop` | subset | true or false |
//! | `caption_separator` | subset | text that is not empty |
//! | `keep_tokens_separator`, `secondary_separator`, `caption_prefix`, `caption_suffix` | subset | text |
//! | `caption_dropout_rate`, `caption_tag_dropout_rate` | subset | number from 0 to 1 |
//! | `token_warmup_step` | subset | number from 0 |
//! | `face_crop_aug_range` | subset | `[least, greatest]`, in multiples of the face |
//! | `resize_interpolation` | subset | a filter's name |
//! | `custom_attributes` | subset | table of `diff_output_preservation` (true or false) |
//! | `alpha_background` | subset | `"#rrggbb"`, `[r, g, b]`, or `""` |
//!
//! Keys of data sets stand in `[general]` and `[[datasets]]`, those of subsets in
//! `[[datasets.subsets]]` as well. All subsets of a data set are of one kind: ᶠ folders, ᶜ folders
//! with `conditioning_data_dir`, or ᵐ lists of images ([`metadata_file`](crate::metadata_file)).
//! A key that is marked has an effect on these kinds alone; elsewhere it is an error unless it is
//! false, 0 or empty. ᵃ `image_dir` must be given but beside `metadata_file`.
//!
//! `recursive` (the images in the folder's folders, too) and `alpha_background` (what transparent
//! pixels show) are not sd-scripts'. Of the `custom_attributes`, sd-scripts itself reads
//! `diff_output_preservation` only.

use std::io::Read;
use std::path::Path;

use crate::config::DatasetConfig;
use crate::error::{Error, Result};

mod keys;
mod problem;
mod reader;

pub(crate) use self::problem::list;
pub use self::problem::{Problem, ProblemKind};
use self::reader::Reader;
use crate::tree::{self, Node, SyntaxError};

/// What a file of data sets says.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfigFile {
    /// The data sets, at least one, each with at least one subset.
    pub datasets: Vec<DatasetConfig>,
    /// Whether the sizes of images are kept between runs: true where one subset says so, `None`
    /// where none says anything.
    pub cache_info: Option<bool>,
}

/// The language of a file of data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.json`
    Json,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        if extension.eq_ignore_ascii_case("toml") {
            Some(Self::Toml)
        } else if extension.eq_ignore_ascii_case("json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    fn parse(self, text: &str) -> Result<Node, Vec<Problem>> {
        let problem = |format, SyntaxError { line, message }| Problem {
            line,
            place: String::new(),
            kind: ProblemKind::Syntax {
                format,
                reason: message,
            },
        };
        match self {
            Self::Toml => {
                let problems = |errors: Vec<_>| {
                    errors
                        .into_iter()
                        .map(|error| problem("TOML", error))
                        .collect()
                };
                tree::parse_toml(text).map_err(problems)
            }
            Self::Json => tree::parse_json(text).map_err(|error| vec![problem("JSON", error)]),
        }
    }
}

/// Reads a file of data sets. Its extension tells the format; under another one than `.toml` and
/// `.json` both are tried.
///
/// What the file does not say is taken from `defaults`, and of subsets from the first one there,
/// except its paths. A resolution of 0x0 there means that none is given: then the file has to give
/// one.
///
/// # Errors
/// [`Error::Io`] for an unreadable file, and [`Error::DatasetConfig`] with all that is wrong in it.
pub fn read(path: impl AsRef<Path>, defaults: &DatasetConfig) -> Result<DatasetConfigFile> {
    let path = path.as_ref();
    let bytes = read_bytes(path).map_err(|error| Error::io(path, error))?;
    let tree = text(bytes).and_then(|text| match Format::of(path) {
        Some(format) => format.parse(&text),
        None => parse_either(&text),
    });
    tree.and_then(|tree| Reader::default().file(&tree, defaults))
        .map_err(|problems| Error::DatasetConfig {
            file: Some(path.into()),
            problems,
        })
}

/// Reads the text of a file of data sets; see [`read`].
///
/// # Errors
/// [`Error::DatasetConfig`] with all that is wrong in it.
pub fn parse(text: &str, format: Format, defaults: &DatasetConfig) -> Result<DatasetConfigFile> {
    let tree = format.parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    tree.and_then(|tree| Reader::default().file(&tree, defaults))
        .map_err(|problems| Error::DatasetConfig {
            file: None,
            problems,
        })
}

/// Far above any description of data sets: a checkpoint given by mistake is not to fill the memory.
const MAX_BYTES: u64 = 16 << 20;

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let expected = "expected a description of data sets in TOML or JSON, at most 16 MiB";
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            expected,
        ));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Vec<Problem>> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let reason = format!("byte {offset}; save the file as UTF-8");
        let kind = ProblemKind::Syntax {
            format: "UTF-8",
            reason,
        };
        vec![Problem {
            line: Some(line),
            place: String::new(),
            kind,
        }]
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// TOML, or else JSON. Of the two errors, that of the probable format counts.
fn parse_either(text: &str) -> Result<Node, Vec<Problem>> {
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
