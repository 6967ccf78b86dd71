//! Edits of captions.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use lora_data::caption::tags_between;
use regex::Regex;

use super::caption_text::CaptionText;
use super::pattern::regex;
use crate::error::{Error, Result};
use crate::scores::Scores;

/// Counts the tokens of a caption.
pub type TokenCounter<'a> = &'a (dyn Fn(&str) -> usize + Sync);

/// An edit of a caption. Each line of a caption is edited by itself; tags are compared exactly.
///
/// Tags in an edit have no separators, no line breaks and no white space around them.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Adds the tags that the line does not have. An empty caption gets them, too, and an image
    /// without a caption file gets one.
    Add {
        /// The tags.
        tags: Vec<String>,
        /// Their position.
        position: Position,
    },
    /// Removes tags.
    Remove {
        /// The tags.
        tags: Vec<String>,
    },
    /// Replaces tags or text.
    Replace(Replacement),
    /// Sorts the tags.
    Sort {
        /// The order.
        by: SortBy,
        /// Whether the order is reversed.
        reverse: bool,
        /// The number of first tags that stay in place.
        keep: usize,
    },
    /// Removes tags that the line already has further to the left.
    Dedupe,
    /// Removes tags at the end until the line has at most this many tokens. The first tag stays.
    Truncate {
        /// The most tokens.
        tokens: usize,
    },
    /// Moves tags to the front, in this order, if the line has them.
    MoveFirst {
        /// The tags.
        tags: Vec<String>,
    },
}

/// The position of added tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// The first of them is the tag of this number, counted from 1, or the last one.
    At(usize),
}

/// The order of sorted tags. Tags that are equal in it keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// By letters, regardless of their case.
    Alphabet,
    /// By the number of captions with the tag, the most frequent first.
    Frequency,
    /// By the score of a tagger, the highest first and tags without a score last.
    Score,
    /// By the number of characters, the shortest first.
    Length,
}

/// A replacement of tags or text.
#[derive(Debug, Clone)]
pub struct Replacement {
    from: From,
    to: String,
    scope: Scope,
}

#[derive(Debug, Clone)]
enum From {
    Literal(String),
    Regex(Regex),
}

/// What a replacement looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each tag. A literal text is the whole tag; a regular expression matches parts of it. Tags
    /// that become empty or equal to another tag of the line are removed.
    Tag,
    /// The text of each line. Tags that become empty are removed.
    Text,
}

impl Replacement {
    /// Replaces a literal text.
    ///
    /// # Errors
    /// [`Error::Option`] for an empty text, and for tags with line breaks.
    pub fn literal(from: &str, to: &str, scope: Scope) -> Result<Self> {
        let from = if scope == Scope::Tag {
            from.trim()
        } else {
            from
        };
        if from.is_empty() {
            return Err(Error::Option {
                option: "FROM",
                found: "\"\"".into(),
                expected: "a tag or text".into(),
            });
        }
        check_new_tag(to, scope)?;
        Ok(Self {
            from: From::Literal(from.into()),
            to: to.into(),
            scope,
        })
    }

    /// Replaces what a regular expression matches. In `to`, `$1`, `\\1` or `${name}` is a group of
    /// it and `$$` a dollar sign.
    ///
    /// # Errors
    /// [`Error::Pattern`] with the position of the mistake, and [`Error::Option`] for a group that
    /// does not exist, and for tags with line breaks.
    pub fn regex(from: &str, to: &str, scope: Scope) -> Result<Self> {
        let regex = regex("FROM", from)?;
        check_new_tag(to, scope)?;
        Ok(Self {
            to: template(to, &regex)?,
            from: From::Regex(regex),
            scope,
        })
    }

    /// The replaced text, `None` if nothing matches.
    fn replaced(&self, text: &str) -> Option<String> {
        match (&self.from, self.scope) {
            (From::Literal(from), Scope::Tag) => (from == text).then(|| self.to.clone()),
            (From::Literal(from), Scope::Text) => {
                text.contains(from).then(|| text.replace(from, &self.to))
            }
            (From::Regex(from), _) => from
                .is_match(text)
                .then(|| from.replace_all(text, &*self.to).into_owned()),
        }
    }
}

