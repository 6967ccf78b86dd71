//! Prompt weighting.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::tokenizer::{INNER, Padding, TokenLimit, Tokenizer, Window, fill_windows};

/// The factor of round brackets.
const ROUND: f64 = 1.1;
/// The factor of square brackets.
const SQUARE: f64 = 1.0 / 1.1;

/// A part of a prompt with one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// The text, without brackets, weights and backslashes.
    pub text: String,
    /// The factor of the hidden states of its tokens.
    pub weight: f64,
}

/// Splits a prompt into fragments of one weight each, with the syntax of AUTOMATIC1111's web UI. An
/// empty prompt gives one empty fragment.
///
/// | syntax | weight of `x` |
/// |---|---|
/// | `(x)` | 1.1 |
/// | `[x]` | 1 / 1.1 |
/// | `(x:1.3)` | 1.3 |
/// | `\(x\)` | 1, and the brackets belong to the text; also `\[`, `\]` and `\\` |
///
/// The weights of nested brackets multiply. An opening bracket without a closing one reaches to the
/// end of the prompt; a closing bracket without an opening one is text. A backslash before any
/// other character is dropped. A weight that is not a number, as in `(x:1.2.3)`, is text.
///
/// This syntax is for prompts only: for [`Tokenizer::ids`] brackets are text.
///
/// ```
/// use lora_models::text::{Fragment, parse_weights};
///
/// let fragment = |text: &str, weight| Fragment { text: text.into(), weight };
/// assert_eq!(
///     parse_weights("a (red:1.3) cat"),
///     [fragment("a ", 1.0), fragment("red", 1.3), fragment(" cat", 1.0)]
/// );
/// ```
#[must_use]
pub fn parse_weights(prompt: &str) -> Vec<Fragment> {
    let mut parser = Parser::default();
    let mut rest = prompt;
    while let Some(first) = rest.chars().next() {
        rest = parser.take(first, rest);
    }
    parser.finish()
}

#[derive(Debug, Default)]
struct Parser {
    fragments: Vec<Fragment>,
    /// The number of fragments before each open `(`.
    round: Vec<usize>,
    /// The same for `[`.
    square: Vec<usize>,
}

impl Parser {
    /// Parses the start of the text and returns the rest.
    fn take<'a>(&mut self, first: char, text: &'a str) -> &'a str {
        let rest = &text[first.len_utf8()..];
        match first {
            '\\' => {
                let end = usize::from(rest.starts_with(['(', ')', '[', ']', '\\']));
                let (escaped, rest) = rest.split_at(end);
                self.push(escaped);
                return rest;
            }
            '(' => self.round.push(self.fragments.len()),
            '[' => self.square.push(self.fragments.len()),
            ')' => match self.round.pop() {
                Some(start) => self.multiply(start, ROUND),
                None => self.push(")"),
            },
            ']' => match self.square.pop() {
                Some(start) => self.multiply(start, SQUARE),
                None => self.push("]"),
            },
            ':' => {
                // If no bracket is open, the weight and the bracket are text.
                if let Some((weight, rest)) = explicit_weight(rest)
                    && let Some(start) = self.round.pop()
                {
                    self.multiply(start, weight);
                    return rest;
                }
                self.push(":");
            }
            _ => {
                let end = text
                    .find(['\\', '(', ')', '[', ']', ':'])
                    .unwrap_or(text.len());
                let (plain, rest) = text.split_at(end);
                self.push(plain);
                return rest;
            }
        }
        rest
    }

    fn push(&mut self, text: &str) {
        self.fragments.push(Fragment {
            text: text.into(),
            weight: 1.0,
        });
    }

    fn multiply(&mut self, start: usize, factor: f64) {
        for fragment in &mut self.fragments[start..] {
            fragment.weight *= factor;
        }
    }

    /// Closes open brackets and joins neighbouring fragments of the same weight.
    fn finish(mut self) -> Vec<Fragment> {
        for start in std::mem::take(&mut self.round) {
            self.multiply(start, ROUND);
        }
        for start in std::mem::take(&mut self.square) {
            self.multiply(start, SQUARE);
        }
        let mut joined: Vec<Fragment> = Vec::new();
        for fragment in self
            .fragments
            .into_iter()
            .filter(|fragment| !fragment.text.is_empty())
        {
            match joined.last_mut() {
                Some(last) if last.weight == fragment.weight => last.text.push_str(&fragment.text),
                _ => joined.push(fragment),
            }
        }
        if joined.is_empty() {
            joined.push(Fragment {
                text: String::new(),
                weight: 1.0,
            });
        }
        joined
    }
}

