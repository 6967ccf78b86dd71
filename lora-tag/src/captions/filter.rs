//! The choice of captions by their tags and names.

use std::collections::HashSet;

use globset::GlobMatcher;
use regex::Regex;

use super::folder::{Captions, Entry};
use super::pattern::{glob, regex};
use super::respelling::{UnknownTag, unknown_tags};
use crate::error::{Error, Result};

/// Conditions for captions; without any, all captions meet them.
///
/// A tag is meant literally, or as a glob if it has `*` (any text) or `?` (any character) and no
/// caption has exactly this tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tags that the caption has.
    pub with: Vec<String>,
    /// Tags that the caption does not have.
    pub without: Vec<String>,
    /// Regular expressions that match a part of one of its tags.
    pub with_regex: Vec<String>,
    /// Regular expressions that match no part of its tags.
    pub without_regex: Vec<String>,
    /// Whether the image has no caption: no file, or a file without text.
    pub missing: bool,
    /// Globs for the image: one of them matches its name or its path in the folder.
    pub images: Vec<String>,
    /// Whether one of `with`, `with_regex` and `missing` is enough. The other conditions must be
    /// met all the same.
    pub any: bool,
}

impl Filter {
    /// True if there are no conditions, so that all captions meet them. `any` is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            with,
            without,
            with_regex,
            without_regex,
            missing,
            images,
            any: _,
        } = self;
        let lists = [with, without, with_regex, without_regex, images];
        !missing && lists.iter().all(|list| list.is_empty())
    }
}

impl Captions {
    /// The entries that meet the conditions.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a text that is not a regular expression or glob.
    pub fn select(&self, filter: &Filter) -> Result<Vec<&Entry>> {
        let patterns = Patterns::new(filter, self)?;
        let entries = self.entries().iter();
        Ok(entries
            .filter(|entry| patterns.matches(self, entry))
            .collect())
    }

    /// The literal tags of a filter that no caption has.
    #[must_use]
    pub fn unknown_tags(&self, filter: &Filter) -> Vec<UnknownTag> {
        let tags = filter.with.iter().chain(&filter.without);
        let literal = tags
            .map(|tag| tag.trim())
            .filter(|tag| !tag.contains(['*', '?']));
        let mut literal = literal.peekable();
        if literal.peek().is_none() {
            return Vec::new();
        }
        let all: Vec<&Entry> = self.entries().iter().collect();
        unknown_tags(literal, &self.frequencies(&all))
    }
}

/// The conditions, ready for use.
struct Patterns {
    positive: Vec<TagPattern>,
    negative: Vec<TagPattern>,
    images: Vec<GlobMatcher>,
    missing: bool,
    any: bool,
}

enum TagPattern {
    Literal(String),
    Regex(Regex),
}

impl TagPattern {
    fn matches(&self, tags: &[&str]) -> bool {
        tags.iter().any(|tag| match self {
            Self::Literal(literal) => literal == tag,
            Self::Regex(regex) => regex.is_match(tag),
        })
    }
}

impl Patterns {
    fn new(filter: &Filter, captions: &Captions) -> Result<Self> {
        let tags: HashSet<&str> = captions
            .entries()
            .iter()
            .flat_map(|entry| captions.tags(entry))
            .collect();
        let all = |literals: &[String], regexes: &[String], option, regex_option| {
            let literals = literals
                .iter()
                .map(|text| tag_pattern(option, text.trim(), &tags));
            let regexes = regexes
                .iter()
                .map(|text| Ok(TagPattern::Regex(regex(regex_option, text)?)));
            literals.chain(regexes).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            positive: all(&filter.with, &filter.with_regex, "with", "with-regex")?,
            negative: all(
                &filter.without,
                &filter.without_regex,
                "without",
                "without-regex",
            )?,
            images: filter
                .images
                .iter()
                .map(|text| glob("images", text))
                .collect::<Result<_>>()?,
            missing: filter.missing,
            any: filter.any,
        })
    }

    fn matches(&self, captions: &Captions, entry: &Entry) -> bool {
        let tags = captions.tags(entry);
        if self.negative.iter().any(|pattern| pattern.matches(&tags)) {
            return false;
        }
        let path = captions.relative(&entry.image);
        let name = entry.image.file_name().unwrap_or_default();
        let is_named = |glob: &GlobMatcher| glob.is_match(&path) || glob.is_match(name);
        if !self.images.is_empty() && !self.images.iter().any(is_named) {
            return false;
        }
        let mut positive = self.positive.iter().map(|pattern| pattern.matches(&tags));
        if !self.any {
            return positive.all(|met| met) && (!self.missing || tags.is_empty());
        }
        let has_positive = self.missing || !self.positive.is_empty();
        !has_positive || positive.any(|met| met) || self.missing && tags.is_empty()
    }
}

