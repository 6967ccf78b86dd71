//! The paths that documents name exist.

use std::path::Path;

use super::tree::{files, read, root};

/// Checks links, and the paths in backticks and in tables.
#[test]
fn documents_name_paths_that_exist() {
    let mut missing = Vec::new();
    let mut found = 0;
    for document in files("md") {
        let folder = Path::new(&document).parent().expect("a folder");
        let text = read(&document);
        for path in repository_paths(&text) {
            // `<name>` stands for any name.
            let pattern = any_name(&path);
            found += 1;
            if !exists(&pattern) && !exists(&folder.join(&pattern).to_string_lossy()) {
                missing.push(format!("{document}: {path}"));
            }
        }
        for link in links(&text) {
            found += 1;
            if !root().join(folder).join(&link).exists() {
                missing.push(format!("{document}: link to {link}"));
            }
        }
    }
    assert!(found > 100, "only {found} paths found");
    assert!(
        missing.is_empty(),
        "{} missing:\n{}",
        missing.len(),
        missing.join("\n")
    );
}

/// The tokens in backticks and in table cells that begin with a name of the repository's root and
/// have at least two names. All others are commands, code, or a user's paths.
fn repository_paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in without_fences(text) {
        let mut tokens: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        if line.starts_with('|') {
            tokens.extend(line.split('|').flat_map(|cell| cell.split(", ")));
        }
        for token in tokens.iter().map(|token| token.trim().trim_matches('`')) {
            let is_path = token
                .chars()
                .all(|c| c.is_alphanumeric() || "_./*<>-".contains(c));
            if is_path
                && let Some((first, _)) = token.split_once('/')
                && root().join(first).is_dir()
                && !first.starts_with("output")
            {
                paths.push(token.trim_end_matches('/').to_owned());
            }
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// The relative targets of Markdown links, without anchors.
fn links(text: &str) -> Vec<String> {
    let links = targets(text).into_iter().map(|(path, _)| path);
    links.filter(|path| !path.is_empty()).collect()
}

/// The relative targets of Markdown links: path and anchor, each possibly empty.
fn targets(text: &str) -> Vec<(String, String)> {
    let text = without_fences(text).collect::<Vec<_>>().join("\n");
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://"))
        .map(|target| {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            (path.to_owned(), anchor.to_owned())
        })
        .collect()
}

/// The anchors of a document's headings, as GitHub forms them.
fn anchors(text: &str) -> Vec<String> {
    let headings = without_fences(text).filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Checks the anchors of links to documents of the repository.
#[test]
fn documents_name_headings_that_exist() {
    let mut missing = Vec::new();
    let mut found = 0;
    for document in files("md") {
        let folder = Path::new(&document).parent().expect("a folder");
        let text = read(&document);
        for (path, anchor) in targets(&text) {
            if anchor.is_empty() || !(path.is_empty() || path.ends_with(".md")) {
                continue;
            }
            found += 1;
            let target = if path.is_empty() {
                Ok(text.clone())
            } else {
                std::fs::read_to_string(root().join(folder).join(&path))
            };
            if !target.is_ok_and(|text| anchors(&text).contains(&anchor)) {
                missing.push(format!("{document}: {path}#{anchor}"));
            }
        }
    }
    assert!(found > 3, "only {found} anchors found");
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

fn without_fences(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn any_name(path: &str) -> String {
    let mut pattern = String::new();
    for part in path.split_inclusive('>') {
        match part.split_once('<') {
            Some((before, _)) => pattern += &format!("{before}*"),
            None => pattern += part,
        }
    }
    pattern
}

/// True if a file or folder has this path below the root; `*` is any part of a name.
fn exists(pattern: &str) -> bool {
    let mut folders = vec![root().to_path_buf()];
    for name in pattern.split('/').filter(|name| !name.is_empty()) {
        let mut matching = Vec::new();
        for folder in folders {
            if !name.contains('*') {
                matching.extend(Some(folder.join(name)).filter(|path| path.exists()));
                continue;
            }
            let (start, end) = name.split_once('*').expect("a star");
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let entry_name = entry.file_name().to_string_lossy().into_owned();
                if entry_name.starts_with(start) && entry_name.ends_with(end) {
                    matching.push(entry.path());
                }
            }
        }
        folders = matching;
    }
    !folders.is_empty()
}

#[test]
fn paths_are_recognized() {
    let text = "`src/lib.rs`, `src/config/options/<group>.rs` and `images/a.png`\n\
                | a | src/cli, lora-core/src/*.rs |\n```\n`src/none.rs`\n```\n`cargo test src/x`";
    let paths = [
        "lora-core/src/*.rs",
        "src/cli",
        "src/config/options/<group>.rs",
        "src/lib.rs",
    ];
    assert_eq!(repository_paths(text), paths);
    assert!(paths.iter().all(|path| exists(&any_name(path))));
    assert!(!exists("src/none.rs") && !exists("src/cli/none*.rs"));
    assert_eq!(
        links("[a](b.md#c) [d](https://e) ![f](g.png)"),
        ["b.md", "g.png"]
    );
    assert_eq!(targets("[a](b.md#c)"), [("b.md".into(), "c".into())]);
    assert_eq!(
        anchors("# A `b` (c)\n```\n# d\n```\n## E-f"),
        ["a-b-c", "e-f"]
    );
}
