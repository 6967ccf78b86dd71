//! Messages and documents use the words of the field: CONTRIBUTING's glossary.

use super::tree::{files, read};
use crate::source_text::{self, Kind, Token};

/// Words, and phrases of several words, that have a better one in the glossary.
const FORBIDDEN: [&str; 15] = [
    "picture",
    "pictures",
    "told",
    "tell",
    "tells",
    "telling",
    "doubt",
    "doubts",
    "velocities",
    "enlarge",
    "enlarges",
    "enlarged",
    "share of",
    "goes before",
    "go before",
];

#[test]
fn documents_use_the_words_of_the_field() {
    let mut found = Vec::new();
    for document in files("md") {
        for (index, line) in read(&document).lines().enumerate() {
            report(&mut found, &document, index + 1, line);
        }
    }
    assert_none(&found);
}

/// Doc comments and string literals; not those of tests.
#[test]
fn rust_uses_the_words_of_the_field() {
    let mut found = Vec::new();
    for path in files("rs").into_iter().filter(|path| !is_test(path)) {
        let tokens = source_text::without_tests(source_text::rust(&read(&path)));
        for token in joined_docs(tokens) {
            if matches!(token.kind, Kind::Doc | Kind::Text) {
                report(&mut found, &path, token.line, &token.text);
            }
        }
    }
    assert_none(&found);
}

/// Docstrings and string literals; not those of tests.
#[test]
fn python_uses_the_words_of_the_field() {
    let mut found = Vec::new();
    for path in files("py").into_iter().chain(files("pyi")) {
        if !path.starts_with("bindings-python/python/") {
            continue;
        }
        for token in source_text::python(&read(&path)) {
            if token.kind == Kind::Text {
                report(&mut found, &path, token.line, &token.text);
            }
        }
    }
    assert_none(&found);
}

fn is_test(path: &str) -> bool {
    let mut names = path.split('/');
    path.starts_with("benches/") || names.any(|name| name == "tests" || name == "tests.rs")
}

/// The lines of a doc comment as one text, so that phrases are found across lines.
fn joined_docs(tokens: Vec<Token>) -> Vec<Token> {
    let mut joined: Vec<Token> = Vec::new();
    for token in tokens {
        if token.kind == Kind::Doc
            && let Some(last) = joined.last_mut()
            && last.kind == Kind::Doc
        {
            last.text += &format!("\n{}", token.text);
        } else {
            joined.push(token);
        }
    }
    joined
}

fn report(found: &mut Vec<String>, path: &str, line: usize, text: &str) {
    found.extend(forbidden(text).map(|word| format!("{path}:{line}: {word}")));
}

/// The forbidden words in a text; code in backticks may have any words.
fn forbidden(text: &str) -> impl Iterator<Item = &'static str> {
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ` ");
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '`')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let text = format!(" {} ", words.join(" "));
    FORBIDDEN
        .into_iter()
        .filter(move |word| text.contains(&format!(" {word} ")))
}

fn assert_none(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} words to replace:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn forbidden_words_are_found() {
    let found = |text: &str| forbidden(text).collect::<Vec<_>>();
    assert_eq!(
        found("A Picture, `told` of\nits share\n of."),
        ["picture", "share of"]
    );
    assert_eq!(
        found("share `x` of, shared, tell_me, teller, untold"),
        [""; 0]
    );
}
