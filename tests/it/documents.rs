//! README and ARCHITECTURE say what is so.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The code block behind the line that opens it.
fn block<'a>(text: &'a str, opening: &str) -> &'a str {
    let (_, rest) = text
        .split_once(opening)
        .unwrap_or_else(|| panic!("no `{opening}`"));
    rest.split("```")
        .next()
        .expect("the text behind")
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

/// The options of the README's TOML are options, and its values are within their ranges.
#[test]
fn the_readme_shows_a_configuration() {
    let config = lora_trainer::TrainConfig::from_toml_str(block(&read("README.md"), "```toml"))
        .expect("options");
    config.validate().expect("values");
}

#[test]
fn the_data_flow_names_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    let (_, section) = text.split_once("## Data flow").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("a section behind it");
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    let places = rows.map(|row| {
        row.trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .expect("a last column")
    });
    let paths: Vec<&str> = places.flat_map(|places| places.split(", ")).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "no {path}");
    }
}
