//! Edits of captions, by example and for any caption.

use proptest::prelude::*;

use super::*;

fn apply(edit: &Edit, text: &str) -> String {
    let frequencies = HashMap::from([("a", 3), ("b", 5), ("c", 1)]);
    let context = EditContext {
        frequencies: &frequencies,
        scores: None,
        // A token per letter.
        count_tokens: &|line| line.chars().filter(|c| c.is_alphabetic()).count(),
        separator: ",",
    };
    edit.apply(Some(text), &context).unwrap()
}

fn texts(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

fn add(tags: &[&str], position: Position) -> Edit {
    let tags = texts(tags);
    Edit::Add { tags, position }
}

fn sort(by: SortBy) -> Edit {
    Edit::Sort {
        by,
        reverse: false,
        keep: 0,
    }
}

fn replace(from: &str, to: &str) -> Edit {
    Edit::Replace(Replacement::literal(from, to, Scope::Tag).unwrap())
}

#[test]
fn tags_are_added_once_at_a_position() {
    assert_eq!(
        apply(&add(&["x", "b", "x"], Position::Last), "a, b"),
        "a, b, x"
    );
    assert_eq!(
        apply(&add(&["x", "y"], Position::First), "a,b\nx\n"),
        "x,y,a,b\ny,x\n"
    );
    assert_eq!(apply(&add(&["x"], Position::At(2)), "a, b"), "a, x, b");
    assert_eq!(apply(&add(&["x"], Position::At(9)), "a, b,"), "a, b, x,");
    assert_eq!(apply(&add(&["x", "y"], Position::First), " \n"), "x, y\n");
}

#[test]
fn tags_are_removed_and_moved() {
    let remove = Edit::Remove {
        tags: texts(&["b", "c"]),
    };
    assert_eq!(apply(&remove, "a,b , c\r\nb\nbb, a"), "a\r\n\nbb, a");
    let first = Edit::MoveFirst {
        tags: texts(&["c", "x", "b"]),
    };
    assert_eq!(apply(&first, "a, b, c, a, b"), "c, b, b, a, a");
    assert_eq!(apply(&Edit::Dedupe, "a, b, a, A\na"), "a, b, A\na");
}

#[test]
fn tags_are_sorted() {
    assert_eq!(apply(&sort(SortBy::Alphabet), "b, A, a, C"), "A, a, b, C");
    assert_eq!(
        apply(&sort(SortBy::Frequency), "x, a, y, b, c"),
        "b, a, c, x, y"
    );
    assert_eq!(
        apply(&sort(SortBy::Length), "ccc, ää, b, dd"),
        "b, ää, dd, ccc"
    );
    let edit = Edit::Sort {
        by: SortBy::Length,
        reverse: true,
        keep: 1,
    };
    assert_eq!(apply(&edit, "b, dd, ccc, ee"), "b, ccc, dd, ee");
}

#[test]
fn tags_and_texts_are_replaced() {
    assert_eq!(apply(&replace("a", "x"), "a, aa, b"), "x, aa, b");
    assert_eq!(apply(&replace("a", ""), "a, b"), "b");
    assert_eq!(apply(&replace("a", "b"), "a, c, b, b"), "c, b, b");
    assert_eq!(apply(&replace("a", "x, y"), "b, a"), "b, x, y");
    let regex =
        |from: &str, to: &str, scope| Edit::Replace(Replacement::regex(from, to, scope).unwrap());
    let edit = regex(r"(\w+) hair", "$1-haired", Scope::Tag);
    assert_eq!(apply(&edit, "long hair, hair"), "long-haired, hair");
    assert_eq!(apply(&regex("^b.*", "", Scope::Tag), "a, bc, cb"), "a, cb");
    let text =
        |from: &str, to: &str| Edit::Replace(Replacement::literal(from, to, Scope::Text).unwrap());
    assert_eq!(
        apply(&text("a cat, ", ""), "a cat, sitting\na dog"),
        "sitting\na dog"
    );
    assert_eq!(apply(&text("cat", "dog"), "a cat,  cats"), "a dog,  dogs");
    assert_eq!(apply(&text("b", ""), "a,b , c"), "a,c");
    assert_eq!(apply(&regex(r"\d", "", Scope::Text), "a1, 2, b"), "a, b");
}

#[test]
fn replacements_have_groups() {
    let replaced = |to: &str| {
        let regex = Replacement::regex(r"(?<number>\d)girls?", to, Scope::Tag)?;
        Ok::<_, Error>(apply(&Edit::Replace(regex), "2girls, x"))
    };
    for (to, expected) in [
        ("$1woman", "2woman, x"),
        (r"\1women", "2women, x"),
        ("${number} ${1}", "2 2, x"),
        (r"$$1, $ \(a\) $", r"$1, $ \(a\) $, x"),
    ] {
        assert_eq!(replaced(to).unwrap(), expected, "{to}");
    }
    for to in ["$2", "${name}", r"\9", "${"] {
        let message = replaced(to).map_err(|error| error.to_string());
        if to == "${" {
            assert_eq!(message.unwrap(), "${, x");
        } else {
            assert!(
                message.unwrap_err().starts_with("`TO`: found the group "),
                "{to}"
            );
        }
    }
}

#[test]
fn captions_are_truncated_to_tokens() {
    let edit = Edit::Truncate { tokens: 5 };
    assert_eq!(apply(&edit, "aa, bb, cc, d\naaa, bb"), "aa, bb\naaa, bb");
    assert_eq!(apply(&edit, "aaaaaaaa, b"), "aaaaaaaa");
}

#[test]
fn mistakes_are_errors() {
    let message = Replacement::regex("a)", "", Scope::Tag)
        .unwrap_err()
        .to_string();
    assert!(message.contains("`FROM`: found \"a)\"") && message.contains("unopened group"));
    assert!(Replacement::literal(" ", "x", Scope::Tag).is_err());
    for to in ["x\ny", "x\r"] {
        for replacement in [Replacement::literal, Replacement::regex] {
            let message = replacement("a", to, Scope::Tag).unwrap_err().to_string();
            assert!(message.ends_with("expected a tag without line breaks"));
            let text = replacement("a", to, Scope::Text).unwrap();
            assert_eq!(apply(&Edit::Replace(text), "a, b"), format!("{to}, b"));
        }
    }
}

/// The tags of each line, sorted.
fn sorted_tags(text: &str) -> Vec<Vec<&str>> {
    let tags = |line| {
        let mut tags: Vec<&str> = tags_between(line, ",").collect();
        tags.sort_unstable();
        tags
    };
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(tags).collect()
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let tag = || "[x-z]{1,2}";
    let tags = prop::collection::vec(tag(), 1..4);
    let position = prop_oneof![
        Just(Position::First),
        Just(Position::Last),
        (1_usize..5).prop_map(Position::At),
    ];
    let by = prop::sample::select(vec![
        SortBy::Alphabet,
        SortBy::Frequency,
        SortBy::Score,
        SortBy::Length,
    ]);
    prop_oneof![
        (tags.clone(), position).prop_map(|(tags, position)| Edit::Add { tags, position }),
        tags.clone().prop_map(|tags| Edit::Remove { tags }),
        tags.prop_map(|tags| Edit::MoveFirst { tags }),
        (tag(), tag()).prop_map(|(from, to)| replace(&from, &to)),
        (by, any::<bool>(), 0_usize..3).prop_map(|(by, reverse, keep)| Edit::Sort {
            by,
            reverse,
            keep
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The edits name only tags of x, y and z.
    #[test]
    fn tags_that_no_edit_names_stay(text in "\u{feff}?([a-z]{0,2}(,|, |\n|\r\n| , )){0,12}", edit in any_edit()) {
        let edited = apply(&edit, &text);
        let named = |tag: &&str| !tag.starts_with(['x', 'y', 'z']);
        let rest = |text: &str| -> Vec<Vec<String>> {
            let lines = sorted_tags(text).into_iter();
            let mut rest: Vec<Vec<String>> = lines
                .map(|tags| tags.into_iter().filter(named).map(Into::into).collect())
                .collect();
            // A last line without its end is no line once it is empty.
            while rest.last().is_some_and(Vec::is_empty) {
                rest.pop();
            }
            rest
        };
        let filled = matches!(edit, Edit::Add { .. }) && CaptionText::new(&text, ",").is_empty();
        if !filled {
            prop_assert_eq!(rest(&edited), rest(&text));
        }
    }

    #[test]
    fn a_second_edit_changes_nothing(text in "([a-c]{0,2}(,|, |\n|\r\n)){0,12}", edit in any_edit()) {
        for edit in [&edit, &Edit::Dedupe, &Edit::Truncate { tokens: 4 }] {
            let once = apply(edit, &text);
            prop_assert_eq!(apply(edit, &once), once);
        }
    }

    #[test]
    fn dedupe_keeps_each_tag_once(text in "([a-c]{0,2}(,|, |\n)){0,12}") {
        for (old, new) in sorted_tags(&text).into_iter().zip(sorted_tags(&apply(&Edit::Dedupe, &text))) {
            let mut old = old;
            old.dedup();
            prop_assert_eq!(new, old);
        }
    }

    #[test]
    fn truncated_captions_fit(text in "([a-c]{0,2}(,|, |\n)){0,12}", tokens in 2_usize..9) {
        for line in apply(&Edit::Truncate { tokens }, &text).lines() {
            prop_assert!(line.chars().filter(|c| c.is_alphabetic()).count() <= tokens);
        }
    }
}
