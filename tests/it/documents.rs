//! Documents are true, and the texts of the sources follow the rules of CONTRIBUTING.

mod paths;
mod tree;
mod words;

use self::tree::{files, read};
use crate::source_text::{self, Kind};

/// Returns the code block after the line that opens it.
fn block<'a>(text: &'a str, opening: &str) -> &'a str {
    let (_, rest) = text
        .split_once(opening)
        .unwrap_or_else(|| panic!("no `{opening}`"));
    rest.split("```")
        .next()
        .expect("the rest of the text")
        .trim_start_matches('\n')
}

#[test]
fn the_readme_shows_the_example() {
    let example = read("examples/train.rs");
    let code = example
        .find("\nuse ")
        .map(|start| &example[start + 1..])
        .expect("imports");
    assert_eq!(block(&read("README.md"), "```rust,no_run"), code);
}

/// The options in the README's TOML exist, and their values are in range.
#[test]
fn the_readme_shows_a_configuration() {
    let config = lora_trainer::TrainConfig::from_toml_str(block(&read("README.md"), "```toml"))
        .expect("options");
    config.validate().expect("values");
}

/// Each decision of ARCHITECTURE opens with a sentence in bold.
#[test]
fn decisions_open_with_a_sentence() {
    let text = read("ARCHITECTURE.md");
    let (_, section) = text.split_once("\n## Decisions\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("a next section");
    let decisions: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    assert!(decisions.len() > 20, "{decisions:?}");
    for (index, decision) in decisions.iter().enumerate() {
        let rest = decision.strip_prefix(&format!("{}. **", index + 1));
        assert!(rest.is_some_and(|rest| rest.contains(".**")), "{decision}");
    }
}

/// Comments fit into 100 columns, as rustfmt's code does; but for tables, links and code.
#[test]
fn comments_are_wrapped() {
    let mut wide = Vec::new();
    for path in files("rs") {
        let source = read(&path);
        let lines: Vec<&str> = source.lines().collect();
        let mut is_code = false;
        for token in source_text::rust(&source) {
            if !matches!(token.kind, Kind::Comment | Kind::Doc) {
                continue;
            }
            let is_fence = token.text.trim_start().starts_with("```");
            is_code ^= is_fence;
            let is_free = is_code || is_fence || token.text.trim_start().starts_with('|');
            let width = lines[token.line - 1].chars().count();
            if width > 100 && !is_free && !token.text.contains("://") {
                wide.push(format!("{path}:{}: {width} columns", token.line));
            }
        }
    }
    assert!(
        wide.is_empty(),
        "{} wide comments:\n{}",
        wide.len(),
        wide.join("\n")
    );
}
