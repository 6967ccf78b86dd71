//! Wildcards: `{red|blue} hat` becomes `red hat` or `blue hat`.
//!
//! ```text
//! text   = ( choice | "{{" | "}}" | any character )*
//! choice = "{" alternative ( "|" alternative )* "}"
//! ```
//!
//! `{{` and `}}` are the characters `{` and `}`. A choice extends from the first `{` to the next
//! `}` and must not be empty.
//!
//! Double braces are matched first, from the left: `{{{a|b}}}` is `{`, then a choice between `a`
//! and `b}`. Choices do not nest. Unmatched braces and `{}` are plain text.

use rand_core::Rng;

use crate::random::below;

/// The text with one alternative of each choice, all equally likely: one draw per choice, from left
/// to right.
pub(super) fn resolve(text: &str, generator: &mut impl Rng) -> String {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, alternatives, after)) = next_choice(rest) {
        let count = alternatives.split('|').count();
        let chosen = alternatives
            .split('|')
            .nth(below(count as u64, generator) as usize)
            .unwrap_or_default();
        resolved += &unescaped(before);
        resolved += &unescaped(chosen);
        rest = after;
    }
    resolved + &unescaped(rest)
}

/// True if a choice has more than one alternative.
pub(super) fn has_choice(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, alternatives, after)) = next_choice(rest) {
        if alternatives.contains('|') {
            return true;
        }
        rest = after;
    }
    false
}

/// The text before, in and after the first choice.
fn next_choice(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = single_brace(text, from, '{')?;
        let close = single_brace(text, open + 1, '}')?;
        if close > open + 1 {
            return Some((&text[..open], &text[open + 1..close], &text[close + 1..]));
        }
        from = close + 1;
    }
}

/// The first single brace at or after byte `from`.
fn single_brace(text: &str, mut from: usize, brace: char) -> Option<usize> {
    loop {
        let at = from + text[from..].find(brace)?;
        if !text[at + 1..].starts_with(brace) {
            return Some(at);
        }
        from = at + 2;
    }
}

fn unescaped(text: &str) -> String {
    text.replace("{{", "{").replace("}}", "}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::random::tests::Generator;

    #[test]
    fn every_alternative_and_nothing_else() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a cat", &["a cat"]),
            ("{red|blue} hat", &["blue hat", "red hat"]),
            ("{a|b}{c|d}", &["ac", "ad", "bc", "bd"]),
            ("a {big|} cat", &["a  cat", "a big cat"]),
            ("{|}", &[""]),
            ("{only}", &["only"]),
            // Escapes.
            ("{{literal}}", &["{literal}"]),
            ("{{a|b}}", &["{a|b}"]),
            ("{a{{1}}|b}", &["a{1}", "b"]),
            ("{{{a|b}}}", &["{a", "{b}"]),
            ("{a|b}}}", &["a", "b}"]),
            ("{{{{", &["{{"]),
            // Nested: the first `{` belongs to the first `}`.
            ("{a|{b|c}|d}", &["a|d}", "c|d}", "{b|d}"]),
            // Unmatched.
            ("{a|b", &["{a|b"]),
            ("a|b}", &["a|b}"]),
            ("} {a|b} {", &["} a {", "} b {"]),
            ("{a|b}}", &["{a|b}"]),
            ("{", &["{"]),
            ("}", &["}"]),
            ("{}", &["{}"]),
            ("{}x|y}", &["{}x|y}"]),
            ("{}{é|水}", &["{}é", "{}水"]),
        ] {
            let mut generator = Generator(7);
            let found: BTreeSet<_> = (0..200).map(|_| resolve(text, &mut generator)).collect();
            assert_eq!(
                found,
                expected.iter().map(ToString::to_string).collect(),
                "{text}"
            );
            assert_eq!(
                has_choice(text),
                expected.len() > 1 || text == "{|}",
                "{text}"
            );
        }
    }

    #[test]
    fn alternatives_are_equally_likely() {
        let mut generator = Generator(1);
        let count = (0..30_000)
            .filter(|_| resolve("{a|b|c}", &mut generator) == "b")
            .count();
        assert!((9_500..10_500).contains(&count), "{count}");
    }

    #[test]
    fn unmatched_braces_take_linear_time() {
        for text in [
            "{a".repeat(1 << 20),
            "{}".repeat(1 << 20),
            "{{".repeat(1 << 20),
        ] {
            assert!(!has_choice(&text));
        }
    }

    /// A piece of text: in front a part without choice, then the alternatives.
    fn piece() -> impl Strategy<Value = (String, Vec<String>)> {
        (
            "[a-z |]{1,3}([a-z][{}][a-z])?",
            prop::collection::vec("[a-z]{0,2}|[a-z][{}][a-z]", 2..4),
        )
    }

    proptest! {
        #[test]
        fn only_alternatives_of_the_text(pieces in prop::collection::vec(piece(), 0..4), seed: u64) {
            let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
            let mut text = String::new();
            let mut possible = vec![String::new()];
            for (before, alternatives) in &pieces {
                text += &format!("{}{{{}}}", escaped(before), escaped(&alternatives.join("|")));
                possible = possible
                    .iter()
                    .flat_map(|start| alternatives.iter().map(move |end| format!("{start}{before}{end}")))
                    .collect();
            }
            let resolved = resolve(&text, &mut Generator(seed));
            prop_assert!(possible.contains(&resolved), "{text}: {resolved}");
        }

        #[test]
        fn any_text(text in "([{}|]|[{}|ab⦅é]|\\PC){0,40}", seed: u64) {
            let resolved = resolve(&text, &mut Generator(seed));
            prop_assert!(resolved.len() <= text.len());
            if !has_choice(&text) {
                prop_assert_eq!(resolved, resolve(&text, &mut Generator(seed ^ 1)));
            }
        }
    }
}