/// A line is a caption of its own, so no tag has a line break.
fn check_new_tag(to: &str, scope: Scope) -> Result<()> {
    if scope == Scope::Tag && to.contains(['\n', '\r']) {
        return Err(Error::Option {
            option: "TO",
            found: format!("{to:?}"),
            expected: "a tag without line breaks".into(),
        });
    }
    Ok(())
}

/// The replacement in the notation of `regex`, for which `$1a` would be a group named `1a`.
fn template(to: &str, regex: &Regex) -> Result<String> {
    let mut template = String::new();
    let mut rest = to;
    while let Some(at) = rest.find(['$', '\\']) {
        template += &rest[..at];
        let (sign, after) = rest[at..].split_at(1);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let named = after
            .strip_prefix('{')
            .filter(|_| sign == "$")
            .and_then(|after| after.split_once('}'));
        let group = if digits > 0 {
            rest = &after[digits..];
            &after[..digits]
        } else if let Some((name, after)) = named {
            rest = after;
            name
        } else {
            let is_dollar = sign == "$";
            template += if is_dollar { "$$" } else { sign };
            rest = after
                .strip_prefix('$')
                .filter(|_| is_dollar)
                .unwrap_or(after);
            continue;
        };
        let is_number = |number: usize| number < regex.captures_len();
        if !group.parse().is_ok_and(is_number)
            && !regex.capture_names().flatten().any(|name| name == group)
        {
            return Err(Error::Option {
                option: "TO",
                found: format!("the group {group}"),
                expected: format!("groups of {regex}"),
            });
        }
        template += &format!("${{{group}}}");
    }
    Ok(template + rest)
}

/// What edits know besides the caption.
pub(super) struct EditContext<'a> {
    /// The number of captions with each tag.
    pub(super) frequencies: &'a HashMap<&'a str, usize>,
    /// The scores of the image, if the edit sorts by them.
    pub(super) scores: Option<&'a Scores>,
    pub(super) count_tokens: TokenCounter<'a>,
    pub(super) separator: &'a str,
}

impl Edit {
    /// The caption after the edit; `None` for no caption file before and after.
    pub(super) fn apply(&self, text: Option<&str>, context: &EditContext) -> Option<String> {
        let caption = CaptionText::new(text.unwrap_or_default(), context.separator);
        match self {
            Self::Add { tags, .. } if caption.is_empty() => {
                Some(caption.filled(&added(&[], tags, Position::Last)))
            }
            _ => {
                text?;
                let edited = caption.map_lines(|line| {
                    Ok::<_, std::convert::Infallible>(self.apply_to_line(&caption, line, context))
                });
                match edited {
                    Ok(edited) => Some(edited),
                    Err(never) => match never {},
                }
            }
        }
    }

    /// The tags that the edit looks for literally.
    pub(super) fn sought_tags(&self) -> Vec<&str> {
        match self {
            Self::Remove { tags } | Self::MoveFirst { tags } => {
                tags.iter().map(String::as_str).collect()
            }
            Self::Replace(Replacement {
                from: From::Literal(from),
                scope: Scope::Tag,
                ..
            }) => vec![from],
            _ => Vec::new(),
        }
    }

    fn apply_to_line(&self, caption: &CaptionText, line: &str, context: &EditContext) -> String {
        let tags: Vec<&str> = tags_between(line, context.separator).collect();
        let edited = match self {
            Self::Add {
                tags: new,
                position,
            } => added(&tags, new, *position),
            Self::Remove { tags: removed } => {
                let is_kept = |tag: &&str| !removed.iter().any(|removed| removed == tag);
                tags.iter().copied().filter(is_kept).collect()
            }
            Self::Replace(replacement) => {
                return replace(replacement, caption, line, context.separator);
            }
            Self::Sort { by, reverse, keep } => sorted(tags, *by, *reverse, *keep, context),
            Self::Dedupe => {
                let mut seen = HashSet::new();
                tags.into_iter().filter(|tag| seen.insert(*tag)).collect()
            }
            Self::Truncate { tokens } => {
                let fits = |count: &usize| {
                    let line = caption.with_tags(line, &tags[..*count]);
                    (context.count_tokens)(line.trim()) <= *tokens
                };
                let counts: Vec<usize> = (2..=tags.len()).collect();
                let count = 1 + counts.partition_point(fits);
                tags[..count.min(tags.len())].to_vec()
            }
            Self::MoveFirst { tags: first } => {
                let mut moved: Vec<&str> = Vec::with_capacity(tags.len());
                for tag in first {
                    if !moved.contains(&tag.as_str()) {
                        moved.extend(tags.iter().filter(|other| *other == tag));
                    }
                }
                let is_other = |tag: &&str| !first.iter().any(|first| first == tag);
                moved.extend(tags.iter().copied().filter(is_other));
                moved
            }
        };
        caption.with_tags(line, &edited)
    }
}

