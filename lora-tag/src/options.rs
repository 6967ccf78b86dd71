//! The options that turn probabilities into a caption.

use crate::category::Category;
use crate::error::{Error, Result};
use crate::replacement::Replacements;

/// The program whose rules and defaults hold where SD-Trainer and sd-scripts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// SD-Trainer's tagger page: small images are padded, tags are sorted by probability,
    /// underscores become spaces, brackets are escaped.
    #[default]
    SdTrainer,
    /// sd-scripts' `tag_images_by_wd14_tagger.py`: small images are upscaled, tags keep the order
    /// of the tagger, and nothing is replaced or escaped.
    SdScripts,
}

impl Style {
    /// The names of the styles.
    pub const NAMES: [&str; 2] = ["sd-trainer", "sd-scripts"];

    /// The style of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sd-trainer" => Some(Self::SdTrainer),
            "sd-scripts" => Some(Self::SdScripts),
            _ => None,
        }
    }
}

/// Where a rating or quality tag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Before all other tags.
    First,
    /// After all other tags.
    Last,
    /// Among the other tags by its probability, or first if these are not sorted.
    ByProbability,
}

/// What becomes of underscores in tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Underscores {
    /// They stay.
    Keep,
    /// They become spaces (`replace_underscore`), but not in these tags
    /// (`replace_underscore_excludes`).
    ReplaceExcept(Vec<String>),
    /// They become spaces in tags of more than three characters (`remove_underscore`), which
    /// leaves most emoticons alone.
    ReplaceInLong,
}

/// The emoticons in which SD-Trainer keeps underscores.
pub const EMOTICONS: [&str; 19] = [
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o",
    "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||",
];

impl Underscores {
    /// [`ReplaceExcept`](Self::ReplaceExcept) with [`EMOTICONS`].
    #[must_use]
    pub fn replace() -> Self {
        Self::ReplaceExcept(EMOTICONS.map(Into::into).to_vec())
    }
}

/// The options that turn probabilities into a caption.
///
/// `None` means the default of the [`style`](Self::style).
#[derive(Debug, Clone, PartialEq)]
pub struct TagOptions {
    /// The program whose rules and defaults hold.
    pub style: Style,
    /// Reproduce the faults of that program: SD-Trainer ignores the categories of a WD tagger and
    /// writes every rating above the threshold; sd-scripts reverses the tags that it moves to the
    /// front; both ignore the Exif orientation and clip 16-bit images.
    pub compat: bool,
    /// The least probability of a tag, from 0 to 1.
    pub threshold: f32,
    /// Thresholds of single categories. In SD-Trainer's style that of characters is 0.6 by default.
    pub category_thresholds: Vec<(Category, f32)>,
    /// Categories that are not written.
    pub exclude_categories: Vec<Category>,
    /// Write the most probable rating (`add_rating_tag`, `use_rating_tags`).
    pub rating: Option<Position>,
    /// Write the most probable quality tag (`use_quality_tags`). In SD-Trainer's style it is
    /// written by default if its probability reaches the threshold.
    pub quality: Option<Position>,
    /// Write tags of the category `model` (`add_model_tag`); by default only in sd-scripts' style.
    pub model: Option<bool>,
    /// Write the characters before the other tags (`character_tags_first`).
    pub character_tags_first: bool,
    /// Tags that are moved to the front if present, in this order (`always_first_tags`).
    pub always_first_tags: Vec<String>,
    /// Tags that are added to every caption, with probability 1 (`additional_tags`).
    pub additional_tags: Vec<String>,
    /// Tags that are never written, as the tagger or as the caption spells them (`exclude_tags`,
    /// `undesired_tags`).
    pub exclude_tags: Vec<String>,
    /// Replaced tags (`tag_replacement`).
    pub replacements: Replacements,
    /// Write `name_(series)` of a character as `name` and `series` (`character_tag_expand`).
    pub character_tag_expand: bool,
    /// What becomes of underscores.
    pub underscores: Option<Underscores>,
    /// Put `\` before `\`, `(` and `)` (`escape_tag`), as prompts need it.
    pub escape_tag: Option<bool>,
    /// The text between tags (`caption_separator`).
    pub caption_separator: String,
}

