//! Parts of messages.

use std::fmt::Display;

use crate::count::count;
use crate::notice::Notice;

/// The only problem, or the number of problems and then one per line. `unlisted` problems are
/// counted, but not shown.
pub(super) fn problem_list<P: Display>(problems: &[P], unlisted: usize) -> String {
    if let ([problem], 0) = (problems, unlisted) {
        return problem.to_string();
    }
    let mut text = count(problems.len() + unlisted, "problem");
    for problem in problems {
        text += &format!("\n  {problem}");
    }
    if unlisted > 0 {
        text += &format!("\n  and {unlisted} more");
    }
    text
}

/// The notices, each in a line of its own.
pub(super) fn notice_lines(notices: &[Notice]) -> String {
    notices
        .iter()
        .map(|notice| format!("\n  {notice}"))
        .collect()
}

/// `, only 3 caption files`; nothing if there are none.
pub(super) fn only_captions(captions: usize) -> String {
    if captions == 0 {
        String::new()
    } else {
        format!(", only {}", count(captions, "caption file"))
    }
}

/// The first few names in backquotes; `none` if there are no names.
pub(super) fn quoted_or(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.into()
    } else {
        quoted(names)
    }
}

/// The first few names in backquotes.
pub(super) fn quoted(names: &[String]) -> String {
    const MOST: usize = 5;
    let mut text = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MOST {
        text += &format!(" and {} more", names.len() - MOST);
    }
    text
}

/// Text of a file for a message: at most `most` characters in one line.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut line: String = text
        .chars()
        .take(most)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    // Quotes are readable without a backslash.
    line.replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_counted_and_listed() {
        assert_eq!(problem_list(&["a"], 0), "a");
        assert_eq!(problem_list(&["a", "b"], 0), "2 problems\n  a\n  b");
        assert_eq!(problem_list(&["a"], 1), "2 problems\n  a\n  and 1 more");
    }
}
