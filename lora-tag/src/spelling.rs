//! How a tag is spelled in a caption.

use std::borrow::Cow;

use crate::options::{TagOptions, Underscores};

/// Spells tags for captions.
#[derive(Debug)]
pub(crate) struct Spelling {
    underscores: Underscores,
    escapes: bool,
}

impl Spelling {
    pub(crate) fn new(options: &TagOptions) -> Self {
        Self {
            underscores: options.underscores(),
            escapes: options.escapes(),
        }
    }

    /// The forms in which options may name a tag: as the tagger spells it, with its underscores
    /// replaced, and as it is in the caption.
    pub(crate) fn forms(&self, tag: &str) -> [String; 3] {
        let spaced = self.spaced(tag);
        [tag.into(), spaced.to_string(), self.escaped(&spaced)]
    }

    /// The tag with its underscores replaced, if options ask for it.
    pub(crate) fn spaced<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        let replaces = match &self.underscores {
            Underscores::Keep => false,
            Underscores::ReplaceExcept(tags) => !tags.iter().any(|kept| kept == tag),
            Underscores::ReplaceInLong => tag.chars().count() > 3,
        };
        if replaces && tag.contains('_') {
            tag.replace('_', " ").into()
        } else {
            tag.into()
        }
    }

    /// The tag with `\` before `\`, `(` and `)`, if options ask for it.
    pub(crate) fn escaped(&self, tag: &str) -> String {
        let mut escaped = String::with_capacity(tag.len());
        for character in tag.chars() {
            if self.escapes && matches!(character, '\\' | '(' | ')') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    }
}

/// The parts of a character's tag that ends in brackets: `name_(series)` is `name` and `series`,
/// `name_(costume)_(series)` is `name_(costume)` and `series`.
pub(crate) fn character_and_series(tag: &str) -> Option<(&str, &str)> {
    let (name, series) = tag.strip_suffix(')')?.rsplit_once('(')?;
    let name = name.trim_end_matches([' ', '_']);
    (!name.is_empty() && !series.is_empty()).then_some((name, series))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Style;

    #[test]
    fn underscores_and_brackets() {
        let sd_trainer = Spelling::new(&TagOptions::default());
        assert_eq!(sd_trainer.spaced("long_hair"), "long hair");
        assert_eq!(sd_trainer.spaced("(o)_(o)"), "(o)_(o)");
        assert_eq!(sd_trainer.escaped(r"a (b) \"), r"a \(b\) \\");
        let sd_scripts = TagOptions::new(Style::SdScripts);
        assert_eq!(Spelling::new(&sd_scripts).spaced("long_hair"), "long_hair");
        assert_eq!(Spelling::new(&sd_scripts).escaped("a(b)"), "a(b)");
        let long = Spelling::new(&TagOptions {
            underscores: Some(Underscores::ReplaceInLong),
            ..sd_scripts
        });
        assert_eq!(long.spaced("^_^"), "^_^");
        assert_eq!(long.spaced("é_à"), "é_à");
        assert_eq!(long.spaced("(o)_(o)"), "(o) (o)");
    }

    #[test]
    fn characters_and_their_series() {
        for (tag, parts) in [
            ("saber_(fate)", Some(("saber", "fate"))),
            ("a_(swimsuit)_(fate)", Some(("a_(swimsuit)", "fate"))),
            ("rem_(re:zero)", Some(("rem", "re:zero"))),
            ("reimu", None),
            (":)", None),
            ("(x)", None),
            ("a_()", None),
        ] {
            assert_eq!(character_and_series(tag), parts, "{tag}");
        }
    }
}