impl Default for TagOptions {
    fn default() -> Self {
        Self::new(Style::default())
    }
}

impl TagOptions {
    /// The defaults of a style.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self {
            style,
            compat: false,
            threshold: 0.35,
            category_thresholds: Vec::new(),
            exclude_categories: Vec::new(),
            rating: None,
            quality: None,
            model: None,
            character_tags_first: false,
            always_first_tags: Vec::new(),
            additional_tags: Vec::new(),
            exclude_tags: Vec::new(),
            replacements: Replacements::default(),
            character_tag_expand: false,
            underscores: None,
            escape_tag: None,
            caption_separator: ", ".into(),
        }
    }

    /// The threshold of a category.
    #[must_use]
    pub fn threshold_of(&self, category: Category) -> f32 {
        let set = self.category_thresholds.iter().rev();
        match set.into_iter().find(|(set, _)| *set == category) {
            Some((_, threshold)) => *threshold,
            None if category == Category::Character && self.style == Style::SdTrainer => 0.6,
            None => self.threshold,
        }
    }

    /// The least threshold of all categories.
    #[must_use]
    pub fn least_threshold(&self) -> f32 {
        let all = Category::ALL.map(|category| self.threshold_of(category));
        all.into_iter().fold(self.threshold, f32::min)
    }

    /// What becomes of underscores in this style.
    #[must_use]
    pub fn underscores(&self) -> Underscores {
        match (&self.underscores, self.style) {
            (Some(underscores), _) => underscores.clone(),
            (None, Style::SdTrainer) => Underscores::replace(),
            (None, Style::SdScripts) => Underscores::Keep,
        }
    }

    /// True if brackets are escaped in this style.
    #[must_use]
    pub fn escapes(&self) -> bool {
        self.escape_tag.unwrap_or(self.style == Style::SdTrainer)
    }

    /// Checks values that no type excludes.
    ///
    /// # Errors
    /// [`Error::Option`] for a threshold outside of 0 to 1, an empty separator, and replacements
    /// with `compat` in sd-scripts' style.
    pub fn check(&self) -> Result<()> {
        let thresholds = self.category_thresholds.iter();
        let named = thresholds.map(|(category, threshold)| (option_of(*category), *threshold));
        for (option, threshold) in [("threshold", self.threshold)].into_iter().chain(named) {
            if !(0.0..=1.0).contains(&threshold) {
                return Err(Error::Option {
                    option,
                    found: threshold.to_string(),
                    expected: "a number from 0 to 1 (to leave out a category, use \
                               `exclude-category`)"
                        .into(),
                });
            }
        }
        if self.caption_separator.trim().is_empty() {
            return Err(Error::Option {
                option: "caption-separator",
                found: format!("`{}`", self.caption_separator),
                expected: "a character such as a comma, with or without spaces".into(),
            });
        }
        if self.compat && self.style == Style::SdScripts && !self.replacements.is_empty() {
            return Err(Error::Option {
                option: "tag-replacement",
                found: "a replacement with `--compat sd-scripts`, whose own replacement does \
                        nothing or breaks every tag"
                    .into(),
                expected: "`--style sd-scripts`, in which it works".into(),
            });
        }
        Ok(())
    }
}

/// The option that sets the threshold of a category.
fn option_of(category: Category) -> &'static str {
    match category {
        Category::Rating => "rating-threshold",
        Category::Quality => "quality-threshold",
        Category::General => "general-threshold",
        Category::Character => "character-threshold",
        Category::Copyright => "copyright-threshold",
        Category::Artist => "artist-threshold",
        Category::Meta => "meta-threshold",
        Category::Model => "model-threshold",
    }
}
