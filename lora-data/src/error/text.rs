//! Parts of messages.

use super::Error;

/// The first problems, one a line.
pub(super) fn listed(problems: &[Error]) -> String {
    const SHOWN: usize = 20;
    let mut text = format!("{} problems", problems.len());
    for problem in problems.iter().take(SHOWN) {
        text += &format!("\n  {problem}");
    }
    if problems.len() > SHOWN {
        text += &format!("\n  and {} more", problems.len() - SHOWN);
    }
    text
}

pub(super) fn lines(notices: &[String]) -> String {
    notices
        .iter()
        .map(|notice| format!("\n  {notice}"))
        .collect()
}

pub(super) fn captions_only(captions: usize) -> String {
    if captions == 0 {
        String::new()
    } else {
        format!(", only {captions} caption files")
    }
}

/// The first few names, each in backquotes; `none` where there are none.
pub(super) fn quoted_or(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.into()
    } else {
        quoted(names)
    }
}

/// The first few names, each in backquotes.
pub(super) fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
