//! The options for captions.

use super::wildcard;
use crate::error::{Error, Result};

/// The options for shuffling, dropout and wildcards of captions. The names are sd-scripts'; [the
/// module](super) has an example of each.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionOptions {
    /// Shuffle the tags after the kept ones on every use.
    pub shuffle_caption: bool,
    /// The separator of tags. Shuffled tags are always joined with `", "`.
    pub caption_separator: String,
    /// The number of tags at the start that keep their place, in captions without
    /// `keep_tokens_separator`.
    pub keep_tokens: usize,
    /// The text in a caption after which shuffling starts. A second occurrence ends it. Empty:
    /// none.
    pub keep_tokens_separator: String,
    /// The separator of tags that stay together; finally replaced by `caption_separator`. Empty:
    /// none.
    pub secondary_separator: String,
    /// Choose one alternative of each `{a|b}`, and one line of a caption with several, on every
    /// use. `{{` and `}}` are the characters `{` and `}`.
    pub enable_wildcard: bool,
    /// Text before each caption, followed by a space. Empty: none.
    pub caption_prefix: String,
    /// Text after each caption, preceded by a space. Empty: none.
    pub caption_suffix: String,
    /// The probability of an empty caption, from 0 to 1.
    pub caption_dropout_rate: f64,
    /// All captions are empty in every n-th epoch. 0: off.
    pub caption_dropout_every_n_epochs: u32,
    /// The probability, from 0 to 1, of dropping each tag after the kept ones.
    pub caption_tag_dropout_rate: f64,
    /// The number of tags after the kept ones at the first step of the warmup.
    pub token_warmup_min: usize,
    /// The first step with all tags; below 1, a fraction of the run. 0: no warmup.
    pub token_warmup_step: f64,
    /// Reproduce two flaws of sd-scripts: `keep_tokens_separator` stays in the text unless an
    /// option moves tags, and of a caption with several lines only the first has the prefix and
    /// only the last the suffix.
    pub as_sd_scripts: bool,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self {
            shuffle_caption: false,
            caption_separator: ",".into(),
            keep_tokens: 0,
            keep_tokens_separator: String::new(),
            secondary_separator: String::new(),
            enable_wildcard: false,
            caption_prefix: String::new(),
            caption_suffix: String::new(),
            caption_dropout_rate: 0.0,
            caption_dropout_every_n_epochs: 0,
            caption_tag_dropout_rate: 0.0,
            token_warmup_min: 1,
            token_warmup_step: 0.0,
            as_sd_scripts: false,
        }
    }
}

impl CaptionOptions {
    /// Checks that the options can be used together.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a rate outside 0 to 1, for a warmup that is negative or not
    /// finite, and for an empty `caption_separator` if captions are split into tags.
    pub fn validate(&self) -> Result<()> {
        for (option, rate) in [
            ("caption_dropout_rate", self.caption_dropout_rate),
            ("caption_tag_dropout_rate", self.caption_tag_dropout_rate),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(invalid(option, &rate, "a rate from 0 to 1"));
            }
        }
        if !(0.0..f64::INFINITY).contains(&self.token_warmup_step) {
            let expected =
                "a number of steps, or a fraction of the run between 0 and 1; 0 for no warmup";
            return Err(invalid(
                "token_warmup_step",
                &self.token_warmup_step,
                expected,
            ));
        }
        if self.caption_separator.is_empty() && (self.moves_tags() || self.splits_at_separator()) {
            return Err(invalid(
                "caption_separator",
                &"\"\"",
                "the separator of tags, such as `,`",
            ));
        }
        Ok(())
    }

    /// True if [`process`](Self::process) returns the same text for a caption on every use, so that
    /// it can be encoded once.
    ///
    /// False as soon as an option is on, even if its effect is constant, such as a dropout rate of
    /// 1.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        !self.enable_wildcard && self.is_fixed_without_wildcards()
    }

    /// True if [`process`](Self::process) returns the same text for this caption on every use.
    /// Unlike [`is_fixed`](Self::is_fixed), `enable_wildcard` matters only if the caption has a
    /// choice.
    #[must_use]
    pub fn is_fixed_for(&self, caption: &str) -> bool {
        if !self.enable_wildcard || !self.is_fixed_without_wildcards() {
            return self.is_fixed_without_wildcards();
        }
        let text = self.affixed(caption);
        !text.contains('\n') && !wildcard::has_choice(&text)
    }

    fn is_fixed_without_wildcards(&self) -> bool {
        !self.moves_tags()
            && self.caption_dropout_rate <= 0.0
            && self.caption_dropout_every_n_epochs == 0
    }

    /// True if an option moves or drops tags.
    fn moves_tags(&self) -> bool {
        self.shuffle_caption || self.token_warmup_step > 0.0 || self.caption_tag_dropout_rate > 0.0
    }

    /// True if captions with `keep_tokens_separator` are split into tags even if no option moves
    /// tags.
    pub(super) fn splits_at_separator(&self) -> bool {
        !self.as_sd_scripts && !self.keep_tokens_separator.is_empty()
    }
}

