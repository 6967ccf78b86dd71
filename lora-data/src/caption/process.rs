//! The text of a caption for one use.

use rand_core::Rng;

use super::{CaptionOptions, wildcard};
use crate::random::{below, shuffle, unit};

/// The point of the run at which a caption is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptionContext {
    /// The epoch; the first one is 1.
    pub epoch: u64,
    /// The optimizer step, counted over all epochs; the first one is 0.
    pub step: u64,
    /// The number of optimizer steps of the whole run.
    pub total_steps: u64,
}

impl CaptionOptions {
    /// The text of `caption` for one use.
    ///
    /// The steps are those of `process_caption` in sd-scripts, in this order, with the number of
    /// random draws in brackets:
    ///
    /// 1. With probability `caption_dropout_rate` (one draw if it is above 0) and in every n-th
    ///    epoch, the caption is empty, and the other steps are skipped.
    /// 2. With `enable_wildcard` one line is chosen (one draw if there are several), otherwise the
    ///    first line is used. Prefix and suffix are added, separated by a space. One alternative of
    ///    each `{a|b}` is chosen (one draw each).
    /// 3. With `shuffle_caption`, a token warmup, or `caption_tag_dropout_rate` above 0, the text
    ///    is split into tags. The first `keep_tokens` tags, or those before
    ///    `keep_tokens_separator`, keep their place, as do those after a second separator. Of the
    ///    others, the warmup keeps the first few; these are shuffled (one draw for each but one);
    ///    then each is dropped with the probability of tag dropout (one draw each). Tags are joined
    ///    with `", "`, whatever separated them before.
    /// 4. `secondary_separator` is replaced by `caption_separator`.
    ///
    /// There are two differences from sd-scripts, unless [`as_sd_scripts`](Self::as_sd_scripts) is
    /// set: prefix and suffix are added to any chosen line, and a `keep_tokens_separator` in the
    /// caption splits it even if no option moves tags.
    ///
    /// Tags are the text between separators, so the parentheses of a weight over several tags, as
    /// in `(long hair, smile:1.2)`, are torn apart. Weight each tag separately, or join the tags
    /// with `secondary_separator`.
    ///
    /// Options that [`validate`](Self::validate) refuses give meaningless text, but no panic.
    pub fn process(
        &self,
        caption: &str,
        context: &CaptionContext,
        generator: &mut impl Rng,
    ) -> String {
        if self.is_dropped(context, generator) {
            return String::new();
        }
        let mut text = self.line(caption, generator);
        if self.enable_wildcard {
            text = wildcard::resolve(&text, generator);
        }
        if self.splits_tags(&text, context) {
            text = self.rearranged(&text, context, generator);
        }
        if !self.secondary_separator.is_empty() {
            text = text.replace(&self.secondary_separator, &self.caption_separator);
        }
        text
    }

    fn is_dropped(&self, context: &CaptionContext, generator: &mut impl Rng) -> bool {
        let by_rate =
            self.caption_dropout_rate > 0.0 && unit(generator) < self.caption_dropout_rate;
        let epochs = u64::from(self.caption_dropout_every_n_epochs);
        by_rate || epochs > 0 && context.epoch.is_multiple_of(epochs)
    }

    /// One line of the caption between prefix and suffix.
    fn line(&self, caption: &str, generator: &mut impl Rng) -> String {
        if self.as_sd_scripts {
            self.choose_line(&self.affixed(caption), generator).into()
        } else {
            self.affixed(self.choose_line(caption, generator))
        }
    }

    fn choose_line<'a>(&self, text: &'a str, generator: &mut impl Rng) -> &'a str {
        let mut lines = text.split('\n');
        let count = if self.enable_wildcard {
            lines.clone().count()
        } else {
            1
        };
        let chosen = if count > 1 {
            below(count as u64, generator) as usize
        } else {
            0
        };
        lines.nth(chosen).unwrap_or_default()
    }

    /// The text between prefix and suffix.
    pub(super) fn affixed(&self, text: &str) -> String {
        let mut affixed = String::new();
        if !self.caption_prefix.is_empty() {
            affixed += &self.caption_prefix;
            affixed += " ";
        }
        affixed += text;
        if !self.caption_suffix.is_empty() {
            affixed += " ";
            affixed += &self.caption_suffix;
        }
        affixed
    }

    fn splits_tags(&self, text: &str, context: &CaptionContext) -> bool {
        self.shuffle_caption
            || self.caption_tag_dropout_rate > 0.0
            || self.warmup_steps(context.total_steps) > 0.0
            || self.splits_at_separator() && text.contains(&self.keep_tokens_separator)
    }

    fn rearranged(&self, text: &str, context: &CaptionContext, generator: &mut impl Rng) -> String {
        let Tags {
            fixed,
            mut flexible,
            suffix,
        } = self.tags(text);
        flexible.truncate(self.warmed_up(flexible.len(), context));
        if self.shuffle_caption {
            shuffle(&mut flexible, generator);
        }
        if self.caption_tag_dropout_rate > 0.0 {
            flexible.retain(|_| unit(generator) >= self.caption_tag_dropout_rate);
        }
        [fixed, flexible, suffix].concat().join(", ")
    }

    fn tags<'a>(&self, text: &'a str) -> Tags<'a> {
        let split = |part: &'a str| part.split(self.caption_separator.as_str()).map(str::trim);
        let separator = &self.keep_tokens_separator;
        if !separator.is_empty()
            && let Some((fixed, rest)) = text.split_once(separator)
        {
            let (flexible, suffix) = rest.split_once(separator).unwrap_or((rest, ""));
            let [fixed, flexible, suffix] = [fixed, flexible, suffix]
                .map(|part| split(part).filter(|tag| !tag.is_empty()).collect());
            return Tags {
                fixed,
                flexible,
                suffix,
            };
        }
        // Without that separator, empty tags stay: so does sd-scripts.
        let mut fixed: Vec<_> = split(text).collect();
        let flexible = fixed.split_off(self.keep_tokens.min(fixed.len()));
        Tags {
            fixed,
            flexible,
            suffix: Vec::new(),
        }
    }

    /// The number of flexible tags during the warmup: `token_warmup_min` at step 0, then
    /// ⌊step · (tags − min) / warmup⌋ + min, and all of them after the warmup. If there are fewer
    /// tags, all of them.
    fn warmed_up(&self, tags: usize, context: &CaptionContext) -> usize {
        let (step, steps, least) = (
            context.step as f64,
            self.warmup_steps(context.total_steps),
            self.token_warmup_min as f64,
        );
        if step < steps {
            ((step * ((tags as f64 - least) / steps)).floor() + least) as usize
        } else {
            tags
        }
    }

    /// The length of the warmup in steps, 0 if there is none.
    fn warmup_steps(&self, total_steps: u64) -> f64 {
        let steps = self.token_warmup_step;
        if steps < 1.0 {
            (steps * total_steps as f64).floor()
        } else {
            steps
        }
    }
}

/// The tags of a caption.
struct Tags<'a> {
    fixed: Vec<&'a str>,
    flexible: Vec<&'a str>,
    suffix: Vec<&'a str>,
}

#[cfg(test)]
mod tests;
