//! Tags that captions have in another spelling.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

/// A tag that was looked for and that no caption has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTag {
    /// The tag.
    pub tag: String,
    /// The tag of a caption that differs from it only in backslashes, or in `_` for spaces; of
    /// several the most frequent.
    pub respelled: Option<String>,
}

impl fmt::Display for UnknownTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no caption has the tag `{}`", self.tag)?;
        match &self.respelled {
            Some(respelled) => write!(f, "; did you mean `{respelled}`?"),
            None => Ok(()),
        }
    }
}

/// Those of the tags that no caption has. `frequencies` has the number of captions with each tag.
pub(super) fn unknown_tags<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    frequencies: &HashMap<&str, usize>,
) -> Vec<UnknownTag> {
    let unknown = tags
        .into_iter()
        .filter(|tag| !frequencies.contains_key(tag));
    let unknown = unknown.map(|tag| {
        let plain = plain(tag);
        let respelled = frequencies
            .iter()
            .filter(|(other, _)| self::plain(other) == plain)
            .max_by_key(|(other, captions)| (**captions, Reverse(**other)));
        UnknownTag {
            tag: tag.into(),
            respelled: respelled.map(|(other, _)| (*other).to_owned()),
        }
    });
    unknown.collect()
}

/// What all spellings of a tag have in common.
fn plain(tag: &str) -> String {
    tag.replace('\\', "").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_captions() {
        let frequencies = HashMap::from([
            (r"hat \(object\)", 2),
            ("hat (object)", 1),
            ("blue_eyes", 1),
            ("x", 1),
        ]);
        let tags = ["hat_(object)", "blue eyes", r"blue\_eyes", "x", "hats"];
        let shown: Vec<String> = unknown_tags(tags, &frequencies)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                r"no caption has the tag `hat_(object)`; did you mean `hat \(object\)`?",
                "no caption has the tag `blue eyes`; did you mean `blue_eyes`?",
                r"no caption has the tag `blue\_eyes`; did you mean `blue_eyes`?",
                "no caption has the tag `hats`",
            ]
        );
    }
}
