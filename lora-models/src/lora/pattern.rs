//! Patterns that choose layers.

use lora_core::layers::LayerPath;

use super::naming::Naming;

/// True if the pattern matches the layer: its whole path, or the whole name of its adapter in LoRA
/// files. `*` matches any characters, `?` one.
pub(super) fn matches_layer(pattern: &str, layer: &LayerPath, naming: Naming) -> bool {
    let name = naming.adapter_name(layer);
    matches(pattern, &layer.to_string()) || name.is_some_and(|name| matches(pattern, &name))
}

fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The position after the last `*`, and the end of the text that it matches so far.
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
                Some((after, reached)) => {
                    star = Some((after, reached + 1));
                    (at, read) = (after, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use lora_core::layers::Network;

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
        let path = LayerPath::new(Network::Unet, "down_blocks.1.attentions.0.proj_in");
        assert!(matches_layer("unet.down_blocks.1.*", &path, Naming::Sdxl));
        assert!(matches_layer(
            "lora_unet_input_blocks_4_1_*",
            &path,
            Naming::Sdxl
        ));
        assert!(!matches_layer(
            "lora_unet_input_blocks_4_1_*",
            &path,
            Naming::Sd
        ));
    }
}
