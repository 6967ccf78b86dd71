//! The difference between two captions, for display.

use lora_data::caption::tags_between;

use super::caption_text::CaptionText;

/// A part of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Whether it is in the old caption, the new one or both.
    pub kind: PieceKind,
    /// A tag, or a whole line.
    pub text: String,
}

/// The captions that a piece is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Both captions.
    Kept,
    /// Only the old caption.
    Removed,
    /// Only the new caption.
    Added,
}

/// The most comparisons of tags; larger differences are not the smallest ones.
const MOST_COMPARISONS: usize = 4_000_000;

/// The difference between two texts, line by line, as tags. Lines that are equal are left out. If
/// only white space or separators differ, the pieces are whole lines.
#[must_use]
pub fn difference(old: &str, new: &str, separator: &str) -> Vec<Vec<Piece>> {
    let [old, new] = [old, new].map(|text| CaptionText::new(text, separator));
    let old: Vec<&str> = old.all_lines().collect();
    let new: Vec<&str> = new.all_lines().collect();
    let mut lines = Vec::new();
    for index in 0..old.len().max(new.len()) {
        let line = |lines: &[&str]| lines.get(index).copied().unwrap_or_default().to_owned();
        let (old, new) = (line(&old), line(&new));
        if old == new {
            continue;
        }
        let old_tags: Vec<&str> = tags_between(&old, separator).collect();
        let new_tags: Vec<&str> = tags_between(&new, separator).collect();
        lines.push(if old_tags == new_tags {
            vec![
                piece(PieceKind::Removed, &old),
                piece(PieceKind::Added, &new),
            ]
        } else {
            tag_difference(&old_tags, &new_tags)
        });
    }
    lines
}

fn piece(kind: PieceKind, text: &str) -> Piece {
    Piece {
        kind,
        text: text.into(),
    }
}

fn tag_difference(old: &[&str], new: &[&str]) -> Vec<Piece> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = old.iter().zip(new).take_while(same).count();
    let (middle_old, middle_new) = (&old[start..], &new[start..]);
    let end = middle_old
        .iter()
        .rev()
        .zip(middle_new.iter().rev())
        .take_while(same)
        .count();
    let middle_old = &middle_old[..middle_old.len() - end];
    let middle_new = &middle_new[..middle_new.len() - end];
    let kept = |tags: &[&str]| -> Vec<Piece> {
        tags.iter().map(|tag| piece(PieceKind::Kept, tag)).collect()
    };
    let mut pieces = kept(&old[..start]);
    pieces.extend(longest_common(middle_old, middle_new));
    pieces.extend(kept(&old[old.len() - end..]));
    pieces
}

/// The difference that keeps the most tags.
fn longest_common(old: &[&str], new: &[&str]) -> Vec<Piece> {
    let all =
        |kind, tags: &[&str]| -> Vec<Piece> { tags.iter().map(|tag| piece(kind, tag)).collect() };
    if old.len().saturating_mul(new.len()) > MOST_COMPARISONS {
        let mut pieces = all(PieceKind::Removed, old);
        pieces.extend(all(PieceKind::Added, new));
        return pieces;
    }
    let width = new.len() + 1;
    // The number of tags that the rests from `i` and `j` have in common.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pieces = Vec::new();
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            pieces.push(piece(PieceKind::Kept, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
            pieces.push(piece(PieceKind::Removed, old[i]));
            i += 1;
        } else {
            pieces.push(piece(PieceKind::Added, new[j]));
            j += 1;
        }
    }
    pieces.extend(all(PieceKind::Removed, &old[i..]));
    pieces.extend(all(PieceKind::Added, &new[j..]));
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(old: &str, new: &str) -> Vec<String> {
        let show = |piece: &Piece| match piece.kind {
            PieceKind::Kept => piece.text.clone(),
            PieceKind::Removed => format!("-{}", piece.text),
            PieceKind::Added => format!("+{}", piece.text),
        };
        difference(old, new, ",")
            .iter()
            .map(|line| line.iter().map(show).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn removed_and_added_tags() {
        assert_eq!(shown("a, b, c", "a, x, c"), ["a -b +x c"]);
        assert_eq!(shown("a\nb\n", "a\nb, c\n"), ["b +c"]);
        assert_eq!(shown("", "a, b\n"), ["+a +b"]);
        assert_eq!(shown("a,b", "a, b"), ["-a,b +a, b"]);
        assert!(shown("a", "a").is_empty());
    }

    #[test]
    fn lines_are_those_of_captions() {
        assert_eq!(shown("\u{feff}a, b", "\u{feff}b"), ["-a b"]);
        assert_eq!(shown("a\rb\r", "a\rb, c\r"), ["b +c"]);
        assert_eq!(shown("a, b, \r\n, ,\r\n", "b, \r\n, ,\r\n"), ["-a b"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_captions_follow_from_the_difference(
            old in prop::collection::vec("[abc]", 0..8),
            new in prop::collection::vec("[abc]", 0..8),
        ) {
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            let new: Vec<&str> = new.iter().map(String::as_str).collect();
            let pieces = tag_difference(&old, &new);
            let without = |kind| pieces.iter().filter(|piece| piece.kind != kind).map(|piece| piece.text.as_str()).collect::<Vec<_>>();
            prop_assert_eq!(without(PieceKind::Added), old);
            prop_assert_eq!(without(PieceKind::Removed), new);
        }
    }
}