/// The pattern of a tag, which is a glob only if no caption has exactly this tag.
fn tag_pattern(option: &'static str, text: &str, tags: &HashSet<&str>) -> Result<TagPattern> {
    if text.is_empty() {
        return Err(Error::Option {
            option,
            found: "\"\"".into(),
            expected: "a tag".into(),
        });
    }
    if tags.contains(text) || !text.contains(['*', '?']) {
        return Ok(TagPattern::Literal(text.into()));
    }
    let escaped = regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".");
    Ok(TagPattern::Regex(regex(
        option,
        &format!("^(?s:{escaped})$"),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::CaptionsOptions;

    fn selected(filter: &Filter) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for (name, text) in [
            ("a", Some("1girl, blue eyes, smile")),
            ("b", Some("1boy, red eyes\n1girl, ?")),
            ("c", Some(" \n")),
            ("d", None),
            ("sub/e", Some("1girl, [x]")),
        ] {
            let path = dir.path().join(name);
            std::fs::write(path.with_extension("png"), "").unwrap();
            if let Some(text) = text {
                std::fs::write(path.with_extension("txt"), text).unwrap();
            }
        }
        let options = CaptionsOptions {
            recursive: true,
            ..CaptionsOptions::default()
        };
        let captions = Captions::open(dir.path(), &options).unwrap();
        let entries = captions.select(filter)?;
        let names = entries
            .iter()
            .map(|entry| captions.relative(&entry.image).replace(".png", ""));
        Ok(names.collect())
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn all_conditions_are_met() {
        let filter = Filter::default();
        assert_eq!(selected(&filter).unwrap(), ["a", "b", "c", "d", "sub/e"]);
        let filter = Filter {
            with: texts(&["1girl", "*eyes"]),
            ..Filter::default()
        };
        assert_eq!(selected(&filter).unwrap(), ["a", "b"]);
        let filter = Filter {
            without: texts(&["smile"]),
            without_regex: texts(&["^red "]),
            ..filter
        };
        assert!(selected(&filter).unwrap().is_empty());
        let filter = Filter {
            missing: true,
            ..Filter::default()
        };
        assert_eq!(selected(&filter).unwrap(), ["c", "d"]);
    }

    #[test]
    fn one_condition_is_met() {
        let filter = Filter {
            with: texts(&["smile"]),
            with_regex: texts(&["boy$"]),
            missing: true,
            any: true,
            ..Filter::default()
        };
        assert_eq!(selected(&filter).unwrap(), ["a", "b", "c", "d"]);
        let filter = Filter {
            without: texts(&["1boy"]),
            images: texts(&["[ab].png"]),
            ..filter
        };
        assert_eq!(selected(&filter).unwrap(), ["a"]);
        let filter = Filter {
            any: true,
            ..Filter::default()
        };
        assert_eq!(selected(&filter).unwrap().len(), 5);
    }

    #[test]
    fn any_alone_is_no_condition() {
        let any = Filter {
            any: true,
            ..Filter::default()
        };
        assert!(any.is_empty() && Filter::default().is_empty());
        let missing = Filter {
            missing: true,
            ..Filter::default()
        };
        let without = Filter {
            without: texts(&["x"]),
            ..Filter::default()
        };
        assert!(!missing.is_empty() && !without.is_empty());
    }

    #[test]
    fn names_match_with_and_without_folders() {
        for (glob, names) in [
            ("e.*", &["sub/e"][..]),
            ("sub/*", &["sub/e"]),
            ("*", &["a", "b", "c", "d", "sub/e"]),
            ("**/*.jpg", &[]),
        ] {
            let filter = Filter {
                images: texts(&[glob]),
                ..Filter::default()
            };
            assert_eq!(selected(&filter).unwrap(), names, "{glob}");
        }
    }

    #[test]
    fn a_literal_tag_takes_precedence_over_a_glob() {
        let with = |tag: &str| {
            selected(&Filter {
                with: texts(&[tag]),
                ..Filter::default()
            })
            .unwrap()
        };
        assert_eq!(with("?"), ["b"]);
        assert_eq!(with("?girl"), ["a", "b", "sub/e"]);
        assert_eq!(with("[x]"), ["sub/e"]);
        assert_eq!(with("[*]"), ["sub/e"]);
        assert!(with("girl").is_empty());
    }

    #[test]
    fn errors_have_the_option_and_the_position() {
        let filter = Filter {
            with_regex: texts(&["a(b"]),
            ..Filter::default()
        };
        let message = selected(&filter).unwrap_err().to_string();
        assert!(message.contains("`with-regex`: found \"a(b\"; expected a regular expression"));
        assert!(message.contains("a(b\n     ^"), "{message}");
        let filter = Filter {
            images: texts(&["[a"]),
            ..Filter::default()
        };
        let message = selected(&filter).unwrap_err().to_string();
        assert!(
            message.starts_with("`images`: found \"[a\"; expected a glob: "),
            "{message}"
        );
        let filter = Filter {
            without: texts(&[" "]),
            ..Filter::default()
        };
        let message = selected(&filter).unwrap_err().to_string();
        assert_eq!(message, "`without`: found \"\"; expected a tag");
    }
}
