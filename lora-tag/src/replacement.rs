//! Replacement of tags: `source1,target1;source2,target2`, with `\,` and `\;` for commas and
//! semicolons in tags.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Tags and what is written in their place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replacements(Vec<(String, String)>);

impl Replacements {
    /// Replacements of these sources by these targets. The first of a source counts.
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is written for a tag; `None` if it is not replaced.
    #[must_use]
    pub fn target(&self, tag: &str) -> Option<&str> {
        let found = self.0.iter().find(|(source, _)| source == tag);
        found.map(|(_, target)| target.as_str())
    }
}

impl FromStr for Replacements {
    type Err = Error;

    /// Parses sd-scripts' `tag_replacement`. Spaces around tags are removed, a trailing semicolon
    /// is allowed, and `\\` is a backslash.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for rule in split(text, ';') {
            if rule.trim().is_empty() {
                continue;
            }
            let sides: Vec<String> = split(rule, ',')
                .map(|side| unescaped(side.trim()))
                .collect();
            match <[String; 2]>::try_from(sides) {
                Ok([source, target]) if !source.is_empty() => pairs.push((source, target)),
                _ => {
                    return Err(Error::Option {
                        option: "tag-replacement",
                        found: format!("`{}`", rule.trim()),
                        expected: "`source,target`, with `\\,` for a comma in a tag; several are \
                                   separated by `;`"
                            .into(),
                    });
                }
            }
        }
        Ok(Self(pairs))
    }
}

impl fmt::Display for Replacements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, target)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            write!(f, "{},{}", escaped(source), escaped(target))?;
        }
        Ok(())
    }
}

/// The parts between separators that are not escaped, still with their escapes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    text.split(move |character| {
        let is_separator = character == separator && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_separator
    })
}

/// Removes the backslash before `,`, `;` and `\`. Before other characters it stays: `\(` is a tag's
/// own spelling.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\'
            && let Some(next) = characters.next_if(|next| matches!(next, ',' | ';' | '\\'))
        {
            plain.push(next);
        } else {
            plain.push(character);
        }
    }
    plain
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ',' | ';' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_with_commas_and_semicolons() {
        let parsed: Replacements = r"aa\,bb,AA\,BB;cc\;dd,CC\;DD; hat , cap ;x,;"
            .parse()
            .unwrap();
        assert_eq!(parsed.target("aa,bb"), Some("AA,BB"));
        assert_eq!(parsed.target("cc;dd"), Some("CC;DD"));
        assert_eq!(parsed.target("hat"), Some("cap"));
        assert_eq!(parsed.target("x"), Some(""));
        assert_eq!(parsed.target("cap"), None);
        assert_eq!(
            r"a\(b\),c"
                .parse::<Replacements>()
                .unwrap()
                .target(r"a\(b\)"),
            Some("c")
        );
        assert!("".parse::<Replacements>().unwrap().is_empty());
    }

    #[test]
    fn errors_quote_the_rule() {
        for text in ["a", "a,b,c", ",b", "a,b;c"] {
            let error = text.parse::<Replacements>().unwrap_err().to_string();
            assert!(error.contains("expected `source,target`"), "{error}");
        }
        let error = "a,b;c".parse::<Replacements>().unwrap_err().to_string();
        assert!(error.contains("found `c`"), "{error}");
    }

    proptest! {
        #[test]
        fn displayed_replacements_parse_to_themselves(
            pairs in prop::collection::vec((r"[a-z,;\\(_]{1,8}", r"[a-z,;\\ )]{0,8}"), 0..5)
        ) {
            let trimmed = pairs.into_iter().map(|(a, b)| (a, b.trim().to_owned())).collect();
            let replacements = Replacements::new(trimmed);
            let parsed: Replacements = replacements.to_string().parse().unwrap();
            prop_assert_eq!(parsed, replacements);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Replacements>();
        }
    }
}
