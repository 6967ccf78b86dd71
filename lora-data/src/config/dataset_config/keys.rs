//! The table of keys: where each belongs, the kinds of datasets that use it, and what it sets.

use super::draft::Draft;
use super::draft::Style::{self, Conditioning, Folder, Metadata};
use super::values::{
    color, diff_output_preservation, face_crop_range, flag, fraction, integer, integer_usize,
    interpolation, non_empty, number, path, positive, rate, resolution, some_text, text,
};
use crate::config::tree::Value;
use crate::image::options::Alpha;

/// The tables that may contain a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// `[general]` and `[[datasets]]`: the key applies to whole datasets.
    Dataset,
    /// All tables: subsets inherit the value of outer tables.
    Subset,
    /// `[[datasets.subsets]]` only.
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

const ALL: &[Style] = &[Folder, Conditioning, Metadata];

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
    /// The styles of datasets on which it has an effect.
    pub(super) styles: &'static [Style],
    /// Sets the value, or returns the values that are allowed.
    pub(super) set: Set,
}

/// The key of this name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Names of some keys on the command line and in other programs.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("train_batch_size", "batch_size"),
    ("dataset_repeats", "num_repeats"),
    ("repeats", "num_repeats"),
    ("train_data_dir", "image_dir"),
    ("in_json", "metadata_file"),
];

/// The key or table with the most similar name.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // A long name is not a typo, and comparing it is expensive.
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
        put(&mut d.dataset.batch_size, integer_usize(v, 1))
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
        put(&mut d.dataset.validation_split, fraction(v))
    }),
    dataset("validation_seed", |d, v| {
        put(&mut d.dataset.validation_seed, integer(v, 0).map(u64::from))
    }),
    subset_only("image_dir", ALL, |d, v| {
        put(&mut d.image_dir, path(v).map(non_empty))
    }),
    subset_only("metadata_file", &[Metadata], |d, v| {
        put(&mut d.metadata_file, path(v).map(non_empty))
    }),
    subset_only("conditioning_data_dir", &[Conditioning], |d, v| {
        put(&mut d.subset.conditioning_data_dir, path(v).map(non_empty))
    }),
    subset_only("is_reg", &[Folder], |d, v| {
        put(&mut d.subset.is_reg, flag(v))
    }),
    subset("class_tokens", &[Folder], |d, v| {
        put(&mut d.subset.class_tokens, text(v).map(non_empty))
    }),
    subset("caption_extension", &[Folder, Conditioning], |d, v| {
        let expected = "an extension such as \".txt\"";
        put(&mut d.subset.caption_extension, some_text(v, expected))
    }),
    subset("cache_info", &[Folder, Conditioning], |d, v| {
        put(&mut d.cache_info, flag(v).map(Some))
    }),
    subset("recursive", &[Folder, Conditioning], |d, v| {
        put(&mut d.recursive, flag(v))
    }),
    subset("num_repeats", ALL, |d, v| {
        put(&mut d.subset.num_repeats, integer_usize(v, 1))
    }),
    subset("shuffle_caption", ALL, |d, v| {
        put(&mut d.subset.captions.shuffle_caption, flag(v))
    }),
    subset("caption_separator", ALL, |d, v| {
        put(
            &mut d.subset.captions.caption_separator,
            some_text(v, "text between tags, such as \",\""),
        )
    }),
    subset("keep_tokens", ALL, |d, v| {
        put(&mut d.subset.captions.keep_tokens, integer_usize(v, 0))
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
        put(&mut d.subset.captions.token_warmup_min, integer_usize(v, 0))
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

/// Sets the value of a key in a draft, or returns the values that are allowed.
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
