//! The table of keys: where each belongs, the kinds of data sets that use it, and what it sets.

use std::path::PathBuf;

use crate::bucket::Size;
use crate::config::{Alpha, DatasetConfig, Source, Subset};
use crate::resize::Interpolation;
use crate::tree::{Node, Value};

use Style::{Conditioning, Folder, Metadata};

/// The tables that a key may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// `[general]` and `[[datasets]]`: it is about whole data sets.
    Dataset,
    /// All tables: those above give it to the subsets below.
    Subset,
    /// `[[datasets.subsets]]` alone.
    SubsetOnly,
}

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Root,
    General,
    Dataset,
    Subset,
}

impl Scope {
    pub(super) fn allows(self, level: Level) -> bool {
        match self {
            Self::Dataset => matches!(level, Level::General | Level::Dataset),
            Self::Subset => level != Level::Root,
            Self::SubsetOnly => level == Level::Subset,
        }
    }

    /// The tables, for a message.
    pub(super) fn tables(self) -> &'static str {
        match self {
            Self::Dataset => "`[[datasets]]` or `[general]`",
            Self::Subset => "`[[datasets.subsets]]`, `[[datasets]]` or `[general]`",
            Self::SubsetOnly => "`[[datasets.subsets]]`",
        }
    }
}

/// What the subsets of a data set are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Images and captions in folders ("DreamBooth").
    Folder,
    /// Folders with a second image for each image ("ControlNet").
    Conditioning,
    /// Lists of images ("fine tuning").
    Metadata,
}

impl Style {
    /// The key that makes a data set one of this style.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Folder => "image_dir",
            Self::Conditioning => "conditioning_data_dir",
            Self::Metadata => "metadata_file",
        }
    }
}

const ALL: &[Style] = &[Folder, Conditioning, Metadata];

/// A data set and a subset of it while the tables that they follow from are read.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Without its subsets.
    pub(super) dataset: DatasetConfig,
    /// Without its source.
    pub(super) subset: Subset,
    pub(super) image_dir: Option<PathBuf>,
    pub(super) metadata_file: Option<PathBuf>,
    pub(super) recursive: bool,
    pub(super) cache_info: Option<bool>,
}

impl Draft {
    pub(super) fn new(defaults: &DatasetConfig) -> Self {
        let mut subset = defaults
            .subsets
            .first()
            .cloned()
            .unwrap_or_else(|| Subset::new(""));
        subset.conditioning_data_dir = None;
        Self {
            dataset: DatasetConfig {
                subsets: Vec::new(),
                ..defaults.clone()
            },
            recursive: matches!(
                subset.source,
                Source::Folder {
                    recursive: true,
                    ..
                }
            ),
            subset,
            image_dir: None,
            metadata_file: None,
            cache_info: None,
        }
    }

    /// The subset. What is of no use to its style is off, where tables above it or the defaults
    /// gave it.
    pub(super) fn into_subset(self, style: Style) -> Subset {
        let Self {
            mut subset,
            image_dir,
            metadata_file,
            recursive,
            ..
        } = self;
        subset.source = match style {
            Metadata => Source::Metadata {
                file: metadata_file.unwrap_or_default(),
                image_dir,
            },
            Folder | Conditioning => Source::Folder {
                dir: image_dir.unwrap_or_default(),
                recursive,
            },
        };
        if style != Folder {
            subset.class_tokens = None;
            subset.is_reg = false;
        }
        if style == Conditioning && subset.alpha == Alpha::Mask {
            subset.alpha = Alpha::Drop;
        }
        subset
    }
}

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
    /// The data sets that have a use for it.
    pub(super) styles: &'static [Style],
    /// Takes the value, or says which were expected.
    pub(super) set: fn(&mut Draft, &Value) -> Result<(), String>,
}

/// The key of this name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What the command line and other programs call some keys.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("train_batch_size", "batch_size"),
    ("dataset_repeats", "num_repeats"),
    ("repeats", "num_repeats"),
    ("train_data_dir", "image_dir"),
    ("in_json", "metadata_file"),
];