/// The weight in `1.3)` after a colon, and the text after it.
fn explicit_weight(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = text.split_once(')')?;
    let number = number.trim();
    // Digits and points only: Rust would also parse "inf" and "1e3".
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if !digits.chars().all(|c| c == '.' || c.is_ascii_digit()) {
        return None;
    }
    let weight: f64 = number.parse().ok()?;
    (weight as f32).is_finite().then_some((weight, rest))
}

/// All tokens of a prompt with their weights, without start and end token.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedTokens {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

/// The token windows of a prompt with their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedWindows {
    /// Each window: start token, 75 tokens, end token.
    pub ids: Vec<Window>,
    /// A weight per position of the encoder hidden states: 75 per window, and 1.0 before and after
    /// them.
    pub weights: Vec<f32>,
}

impl WeightedTokens {
    /// Parses the weights of a prompt, then tokenizes each fragment.
    #[must_use]
    pub fn new(prompt: &str, tokenizer: &Tokenizer) -> Self {
        let mut tokens = Self {
            ids: Vec::new(),
            weights: Vec::new(),
        };
        for fragment in parse_weights(prompt) {
            tokens.ids.extend(tokenizer.ids(&fragment.text));
            tokens
                .weights
                .resize(tokens.ids.len(), fragment.weight as f32);
        }
        tokens
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True if the prompt is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The smallest limit that all tokens fit in; three windows if they fit in none.
    #[must_use]
    pub fn limit(&self) -> TokenLimit {
        match self.ids.len().div_ceil(INNER) {
            0 | 1 => TokenLimit::One,
            2 => TokenLimit::Two,
            _ => TokenLimit::Three,
        }
    }

    /// As many windows as the limit allows. Tokens beyond it are dropped; free positions are filled
    /// with end tokens of weight 1.
    #[must_use]
    pub fn windows(&self, limit: TokenLimit) -> WeightedWindows {
        self.windows_padded(limit, Padding::End)
    }

    pub(super) fn windows_padded(&self, limit: TokenLimit, padding: Padding) -> WeightedWindows {
        let mut weights = vec![1.0];
        weights.extend(self.weights.iter().take(limit.tokens()));
        weights.resize(limit.sequence_length(), 1.0);
        WeightedWindows {
            ids: fill_windows(self.ids.clone(), limit, padding),
            weights,
        }
    }
}

/// Multiplies each position of encoder hidden states by its weight, as sd-scripts' option
/// `weighted_captions`. If all weights are 1, the states are returned unchanged.
///
/// # Shapes
/// - encoder_hidden_states, result: `[b, l, d]`
/// - weights: `b` times `l`
///
/// # Panics
/// If the weights have another shape.
#[must_use]
pub fn multiply_weights(encoder_hidden_states: Tensor<3>, weights: &[&[f32]]) -> Tensor<3> {
    let [b, l, _] = encoder_hidden_states.dims();
    assert!(
        weights.len() == b && weights.iter().all(|weights| weights.len() == l),
        "{b} times {l} weights"
    );
    if are_all_one(weights) {
        return encoder_hidden_states;
    }
    let dtype = FloatDType::from(encoder_hidden_states.dtype());
    let device = encoder_hidden_states.device().inner();
    let weights = TensorData::new(weights.concat(), [b, l, 1]);
    let weights = Tensor::<3>::from_data(weights, (&device, DType::F32));
    (encoder_hidden_states.cast(FloatDType::F32) * weights).cast(dtype)
}

/// As [`multiply_weights`], then scales each sample so that its mean over all positions and
/// channels is the same as before. If all weights are 1, the states are returned unchanged.
///
/// Scaling follows sd-scripts' `get_weighted_text_embeddings`. A sample whose mean has become 0 is
/// not scaled.
///
/// # Shapes
/// - encoder_hidden_states, result: `[b, l, d]`
/// - weights: `b` times `l`
///
/// # Panics
/// If the weights have another shape.
#[must_use]
pub fn apply_weights(encoder_hidden_states: Tensor<3>, weights: &[&[f32]]) -> Tensor<3> {
    if are_all_one(weights) {
        return encoder_hidden_states;
    }
    let dtype = FloatDType::from(encoder_hidden_states.dtype());
    let states = encoder_hidden_states.cast(FloatDType::F32);
    let mean = |states: &Tensor<3>| states.clone().mean_dims(&[1, 2]); // [b, 1, 1]
    let weighted = multiply_weights(states.clone(), weights);
    let scale = mean(&states) / mean(&weighted);
    let scale = scale.clone().mask_fill(scale.is_finite().bool_not(), 1.0);
    (weighted * scale).cast(dtype)
}

fn are_all_one(weights: &[&[f32]]) -> bool {
    weights
        .iter()
        .copied()
        .flatten()
        .all(|weight| *weight == 1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lora_core::rng::{Purpose, Stream};

    use super::super::tokenizer::WINDOW;
    use super::*;

    #[test]
    fn weights_are_parsed() {
        const SQUARED: f64 = 1.1 * 1.1;
        let table: &[(&str, &[(&str, f64)])] = &[
            ("", &[("", 1.0)]),
            ("()", &[("", 1.0)]),
            ("a cat", &[("a cat", 1.0)]),
            (
                "(masterpiece, best quality:1.2), 1girl, solo",
                &[("masterpiece, best quality", 1.2), (", 1girl, solo", 1.0)],
            ),
            (
                "an (important) word",
                &[("an ", 1.0), ("important", 1.1), (" word", 1.0)],
            ),
            (
                "an [important] word",
                &[("an ", 1.0), ("important", 1.0 / 1.1), (" word", 1.0)],
            ),
            ("(a)(b)", &[("ab", 1.1)]),
            ("((a) b)", &[("a", SQUARED), (" b", 1.1)]),
            ("(a (b:0.5))", &[("a ", 1.1), ("b", 0.5 * 1.1)]),
            ("(a:1.0) b", &[("a b", 1.0)]),
            ("(a: 1.3 )", &[("a", 1.3)]),
            ("(a:+.5)(b:-1.)", &[("a", 0.5), ("b", -1.0)]),
            // Not closed, or not opened.
            ("x (a b", &[("x ", 1.0), ("a b", 1.1)]),
            ("x ((a b", &[("x ", 1.0), ("a b", SQUARED)]),
            ("x [a b", &[("x ", 1.0), ("a b", 1.0 / 1.1)]),
            ("a) b] c", &[("a) b] c", 1.0)]),
            ("a:1.3) b", &[("a:1.3) b", 1.0)]),
            ("[a:1.3]", &[("a:1.3", 1.0 / 1.1)]),
            (
                "(a [b) c]",
                &[("a ", 1.1), ("b", 1.1 * (1.0 / 1.1)), (" c", 1.0 / 1.1)],
            ),
            // Not a number.
            ("(a:b)", &[("a:b", 1.1)]),
            ("(a:1.2.3)", &[("a:1.2.3", 1.1)]),
            ("(a:.)", &[("a:.", 1.1)]),
            ("(a:)", &[("a:", 1.1)]),
            ("(a:inf)(b:1e3)", &[("a:infb:1e3", 1.1)]),
            // Escapes.
            (r"zuki \(series\)", &[("zuki (series)", 1.0)]),
            (r"\[a\]", &[("[a]", 1.0)]),
            (r"(a\):1.3)", &[("a)", 1.3)]),
            (r"\\(a)", &[(r"\", 1.0), ("a", 1.1)]),
            (r"a\b\", &[("ab", 1.0)]),
        ];
        for (prompt, expected) in table {
            let expected = expected.iter().map(|(text, weight)| Fragment {
                text: (*text).into(),
                weight: *weight,
            });
            assert_eq!(
                parse_weights(prompt),
                expected.collect::<Vec<_>>(),
                "{prompt}"
            );
        }
    }

    #[test]
    fn every_text_is_parsed() {
        let pieces = [
            "(", ")", "[", "]", "\\", ":", ":1.3)", ":-.5)", "9", ".", " ", "a", "猫", "é", ", ",
        ];
        let mut stream = Stream::new(1, Purpose::Noise, 0, 0);
        for _ in 0..20_000 {
            let count = stream.below(16);
            let prompt: String = (0..count)
                .map(|_| pieces[stream.below(pieces.len() as u32) as usize])
                .collect();
            let fragments = parse_weights(&prompt);
            assert!(
                fragments
                    .windows(2)
                    .all(|pair| pair[0].weight != pair[1].weight),
                "{prompt}: {fragments:?}"
            );
            // All other characters are kept, in their order.
            let plain = |text: &str| {
                text.replace(
                    ['(', ')', '[', ']', '\\', ':', '.', '9', '1', '3', '5', '-'],
                    "",
                )
            };
            let text: String = fragments
                .iter()
                .map(|fragment| fragment.text.as_str())
                .collect();
            assert_eq!(plain(&text), plain(&prompt));
            // Without brackets nothing is read; escaped, brackets are text.
            let unweighted = |text: &str| {
                [Fragment {
                    text: text.into(),
                    weight: 1.0,
                }]
            };
            let without = prompt.replace(['(', ')', '[', ']', '\\'], "");
            assert_eq!(parse_weights(&without), unweighted(&without));
            let mut escaped = String::new();
            for c in prompt.chars() {
                if "()[]\\".contains(c) {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            assert_eq!(parse_weights(&escaped), unweighted(&prompt));
        }
    }

    #[test]
    fn each_token_has_its_weight() {
        let tokenizer = Tokenizer::new();
        let tokens = WeightedTokens::new("a (photo of:1.5) a cat", &tokenizer);
        assert_eq!(tokens.limit(), TokenLimit::One);
        let windows = tokens.windows(TokenLimit::One);
        assert_eq!(
            windows.ids,
            tokenizer.windows("a photo of a cat", TokenLimit::One)
        );
        assert_eq!(windows.weights.len(), WINDOW);
        assert_eq!(windows.weights[..7], [1.0, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0]);
        assert!(windows.weights[7..].iter().all(|weight| *weight == 1.0));
    }

    #[test]
    fn weights_go_over_windows() {
        let tokenizer = Tokenizer::new();
        // Tokens 71 to 80 of 81.
        let prompt = format!("{}({}:0.5) dog", "cat ".repeat(70), "cat ".repeat(10));
        let tokens = WeightedTokens::new(&prompt, &tokenizer);
        assert_eq!(tokens.limit(), TokenLimit::Two);
        let weighted_positions = |limit: TokenLimit| {
            let windows = tokens.windows(limit);
            assert_eq!(
                (windows.ids.len(), windows.weights.len()),
                (limit.windows(), limit.sequence_length())
            );
            let positions =
                (0..windows.weights.len()).filter(|position| windows.weights[*position] == 0.5);
            positions.collect::<Vec<_>>()
        };
        assert_eq!(
            weighted_positions(TokenLimit::One),
            (71..=75).collect::<Vec<_>>()
        );
        assert_eq!(
            weighted_positions(TokenLimit::Three),
            (71..=80).collect::<Vec<_>>()
        );

        for (count, limit) in [
            (0, TokenLimit::One),
            (75, TokenLimit::One),
            (76, TokenLimit::Two),
            (150, TokenLimit::Two),
            (151, TokenLimit::Three),
            (226, TokenLimit::Three),
        ] {
            assert_eq!(
                WeightedTokens::new(&"cat ".repeat(count), &tokenizer).limit(),
                limit,
                "{count}"
            );
        }
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("f32")
    }

    #[test]
    fn the_mean_comes_back() {
        let [b, l, d] = [2, 5, 8];
        let noise = Stream::new(2, Purpose::Noise, 0, 0).normal_tensor([b, l, d], &Device::flex());
        let states: Tensor<3> = noise + 0.5;
        let weights: [&[f32]; 2] = [&[1.0, 1.0, 2.0, 1.0, 1.0], &[1.0; 5]];
        let (before, after) = (
            values(states.clone()),
            values(apply_weights(states, &weights)),
        );
        let mean = |values: &[f32]| {
            values.iter().map(|value| f64::from(*value)).sum::<f64>() / (l * d) as f64
        };
        let (sample, weighted) = (&before[..l * d], &after[..l * d]);
        assert!((mean(sample) - mean(weighted)).abs() < 1e-6);
        // The other sample's weights are 1.
        assert_eq!(before[l * d..], after[l * d..]);
        // Token 2 counts twice; all share the factor.
        let doubled = mean(&[sample, &sample[2 * d..3 * d]].concat());
        let scale = mean(sample) / doubled;
        assert!((scale - 1.0).abs() > 0.01, "{scale}");
        for (index, (before, after)) in sample.iter().zip(weighted).enumerate() {
            let weight = if index / d == 2 { 2.0 } else { 1.0 };
            assert!(
                (f64::from(*before) * weight * scale - f64::from(*after)).abs() < 1e-5,
                "{index}"
            );
        }
    }

    #[test]
    fn equal_weights_change_nothing() {
        let states: Tensor<3> =
            Stream::new(3, Purpose::Noise, 0, 0).normal_tensor([1, 4, 8], &Device::flex());
        let bits = |states| {
            values(states)
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            bits(apply_weights(states.clone(), &[&[1.0; 4]])),
            bits(states.clone())
        );
        // A power of two is exact.
        assert_eq!(
            bits(apply_weights(states.clone(), &[&[2.0; 4]])),
            bits(states.clone())
        );
        // The mean becomes 0: it cannot come back.
        assert!(
            values(apply_weights(states, &[&[0.0; 4]]))
                .iter()
                .all(|value| *value == 0.0)
        );
    }
}
