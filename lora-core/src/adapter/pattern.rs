//! Patterns that choose layers.

use super::names::Naming;

/// Whether the layer at `path` is meant: `*` stands for any characters, `?` for one, and the whole
/// path or the whole name of the adapter in LoRA files must match.
pub(super) fn is_meant(pattern: &str, path: &str, naming: Naming) -> bool {
    matches(pattern, path) || naming.of(path).is_some_and(|name| matches(pattern, &name))
}

fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Behind the last `*`, and how far it reaches so far.
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, read));
            }
            Some(c) if *c == '?' || *c == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((behind, reached)) => {
                    star = Some((behind, reached + 1));
                    (at, read) = (behind, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("bc", "abc", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.attn1.*", "unet.x.attn1.to_q", true),
            ("*.attn1.*", "unet.x.attn2.to_q", false),
            ("*ab*ab", "abxabab", true),
            ("*ab*ab", "abxaba", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "`{pattern}` and `{text}`");
        }
        let path = "unet.down_blocks.1.attentions.0.proj_in";
        assert!(is_meant("unet.down_blocks.1.*", path, Naming::Sdxl));
        assert!(is_meant("lora_unet_input_blocks_4_1_*", path, Naming::Sdxl));
        assert!(!is_meant("lora_unet_input_blocks_4_1_*", path, Naming::Sd));
    }
}