/// The key or table that is probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // A long name is no slip of the pen, and comparing it costs much.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    if let Some((_, meant)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return Some(meant);
    }
    let known = KEYS
        .iter()
        .map(|key| key.name)
        .chain(["general", "datasets", "subsets"]);
    known
        .map(|known| (known, strsim::normalized_damerau_levenshtein(known, name)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .and_then(|(known, similarity)| (similarity >= 0.6).then_some(known))
}

/// All keys.
pub(super) const KEYS: &[Key] = &[
    dataset("resolution", |d, v| {
        put(&mut d.dataset.buckets.resolution, resolution(v))
    }),
    dataset("batch_size", |d, v| {
        put(&mut d.dataset.batch_size, count(v, 1))
    }),
    dataset("enable_bucket", |d, v| {
        put(&mut d.dataset.enable_bucket, flag(v))
    }),
    dataset("min_bucket_reso", |d, v| {
        put(&mut d.dataset.buckets.min_bucket_reso, integer(v, 1))
    }),
    dataset("max_bucket_reso", |d, v| {
        put(&mut d.dataset.buckets.max_bucket_reso, integer(v, 1))
    }),
    dataset("bucket_reso_steps", |d, v| {
        put(&mut d.dataset.buckets.bucket_reso_steps, integer(v, 1))
    }),
    dataset("bucket_no_upscale", |d, v| {
        put(&mut d.dataset.buckets.bucket_no_upscale, flag(v))
    }),
    dataset("network_multiplier", |d, v| {
        put(&mut d.dataset.network_multiplier, number(v))
    }),
    dataset("validation_split", |d, v| {
        put(&mut d.dataset.validation_split, share(v))
    }),
    dataset("validation_seed", |d, v| {
        put(&mut d.dataset.validation_seed, integer(v, 0).map(u64::from))
    }),
    subset_only("image_dir", ALL, |d, v| {
        put(&mut d.image_dir, path(v).map(given))
    }),
    subset_only("metadata_file", &[Metadata], |d, v| {
        put(&mut d.metadata_file, path(v).map(given))
    }),
    subset_only("conditioning_data_dir", &[Conditioning], |d, v| {
        put(&mut d.subset.conditioning_data_dir, path(v).map(given))
    }),
    subset_only("is_reg", &[Folder], |d, v| {
        put(&mut d.subset.is_reg, flag(v))
    }),
    subset("class_tokens", &[Folder], |d, v| {
        put(&mut d.subset.class_tokens, text(v).map(given))
    }),
    subset("caption_extension", &[Folder, Conditioning], |d, v| {
        let expected = "an ending such as \".txt\"";
        put(&mut d.subset.caption_extension, some_text(v, expected))
    }),
    subset("cache_info", &[Folder, Conditioning], |d, v| {
        put(&mut d.cache_info, flag(v).map(Some))
    }),
    subset("recursive", &[Folder, Conditioning], |d, v| {
        put(&mut d.recursive, flag(v))
    }),
    subset("num_repeats", ALL, |d, v| {
        put(&mut d.subset.num_repeats, count(v, 1))
    }),
    subset("shuffle_caption", ALL, |d, v| {
        put(&mut d.subset.captions.shuffle_caption, flag(v))
    }),
    subset("caption_separator", ALL, |d, v| {
        put(
            &mut d.subset.captions.caption_separator,
            some_text(v, "text that stands between tags, such as \",\""),
        )
    }),
    subset("keep_tokens", ALL, |d, v| {
        put(&mut d.subset.captions.keep_tokens, count(v, 0))
    }),
    subset("keep_tokens_separator", ALL, |d, v| {
        put(&mut d.subset.captions.keep_tokens_separator, text(v))
    }),
    subset("secondary_separator", ALL, |d, v| {
        put(&mut d.subset.captions.secondary_separator, text(v))
    }),
    subset("enable_wildcard", ALL, |d, v| {
        put(&mut d.subset.captions.enable_wildcard, flag(v))
    }),
    subset("caption_prefix", ALL, |d, v| {
        put(&mut d.subset.captions.caption_prefix, text(v))
    }),
    subset("caption_suffix", ALL, |d, v| {
        put(&mut d.subset.captions.caption_suffix, text(v))
    }),
    subset("caption_dropout_rate", ALL, |d, v| {
        put(&mut d.subset.captions.caption_dropout_rate, rate(v))
    }),
    subset("caption_tag_dropout_rate", ALL, |d, v| {
        put(&mut d.subset.captions.caption_tag_dropout_rate, rate(v))
    }),
    subset("caption_dropout_every_n_epochs", ALL, |d, v| {
        put(
            &mut d.subset.captions.caption_dropout_every_n_epochs,
            integer(v, 0),
        )
    }),
    subset("token_warmup_min", ALL, |d, v| {
        put(&mut d.subset.captions.token_warmup_min, count(v, 0))
    }),
    subset("token_warmup_step", ALL, |d, v| {
        put(&mut d.subset.captions.token_warmup_step, positive(v))
    }),
    subset("color_aug", ALL, |d, v| {
        put(&mut d.subset.augmentation.color_aug, flag(v))
    }),
    subset("flip_aug", ALL, |d, v| {
        put(&mut d.subset.augmentation.flip_aug, flag(v))
    }),
    subset("random_crop", ALL, |d, v| {
        put(&mut d.subset.augmentation.random_crop, flag(v))
    }),
    subset("face_crop_aug_range", ALL, |d, v| {
        put(
            &mut d.subset.augmentation.face_crop_aug_range,
            face_crop_range(v).map(Some),
        )
    }),
    subset("resize_interpolation", ALL, |d, v| {
        put(&mut d.subset.resize_interpolation, interpolation(v))
    }),
    subset("custom_attributes", ALL, |d, v| {
        put(
            &mut d.subset.preserve_base_output,
            diff_output_preservation(v),
        )
    }),
    subset("alpha_background", ALL, |d, v| {
        let off = if d.subset.alpha == Alpha::Mask {
            Alpha::Mask
        } else {
            Alpha::Drop
        };
        put(
            &mut d.subset.alpha,
            color(v).map(|color| color.map_or(off, Alpha::Background)),
        )
    }),
    subset_only("alpha_mask", &[Folder, Metadata], |d, v| {
        let off = if d.subset.alpha == Alpha::Mask {
            Alpha::Drop
        } else {
            d.subset.alpha
        };
        put(
            &mut d.subset.alpha,
            flag(v).map(|mask| if mask { Alpha::Mask } else { off }),
        )
    }),
];

type Set = fn(&mut Draft, &Value) -> Result<(), String>;

const fn dataset(name: &'static str, set: Set) -> Key {
    Key {
        name,
        scope: Scope::Dataset,
        styles: ALL,
        set,
    }
}

const fn subset(name: &'static str, styles: &'static [Style], set: Set) -> Key {
    Key {
        name,
        scope: Scope::Subset,
        styles,
        set,
    }
}

const fn subset_only(name: &'static str, styles: &'static [Style], set: Set) -> Key {
    Key {
        name,
        scope: Scope::SubsetOnly,
        styles,
        set,
    }
}

fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

fn flag(value: &Value) -> Result<bool, String> {
    if let Value::Flag(flag) = value {
        Ok(*flag)
    } else {
        Err("true or false".into())
    }
}

fn integer(value: &Value, min: u32) -> Result<u32, String> {
    unsigned(value)
        .filter(|number| *number >= min)
        .ok_or_else(|| format!("an integer from {min} to {}", u32::MAX))
}

fn unsigned(value: &Value) -> Option<u32> {
    if let Value::Integer(number) = value {
        u32::try_from(*number).ok()
    } else {
        None
    }
}

fn count(value: &Value, min: u32) -> Result<usize, String> {
    integer(value, min).map(|number| number as usize)
}

/// A finite number, which may be written as an integer.
fn finite(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    }
}

