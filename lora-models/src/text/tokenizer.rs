//! CLIP's byte-pair encoding, split into windows of 77 tokens.

use std::fmt::Write as _;

use serde_json::json;

/// Tokens per input of the text encoder.
pub const WINDOW: usize = 77;

/// One input of the text encoder.
pub type Window = [u32; WINDOW];

/// Tokens of a window between its start token and its last token.
pub(super) const INNER: usize = WINDOW - 2;
const START: u32 = 49406;
pub(super) const END: u32 = 49407;
/// Lines of "left right" in the order of their rank, as published by OpenAI with CLIP (MIT
/// licence).
const MERGES: &str = include_str!("clip_merges.txt");

/// The maximum number of tokens of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TokenLimit {
    /// 75, one window.
    #[default]
    One,
    /// 150, two windows.
    Two,
    /// 225, three windows.
    Three,
}

impl TokenLimit {
    /// Number of windows.
    #[must_use]
    pub fn windows(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// Number of tokens: 75 per window.
    #[must_use]
    pub fn tokens(self) -> usize {
        self.windows() * INNER
    }

    /// Length of the encoder hidden states: the tokens, one state before and one after them.
    #[must_use]
    pub fn sequence_length(self) -> usize {
        self.tokens() + 2
    }
}

/// CLIP-L's tokenizer with its vocabulary. It gives the ids of transformers' `CLIPTokenizerFast`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer {
    /// Size of the vocabulary.
    pub const VOCABULARY: usize = END as usize + 1;

    /// Builds the tokenizer from the embedded merge list.
    #[must_use]
    pub fn new() -> Self {
        match definition().to_string().parse() {
            Ok(inner) => Self { inner },
            Err(error) => unreachable!("the embedded vocabulary is valid: {error}"),
        }
    }

    /// All token ids of a text, without start and end token.
    #[must_use]
    pub fn ids(&self, text: &str) -> Vec<u32> {
        match self.inner.encode(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(error) => unreachable!("byte-level encoding takes every text: {error}"),
        }
    }

    /// The token ids of a text as windows: start token, 75 tokens, end token. Tokens beyond the
    /// limit are dropped; free positions are filled with end tokens.
    #[must_use]
    pub fn windows(&self, text: &str, limit: TokenLimit) -> Vec<Window> {
        fill_windows(self.ids(text), limit, Padding::End)
    }

    /// As [`windows`](Self::windows), with the padding of another encoder.
    pub(super) fn windows_padded(
        &self,
        text: &str,
        limit: TokenLimit,
        padding: Padding,
    ) -> Vec<Window> {
        fill_windows(self.ids(text), limit, padding)
    }
}

/// The padding after a text that does not fill its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// End tokens: CLIP-L.
    End,
    /// One end token, then zeros: OpenCLIP.
    Zero,
}

/// See [`Tokenizer::windows`].
pub(super) fn fill_windows(mut ids: Vec<u32>, limit: TokenLimit, padding: Padding) -> Vec<Window> {
    ids.truncate(limit.tokens());
    // The text's end token, then padding. A window full of text ends with its own end token
    // (below).
    if padding == Padding::Zero && ids.len() < limit.tokens() {
        ids.push(END);
    }
    let filler = if padding == Padding::End { END } else { 0 };
    ids.resize(limit.tokens(), filler);
    ids.chunks_exact(INNER)
        .map(|inner| {
            let mut window = [filler; WINDOW];
            window[0] = START;
            window[1..=INNER].copy_from_slice(inner);
            // As in sd-scripts: a window full of text ends with an end token, and a window of
            // padding alone starts with one.
            if !matches!(inner[INNER - 1], END) && inner[INNER - 1] != filler {
                window[WINDOW - 1] = END;
            }
            if inner[0] == filler {
                window[1] = END;
            }
            window
        })
        .collect()
}

/// The tokenizer as `tokenizer.json`.
fn definition() -> serde_json::Value {
    let merges: Vec<&str> = MERGES
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .collect();
    let vocabulary: serde_json::Map<_, _> = vocabulary(&merges)
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false})
    };
    let pieces = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(START, "<|startoftext|>"), special(END, "<|endoftext|>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pieces}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
             "use_regex": true},
        ]},
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<|endoftext|>",
            "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": merges,
        },
    })
}

/// All tokens in the order of their ids: bytes, bytes at the end of a word, merges, the two special
/// tokens.
fn vocabulary(merges: &[&str]) -> Vec<String> {
    let symbols = byte_symbols();
    let mut tokens: Vec<String> = symbols.iter().map(ToString::to_string).collect();
    tokens.extend(symbols.iter().map(|symbol| format!("{symbol}</w>")));
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    for special in ["startoftext", "endoftext"] {
        let mut token = String::new();
        // Writing to a string cannot fail.
        let _ = write!(token, "<|{special}|>");
        tokens.push(token);
    }
    tokens
}

/// The printable characters that represent bytes (GPT-2's table): first the bytes that are
/// printable themselves, then the others as U+0100, U+0101, …
fn byte_symbols() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..=255_u8).filter(|byte| !printable(byte)).count() as u32;
    let themselves = (0..=255_u8).filter(printable).map(char::from);
    themselves
        .chain((0..others).filter_map(|n| char::from_u32(256 + n)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids() {
        let tokenizer = Tokenizer::new();
        for (text, ids) in [
            ("a photo of a cat", &[320, 1125, 539, 320, 2368][..]),
            (
                "1girl, solo, masterpiece, best quality",
                &[272, 1611, 267, 5797, 267, 12066, 267, 949, 3027],
            ),
            (
                "long_hair, @_@, :d",
                &[1538, 318, 2225, 267, 31, 62, 31, 267, 281, 323],
            ),
            ("Zuki  (Series)", &[89, 9009, 263, 1857, 264]),
            ("it's 2024!!", &[585, 568, 273, 271, 273, 275, 748]),
            ("!", &[256]),
            ("カ猫", &[37367, 163, 234, 360]),
            ("", &[]),
        ] {
            assert_eq!(tokenizer.ids(text), ids, "{text}");
        }
    }

    #[test]
    fn windows_are_full() {
        let tokenizer = Tokenizer::new();
        let short = tokenizer.windows("a cat", TokenLimit::One);
        assert_eq!(short.len(), 1);
        assert_eq!(short[0][..5], [START, 320, 2368, END, END]);
        let long = tokenizer.windows(&"cat ".repeat(100), TokenLimit::Two);
        assert_eq!(long.len(), 2);
        assert_eq!((long[0][75], long[0][76]), (2368, END));
        assert_eq!((long[1][0], long[1][25], long[1][26]), (START, 2368, END));
    }
}