fn added<'a>(tags: &[&'a str], new: &'a [String], position: Position) -> Vec<&'a str> {
    let mut missing: Vec<&str> = Vec::new();
    for tag in new {
        if !tags.contains(&tag.as_str()) && !missing.contains(&tag.as_str()) {
            missing.push(tag);
        }
    }
    let at = match position {
        Position::First => 0,
        Position::Last => tags.len(),
        Position::At(number) => number.saturating_sub(1).min(tags.len()),
    };
    [&tags[..at], &missing, &tags[at..]].concat()
}

fn sorted<'a>(
    mut tags: Vec<&'a str>,
    by: SortBy,
    reverse: bool,
    keep: usize,
    context: &EditContext,
) -> Vec<&'a str> {
    let keep = keep.min(tags.len());
    let sorted = &mut tags[keep..];
    let frequency = |tag: &str| context.frequencies.get(tag).copied().unwrap_or_default();
    let score = |tag: &str| context.scores.and_then(|scores| scores.probability(tag));
    // Reversed before and after sorting, so that equal tags keep their order.
    if reverse {
        sorted.reverse();
    }
    match by {
        SortBy::Alphabet => sorted.sort_by_cached_key(|tag| tag.to_lowercase()),
        SortBy::Frequency => sorted.sort_by_key(|tag| Reverse(frequency(tag))),
        SortBy::Score => sorted.sort_by(|a, b| {
            let [a, b] = [a, b].map(|tag| score(tag).unwrap_or(f32::NEG_INFINITY));
            b.total_cmp(&a)
        }),
        SortBy::Length => sorted.sort_by_key(|tag| tag.chars().count()),
    }
    if reverse {
        sorted.reverse();
    }
    tags
}

fn replace(
    replacement: &Replacement,
    caption: &CaptionText,
    line: &str,
    separator: &str,
) -> String {
    match replacement.scope {
        Scope::Tag => caption.with_tags(line, &replaced_tags(replacement, line, separator)),
        Scope::Text => {
            let Some(text) = replacement.replaced(line) else {
                return line.to_owned();
            };
            let empty = |line: &str| {
                let pieces = line.split(separator);
                pieces.filter(|piece| piece.trim().is_empty()).count()
            };
            if empty(&text) <= empty(line) {
                return text;
            }
            let tags: Vec<&str> = tags_between(&text, separator).collect();
            // Not `with_tags(&text)`, which would keep the empty tags.
            caption.with_tags(line, &tags)
        }
    }
}

fn replaced_tags(replacement: &Replacement, line: &str, separator: &str) -> Vec<String> {
    let old: Vec<&str> = tags_between(line, separator).collect();
    let new: Vec<Option<String>> = old.iter().map(|tag| replacement.replaced(tag)).collect();
    let untouched = old.iter().zip(&new).filter(|(_, new)| new.is_none());
    let mut present: HashSet<String> = untouched.map(|(tag, _)| (*tag).to_owned()).collect();
    let mut tags = Vec::with_capacity(old.len());
    for (old, new) in old.iter().zip(new) {
        let Some(new) = new else {
            tags.push((*old).to_owned());
            continue;
        };
        for tag in tags_between(&new, separator) {
            if present.insert(tag.to_owned()) {
                tags.push(tag.to_owned());
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests;
