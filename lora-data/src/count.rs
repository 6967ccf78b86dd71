//! Numbers with their nouns, for messages.

use std::fmt::Display;

/// A number with its noun in the singular or plural: `1 image`, `2 images`, `0 batches`.
///
/// `noun` is the singular; of several words the last one takes the plural: `3 caption files`. The
/// plural is regular: `-es` after `s`, `x`, `z`, `ch` (but `epochs`) and `sh`, `-ies` for a `y`
/// after a consonant, else `-s`.
///
/// ```
/// use lora_data::count;
///
/// assert_eq!(count(1, "image"), "1 image");
/// assert_eq!(count(20_u64, "batch"), "20 batches");
/// ```
#[must_use]
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) {
        format!("{number} {noun}")
    } else {
        format!("{number} {}", plural(noun))
    }
}

fn plural(noun: &str) -> String {
    if let Some(stem) = noun.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    // The `ch` of an epoch is spoken as `k`.
    let hisses = noun.ends_with(['s', 'x', 'z']) || noun.ends_with("ch") || noun.ends_with("sh");
    if hisses && !noun.ends_with("epoch") {
        format!("{noun}es")
    } else {
        format!("{noun}s")
    }
}

/// Counts sorted from the most to the least frequent; equally frequent ones by name.
#[must_use]
pub fn most_frequent<T: Ord>(counts: impl IntoIterator<Item = (T, usize)>) -> Vec<(T, usize)> {
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, first), (b, second)| second.cmp(first).then_with(|| a.cmp(b)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_others_are_plural() {
        assert_eq!(count(0_usize, "image"), "0 images");
        assert_eq!(count(1_usize, "image"), "1 image");
        assert_eq!(count(2_usize, "image"), "2 images");
        assert_eq!(count(1_u64, "caption file"), "1 caption file");
        assert_eq!(count(10_u32, "caption file"), "10 caption files");
    }

    #[test]
    fn plurals_are_regular() {
        for (noun, plural) in [
            ("batch", "3 batches"),
            ("box", "3 boxes"),
            ("pass", "3 passes"),
            ("mesh", "3 meshes"),
            ("entry", "3 entries"),
            ("key", "3 keys"),
            ("epoch", "3 epochs"),
            ("byte", "3 bytes"),
        ] {
            assert_eq!(count(3_i64, noun), plural);
        }
    }
}