fn number(value: &Value) -> Result<f64, String> {
    finite(value).ok_or_else(|| "a number".into())
}

fn positive(value: &Value) -> Result<f64, String> {
    finite(value)
        .filter(|number| *number >= 0.0)
        .ok_or_else(|| "a number of at least 0".into())
}

fn rate(value: &Value) -> Result<f64, String> {
    finite(value)
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "a number from 0 to 1".into())
}

fn text(value: &Value) -> Result<String, String> {
    value.as_text().map(Into::into).ok_or_else(|| "text".into())
}

fn some_text(value: &Value, expected: &str) -> Result<String, String> {
    value
        .as_text()
        .filter(|text| !text.is_empty())
        .map(Into::into)
        .ok_or_else(|| expected.into())
}

fn path(value: &Value) -> Result<PathBuf, String> {
    value
        .as_text()
        .map(Into::into)
        .ok_or_else(|| "a path".into())
}

/// Nothing for an empty text or path.
fn given<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// `512`, `[512, 768]`, or the command line's `"512,768"`.
fn resolution(value: &Value) -> Result<Size, String> {
    let sides: Option<Vec<u32>> = match value {
        Value::Integer(_) => unsigned(value).map(|side| vec![side]),
        Value::Text(text) => text
            .split(',')
            .map(|side| side.trim().parse().ok())
            .collect(),
        Value::List(items) if items.len() == 2 => {
            items.iter().map(|item| unsigned(&item.value)).collect()
        }
        _ => None,
    };
    match sides.as_deref() {
        Some(&[side]) if side > 0 => Ok(Size::new(side, side)),
        Some(&[width, height]) if width > 0 && height > 0 => Ok(Size::new(width, height)),
        _ => Err("pixels, such as 512, or width and height, such as [512, 768]".into()),
    }
}

