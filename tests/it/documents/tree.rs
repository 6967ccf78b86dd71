//! The files of this repository.

use std::path::Path;

/// Names that are not part of the repository: build output, runs, virtual environments.
const GENERATED: [&str; 7] = [
    "target",
    "output",
    "logs",
    "dist",
    "venv",
    "__pycache__",
    "shared",
];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The paths of all files with this extension, sorted, with `/` between names. The reference data,
/// which has texts of its own, is left out.
pub(crate) fn files(extension: &str) -> Vec<String> {
    let mut files = Vec::new();
    collect("", extension, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no .{extension} files");
    files
}

fn collect(folder: &str, extension: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let is_generated = name.starts_with('.') || GENERATED.iter().any(|g| name.starts_with(g));
        if entry.file_type().expect("a type").is_dir() {
            if !is_generated && path != "tests/golden" {
                collect(&path, extension, files);
            }
        } else if Path::new(&name).extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
}
