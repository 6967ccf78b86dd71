//! Changes of captions in colour: removed tags are red, added ones green.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use lora_tag::captions::{Captions, Piece, PieceKind, Plan, difference};

const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();
const FILE: Style = Style::new().bold();

/// Prints the changes of a plan. Colours are only for terminals; without them, removed tags are
/// `[-tag-]` and added ones `{+tag+}`.
pub(super) fn print_differences(captions: &Captions, plan: &Plan) {
    let separator = &captions.options().caption_separator;
    let mut out = anstream::stdout().lock();
    for caption in &plan.captions {
        let created = if caption.old.is_none() { " (new)" } else { "" };
        let file = caption.file.display();
        let _ = writeln!(out, "{FILE}{file}{FILE:#}{created}");
        let old = caption.old.as_deref().unwrap_or_default();
        for line in difference(old, &caption.new, separator) {
            let pieces: Vec<String> = line.iter().map(painted).collect();
            let _ = writeln!(
                out,
                "  {}",
                pieces.join(&format!("{} ", separator.trim_end()))
            );
        }
    }
}

/// Prints a file that would be deleted.
pub(super) fn print_removed(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "{REMOVED}[-{text}-]{REMOVED:#}");
}

fn painted(piece: &Piece) -> String {
    let text = &piece.text;
    match piece.kind {
        PieceKind::Kept => text.clone(),
        PieceKind::Removed => format!("{REMOVED}[-{text}-]{REMOVED:#}"),
        PieceKind::Added => format!("{ADDED}{{+{text}+}}{ADDED:#}"),
    }
}
