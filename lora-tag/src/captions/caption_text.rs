//! The text of a caption file, with its lines and the way its tags are separated.

use lora_data::caption::tags_between;

/// The text of a caption file, as lines that are captions of their own.
///
/// Line ends, white space around lines, a byte-order mark and the style of separators (`, ` or `,`)
/// are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionText<'a> {
    /// The byte-order mark, if there is one.
    mark: &'a str,
    lines: Vec<Line<'a>>,
    separator: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'a> {
    text: &'a str,
    /// `\n`, `\r\n`, `\r`, or nothing at the end of the file.
    end: &'a str,
}

impl<'a> CaptionText<'a> {
    /// Splits a text into lines. `separator` is between tags, usually `,`.
    #[must_use]
    pub fn new(text: &'a str, separator: &'a str) -> Self {
        let without = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mark, mut rest) = text.split_at(text.len() - without.len());
        let mut lines = Vec::new();
        while !rest.is_empty() {
            let at = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let (text, after) = rest.split_at(at);
            let length = match after.as_bytes() {
                [b'\r', b'\n', ..] => 2,
                [] => 0,
                _ => 1,
            };
            let (end, after) = after.split_at(length);
            lines.push(Line { text, end });
            rest = after;
        }
        Self {
            mark,
            lines,
            separator,
        }
    }

    /// All lines as they are, without their ends.
    pub fn all_lines(&self) -> impl Iterator<Item = &'a str> {
        self.lines.iter().map(|line| line.text)
    }

    /// The lines with tags, without white space around them.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter(|line| has_tags(line.text, self.separator))
            .map(|line| line.text.trim())
    }

    /// The tags of all lines.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .flat_map(|line| tags_between(line.text, self.separator))
    }

    /// True if no line has a tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags().next().is_none()
    }

    /// The text with other lines. Lines without tags are kept as they are.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map_lines<E>(
        &self,
        mut change: impl FnMut(&'a str) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = self.mark.to_owned();
        for line in &self.lines {
            if has_tags(line.text, self.separator) {
                text += &change(line.text)?;
            } else {
                text += line.text;
            }
            text += line.end;
        }
        Ok(text)
    }

    /// A line with other tags. If they are those that it has, it stays as it is.
    #[must_use]
    pub fn with_tags(&self, line: &str, tags: &[impl AsRef<str>]) -> String {
        let old: Vec<&str> = tags_between(line, self.separator).collect();
        if old.len() == tags.len() && old.iter().zip(tags).all(|(old, new)| *old == new.as_ref()) {
            return line.to_owned();
        }
        let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
        let joined = tags.join(&self.gap(line));
        match (old.first(), old.last()) {
            (Some(first), Some(last)) if !tags.is_empty() => {
                let start = offset(line, first);
                let end = offset(line, last) + last.len();
                [&line[..start], &joined, &line[end..]].concat()
            }
            _ => joined,
        }
    }

    /// The text of an empty caption with these tags: they are in the first line.
    #[must_use]
    pub fn filled(&self, tags: &[impl AsRef<str>]) -> String {
        let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
        let mut text = [self.mark, &tags.join(&default_gap(self.separator))].concat();
        match &self.lines[..] {
            [] => text.push('\n'),
            lines => text.extend(lines.iter().map(|line| line.end)),
        }
        text
    }

    /// The separator with the white space around it, as in this line, else as in another line of
    /// the file.
    fn gap(&self, line: &str) -> String {
        std::iter::once(line)
            .chain(self.all_lines())
            .find_map(|line| gap_in(line, self.separator))
            .unwrap_or_else(|| default_gap(self.separator))
    }
}

fn has_tags(line: &str, separator: &str) -> bool {
    tags_between(line, separator).next().is_some()
}

/// The separator with the white space around it, between the first two neighbouring tags.
fn gap_in(line: &str, separator: &str) -> Option<String> {
    let pieces: Vec<&str> = line.split(separator).collect();
    let pair = pieces
        .windows(2)
        .find(|pair| pair.iter().all(|piece| !piece.trim().is_empty()))?;
    let before = &pair[0][pair[0].trim_end().len()..];
    let after = &pair[1][..pair[1].len() - pair[1].trim_start().len()];
    Some([before, separator, after].concat())
}

fn default_gap(separator: &str) -> String {
    if separator.ends_with(char::is_whitespace) {
        separator.into()
    } else {
        format!("{separator} ")
    }
}

/// The position of a tag in the line that it is a slice of.
fn offset(line: &str, tag: &str) -> usize {
    tag.as_ptr().addr() - line.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_tags(line: &str, tags: &[&str]) -> String {
        CaptionText::new(line, ",").with_tags(line, tags)
    }

    #[test]
    fn lines_of_all_systems() {
        let text = CaptionText::new("\u{feff} a, b \r\n\r, \nc\rd", ",");
        assert_eq!(text.lines().collect::<Vec<_>>(), ["a, b", "c", "d"]);
        assert_eq!(text.tags().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        let upper = text.map_lines(|line| Ok::<_, ()>(line.to_uppercase()));
        assert_eq!(upper.unwrap(), "\u{feff} A, B \r\n\r, \nC\rD");
        assert!(CaptionText::new("\u{feff}\n , \n", ",").is_empty());
    }

    #[test]
    fn the_style_of_separators_is_kept() {
        assert_eq!(with_tags("a,b", &["a", "c", "b"]), "a,c,b");
        assert_eq!(with_tags(" a , b,\t", &["b", "a", "c"]), " b , a , c,\t");
        assert_eq!(with_tags("a,, b", &["a", "b"]), "a,, b");
        assert_eq!(with_tags("a", &["a", "b"]), "a, b");
        assert_eq!(with_tags("a, b, ", &[]), "");
        let text = CaptionText::new("a\nb,c", ",");
        assert_eq!(text.with_tags("a", &["a", "d"]), "a,d");
        let text = CaptionText::new("A cat. It sits.", ".");
        let line = text.lines().next().unwrap();
        assert_eq!(
            text.with_tags(line, &["It sits", "A cat"]),
            "It sits. A cat."
        );
    }

    #[test]
    fn empty_captions_are_filled() {
        assert_eq!(CaptionText::new("", ",").filled(&["a", "b"]), "a, b\n");
        assert_eq!(
            CaptionText::new(" \r\n", "|").filled(&["a", "b"]),
            "a| b\r\n"
        );
        assert_eq!(
            CaptionText::new("\u{feff}", " ").filled(&["a", "b"]),
            "\u{feff}a b\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_kept(text in any::<String>(), other in "[a, \r\n\u{feff}é]{0,12}") {
            for text in [&text, &other] {
                let parsed = CaptionText::new(text, ",");
                let kept = parsed.map_lines(|line| {
                    let tags: Vec<&str> = tags_between(line, ",").collect();
                    Ok::<_, ()>(parsed.with_tags(line, &tags))
                });
                prop_assert_eq!(&kept.unwrap(), text);
            }
        }

        #[test]
        fn new_tags_are_those_that_are_read(line in "[ab, ]{0,12}", tags in prop::collection::vec("[ab]{1,2}", 0..5)) {
            let text = CaptionText::new(&line, ",").with_tags(&line, &tags);
            let read: Vec<&str> = tags_between(&text, ",").collect();
            prop_assert_eq!(read, tags);
        }
    }
}
