//! Keys of a LoRA file: an adapter's name and an ending for each tensor.

use super::stack::Factor;

/// The endings of the two factors' keys: sd-scripts; PEFT; diffusers' three older ones.
const ENDINGS: [[&str; 2]; 6] = [
    [".lora_down.weight", ".lora_up.weight"],
    [".lora_A.weight", ".lora_B.weight"],
    [".lora_A.default.weight", ".lora_B.default.weight"],
    [".lora.down.weight", ".lora.up.weight"],
    [
        ".lora_linear_layer.down.weight",
        ".lora_linear_layer.up.weight",
    ],
    [".down.weight", ".up.weight"],
];

fn endings() -> impl Iterator<Item = (&'static str, Factor)> {
    ENDINGS
        .into_iter()
        .flat_map(|[down, up]| [(down, Factor::Down), (up, Factor::Up)])
}

/// The key of a factor in a file of sd-scripts, in which this program writes.
pub(super) fn file_key(name: &str, factor: Factor) -> String {
    format!("{name}{}", ENDINGS[0][factor as usize])
}

/// The key of an adapter's alpha.
pub(super) fn alpha_key(name: &str) -> String {
    format!("{name}.alpha")
}

/// The keys that any program may give the factors of the adapter with this name.
pub fn factor_keys(name: &str) -> impl Iterator<Item = (String, Factor)> {
    endings().map(move |(ending, factor)| (format!("{name}{ending}"), factor))
}

/// The adapter's name and the factor of a LoRA file's key, as any program writes it.
#[must_use]
pub fn split_key(key: &str) -> Option<(&str, Factor)> {
    if !key.contains("lora") {
        return None;
    }
    endings().find_map(|(ending, factor)| Some((key.strip_suffix(ending)?, factor)))
}

/// True if a key is one of a LoRA file's, as any program writes it.
#[must_use]
pub fn is_lora_key(key: &str) -> bool {
    split_key(key).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_program() {
        for (key, expected) in [
            (
                "lora_unet_x.lora_down.weight",
                Some(("lora_unet_x", Factor::Down)),
            ),
            ("unet.x.lora_B.weight", Some(("unet.x", Factor::Up))),
            (
                "unet.x_lora.down.weight",
                Some(("unet.x_lora", Factor::Down)),
            ),
            ("unet.down.weight", None),
            ("lora_unet_x.alpha", None),
        ] {
            assert_eq!(split_key(key), expected, "{key}");
            assert_eq!(is_lora_key(key), expected.is_some(), "{key}");
        }
        assert!(factor_keys("x").any(|key| key == ("x.lora_A.weight".to_owned(), Factor::Down)));
    }
}