/// The crop's side in multiples of the face's.
fn face_crop_range(value: &Value) -> Result<[f64; 2], String> {
    let ends: Option<Vec<f64>> = value
        .as_list()
        .and_then(|items| items.iter().map(|item| finite(&item.value)).collect());
    match ends.as_deref() {
        Some(&[least, greatest]) if 0.0 < least && least <= greatest => Ok([least, greatest]),
        _ => Err("two numbers above 0, the smaller first, such as [2.0, 4.0]".into()),
    }
}

fn share(value: &Value) -> Result<f64, String> {
    rate(value)
        .ok()
        .filter(|share| *share < 1.0)
        .ok_or_else(|| "a number from 0 to below 1".into())
}

fn interpolation(value: &Value) -> Result<Option<Interpolation>, String> {
    match value.as_text() {
        Some("") => Ok(None),
        name => match name.unwrap_or_default().parse() {
            Ok(interpolation) => Ok(Some(interpolation)),
            Err(_) => Err(format!(
                "one of {}",
                Interpolation::names()
                    .map(|name| format!("\"{name}\""))
                    .join(", ")
            )),
        },
    }
}

/// The one attribute that sd-scripts itself reads.
fn diff_output_preservation(value: &Value) -> Result<bool, String> {
    const NAME: &str = "diff_output_preservation";
    match value.as_table().map(Vec::as_slice) {
        Some([]) => Ok(false),
        Some(
            [
                (
                    name,
                    Node {
                        value: Value::Flag(flag),
                        ..
                    },
                ),
            ],
        ) if name == NAME => Ok(*flag),
        _ => Err(format!(
            "a table of `{NAME}` (true or false) alone: no other attribute has an effect"
        )),
    }
}

/// `"#ff8000"` or `[255, 128, 0]`; nothing for an empty text.
fn color(value: &Value) -> Result<Option<[u8; 3]>, String> {
    let byte = |item: &Node| unsigned(&item.value).and_then(|number| u8::try_from(number).ok());
    let color = match value {
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => text
            .strip_prefix('#')
            .filter(|digits| {
                digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(|color| [(color >> 16) as u8, (color >> 8) as u8, color as u8]),
        Value::List(items) => {
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            bytes.and_then(|bytes| bytes.try_into().ok())
        }
        _ => None,
    };
    color
        .map(Some)
        .ok_or_else(|| "a colour, such as \"#ff8000\" or [255, 128, 0]".into())
}
