//! Notices about a folder, in the words of the command line.

use lora_data::{Notice, count};

/// The notices as warnings. All subfolders that are left out share a line.
pub(super) fn lines<'a>(notices: impl IntoIterator<Item = &'a Notice>) -> Vec<String> {
    let (nested, others): (Vec<&Notice>, Vec<&Notice>) = notices
        .into_iter()
        .partition(|notice| matches!(notice, Notice::Nested { .. }));
    let mut lines = Vec::new();
    if !nested.is_empty() {
        let folders = count(nested.len(), "subfolder");
        lines.push(format!(
            "warning: ignoring {folders}; --recursive includes them"
        ));
    }
    lines.extend(others.iter().map(|notice| format!("warning: {notice}")));
    lines
}