fn invalid(option: &'static str, found: &impl ToString, expected: &str) -> Error {
    Error::InvalidOption {
        option,
        found: found.to_string(),
        expected: expected.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_values_are_named() {
        let default = CaptionOptions::default;
        assert!(default().validate().is_ok());
        for (options, message) in [
            (
                CaptionOptions {
                    caption_dropout_rate: 1.5,
                    ..default()
                },
                "`caption_dropout_rate = 1.5`: expected a rate from 0 to 1",
            ),
            (
                CaptionOptions {
                    caption_dropout_rate: f64::NAN,
                    ..default()
                },
                "`caption_dropout_rate = NaN`: expected a rate from 0 to 1",
            ),
            (
                CaptionOptions {
                    caption_tag_dropout_rate: -0.1,
                    ..default()
                },
                "`caption_tag_dropout_rate = -0.1`: expected a rate from 0 to 1",
            ),
            (
                CaptionOptions {
                    token_warmup_step: -1.0,
                    ..default()
                },
                "`token_warmup_step = -1`: expected a number of steps, or a fraction of the run \
                 between 0 and 1; 0 for no warmup",
            ),
            (
                CaptionOptions {
                    caption_separator: String::new(),
                    shuffle_caption: true,
                    ..default()
                },
                "`caption_separator = \"\"`: expected the separator of tags, such as `,`",
            ),
        ] {
            assert_eq!(options.validate().unwrap_err().to_string(), message);
        }
        for token_warmup_step in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(
                CaptionOptions {
                    token_warmup_step,
                    ..default()
                }
                .validate()
                .is_err()
            );
        }
    }

    #[test]
    fn a_separator_is_required_if_captions_are_split() {
        let options = CaptionOptions {
            caption_separator: String::new(),
            ..CaptionOptions::default()
        };
        assert!(options.validate().is_ok());
        let kept = CaptionOptions {
            keep_tokens_separator: "|||".into(),
            ..options.clone()
        };
        assert!(kept.validate().is_err());
        assert!(
            CaptionOptions {
                as_sd_scripts: true,
                ..kept
            }
            .validate()
            .is_ok()
        );
        assert!(
            CaptionOptions {
                token_warmup_step: 0.5,
                ..options.clone()
            }
            .validate()
            .is_err()
        );
        assert!(
            CaptionOptions {
                caption_tag_dropout_rate: 1.0,
                ..options
            }
            .validate()
            .is_err()
        );
    }

    #[test]
    fn options_that_change_captions() {
        let default = CaptionOptions::default;
        let fixed = CaptionOptions {
            caption_prefix: "a".into(),
            caption_suffix: "b".into(),
            keep_tokens: 2,
            keep_tokens_separator: "|||".into(),
            secondary_separator: ";".into(),
            token_warmup_min: 3,
            ..default()
        };
        assert!(fixed.is_fixed() && fixed.is_fixed_for("a, {b|c}\nd"));
        for options in [
            CaptionOptions {
                shuffle_caption: true,
                ..default()
            },
            CaptionOptions {
                caption_dropout_rate: 0.1,
                ..default()
            },
            CaptionOptions {
                caption_dropout_every_n_epochs: 2,
                ..default()
            },
            CaptionOptions {
                caption_tag_dropout_rate: 0.1,
                ..default()
            },
            CaptionOptions {
                token_warmup_step: 0.1,
                ..default()
            },
        ] {
            assert!(
                !options.is_fixed() && !options.is_fixed_for("a, b"),
                "{options:?}"
            );
        }
        let wildcard = CaptionOptions {
            enable_wildcard: true,
            ..default()
        };
        assert!(!wildcard.is_fixed());
        for (caption, is_fixed) in [
            ("a cat", true),
            ("{{a|b}}", true),
            ("{a}", true),
            ("{a|b}", false),
            ("a\nb", false),
        ] {
            assert_eq!(wildcard.is_fixed_for(caption), is_fixed, "{caption}");
        }
        assert!(
            !CaptionOptions {
                caption_prefix: "{a|b}".into(),
                ..wildcard
            }
            .is_fixed_for("a cat")
        );
    }
}
