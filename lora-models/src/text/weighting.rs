//! Prompts whose parts have weights.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::tokenizer::{INNER, Padding, TokenLimit, Tokenizer, Window, fill_windows};

/// What round brackets multiply by.
const ROUND: f64 = 1.1;
/// What square brackets multiply by.
const SQUARE: f64 = 1.0 / 1.1;

/// A part of a prompt that has one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// The text without the brackets, weights and backslashes that were read.
    pub text: String,
    /// What the states of its tokens are multiplied by.
    pub weight: f64,
}

/// Splits a prompt where the weight changes, as the web interface of AUTOMATIC1111 does. There is
/// at least one fragment, empty for an empty prompt.
///
/// | written | weight of `x` |
/// |---|---|
/// | `(x)` | 1.1 |
/// | `[x]` | 1 / 1.1 |
/// | `(x:1.3)` | 1.3 |
/// | `\(x\)` | 1, and the brackets belong to the text; also `\[`, `\]` and `\\` |
///
/// Brackets in brackets multiply. An opening bracket that is never closed reaches to the end; a
/// closing one that was never opened is text. A backslash before any other character is dropped.
/// What cannot be a number, as in `(x:1.2.3)`, is text.
///
/// Only prompts are read so: to [`Tokenizer::ids`] brackets are text.
///
/// ```
/// use lora_models::text::{Fragment, parse_weights};
///
/// let fragment = |text: &str, weight| Fragment { text: text.into(), weight };
/// assert_eq!(parse_weights("a (red:1.3) cat"), [fragment("a ", 1.0), fragment("red", 1.3), fragment(" cat", 1.0)]);
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
    /// How many fragments there were before each open `(`.
    round: Vec<usize>,
    /// The same for `[`.
    square: Vec<usize>,
}

impl Parser {
    /// Takes what the text starts with and returns what follows.
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
                // Where no bracket is open, weight and bracket are text.
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

    /// Closes what is open and joins neighbours of the same weight.
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

/// The weight of `1.3)`, which follows a colon, and what comes after it.
fn explicit_weight(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = text.split_once(')')?;
    let number = number.trim();
    // Digits and points only: to Rust "inf" and "1e3" are numbers, too.
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if !digits.chars().all(|c| c == '.' || c.is_ascii_digit()) {
        return None;
    }
    let weight: f64 = number.parse().ok()?;
    (weight as f32).is_finite().then_some((weight, rest))
}

/// The tokens of a prompt with the weight of each, without start and end, of any number.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedTokens {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

/// Tokens as the text encoder takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedWindows {
    /// Start, 75 tokens, end.
    pub ids: Vec<Window>,
    /// A weight for each position of the context: 75 for each window, and 1 before and after them.
    pub weights: Vec<f32>,
}

impl WeightedTokens {
    /// Reads the weights of a prompt, then the tokens of each fragment.
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

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the prompt is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The smallest limit that holds them all; three windows where none does.
    #[must_use]
    pub fn limit(&self) -> TokenLimit {
        match self.ids.len().div_ceil(INNER) {
            0 | 1 => TokenLimit::One,
            2 => TokenLimit::Two,
            _ => TokenLimit::Three,
        }
    }

    /// As many windows as the limit allows. Tokens beyond it are cut off; what is free is filled
    /// with end tokens of weight 1.
    #[must_use]
    pub fn windows(&self, limit: TokenLimit) -> WeightedWindows {
        self.windows_padded(limit, Padding::End)
    }

    pub(super) fn windows_padded(&self, limit: TokenLimit, padding: Padding) -> WeightedWindows {
        let count = limit.windows() * INNER;
        let mut weights = vec![1.0];
        weights.extend(self.weights.iter().take(count));
        weights.resize(count + 2, 1.0);
        WeightedWindows {
            ids: fill_windows(self.ids.clone(), limit, padding),
            weights,
        }
    }
}

/// Multiplies each position of contexts by its weight, as sd-scripts does with captions
/// (`weighted_captions`). Where all weights are 1, the context stays as it is, to the bit.
///
/// # Shapes
/// - context, result: `[b, l, d]`
/// - weights: `b` times `l`
///
/// # Panics
/// If the weights do not fit the context.
#[must_use]
pub fn multiply_weights(context: Tensor<3>, weights: &[&[f32]]) -> Tensor<3> {
    let [b, l, _] = context.dims();
    assert!(
        weights.len() == b && weights.iter().all(|weights| weights.len() == l),
        "{b} times {l} weights"
    );
    if weights
        .iter()
        .all(|weights| weights.iter().all(|weight| *weight == 1.0))
    {
        return context;
    }
    let dtype = FloatDType::from(context.dtype());
    let weights = TensorData::new(weights.concat(), [b, l, 1]);
    let weights = Tensor::<3>::from_data(weights, (&context.device().inner(), DType::F32));
    (context.cast(FloatDType::F32) * weights).cast(dtype)
}

/// As [`multiply_weights`], but then multiplies each context by the number that brings back the
/// mean that it had over all positions and channels. Where all weights are 1, the context stays as
/// it is, to the bit.
///
/// Scaling back follows sd-scripts' `get_weighted_text_embeddings`. It is left out for a context
/// whose mean has become 0.
///
/// # Shapes
/// - context, result: `[b, l, d]`
/// - weights: `b` times `l`
///
/// # Panics
/// If the weights do not fit the context.
#[must_use]
pub fn apply_weights(context: Tensor<3>, weights: &[&[f32]]) -> Tensor<3> {
    if weights
        .iter()
        .all(|weights| weights.iter().all(|weight| *weight == 1.0))
    {
        return context;
    }
    let dtype = FloatDType::from(context.dtype());
    let context = context.cast(FloatDType::F32);
    let mean = |context: &Tensor<3>| context.clone().mean_dims(&[1, 2]); // [b, 1, 1]
    let weighted = multiply_weights(context.clone(), weights);
    let scale = mean(&context) / mean(&weighted);
    let scale = scale.clone().mask_fill(scale.is_finite().bool_not(), 1.0);
    (weighted * scale).cast(dtype)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lora_core::rng::{Purpose, Stream};

    use super::super::tokenizer::WINDOW;
    use super::*;

    #[test]
    fn weights_are_read() {
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
    fn every_text_is_read() {
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
            let escape = |c| {
                if "()[]\\".contains(c) {
                    format!("\\{c}")
                } else {
                    String::from(c)
                }
            };
            let escaped: String = prompt.chars().map(escape).collect();
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
                (limit.windows(), 75 * limit.windows() + 2)
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
        let context: Tensor<3> = noise + 0.5;
        let weights: [&[f32]; 2] = [&[1.0, 1.0, 2.0, 1.0, 1.0], &[1.0; 5]];
        let (before, after) = (
            values(context.clone()),
            values(apply_weights(context, &weights)),
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
        let context: Tensor<3> =
            Stream::new(3, Purpose::Noise, 0, 0).normal_tensor([1, 4, 8], &Device::flex());
        let bits = |context| {
            values(context)
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            bits(apply_weights(context.clone(), &[&[1.0; 4]])),
            bits(context.clone())
        );
        // A power of two is exact.
        assert_eq!(
            bits(apply_weights(context.clone(), &[&[2.0; 4]])),
            bits(context.clone())
        );
        // The mean becomes 0: it cannot come back.
        assert!(
            values(apply_weights(context, &[&[0.0; 4]]))
                .iter()
                .all(|value| *value == 0.0)
        );
    }
}
