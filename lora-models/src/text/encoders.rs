//! The text encoders of a model, one or two.

use burn::tensor::Tensor;
use lora_core::ForwardContext;

use super::encoder::{TextEncoder, join_windows};
use super::tokenizer::{Padding, TokenLimit, Tokenizer, Window};
use super::weighting::WeightedTokens;
use crate::family::Family;

/// The text encoders of a base model: CLIP-L (SD 1.x), OpenCLIP-H (SD 2.x), or CLIP-L and OpenCLIP
/// bigG (SDXL).
#[derive(Debug)]
pub struct TextEncoders {
    family: Family,
    encoders: Vec<TextEncoder>,
}

/// The token windows of a caption for each text encoder of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionWindows {
    /// For the first encoder.
    pub first: Vec<Window>,
    /// For the second encoder; empty if there is none.
    pub second: Vec<Window>,
}

/// Captions as the text encoders encode them.
#[derive(Debug, Clone)]
pub struct TextEmbeddings {
    /// The input of the UNet's cross-attention. `[b, l, d]`
    pub encoder_hidden_states: Tensor<3>,
    /// SDXL's pooled and projected state. `[b, d']`
    pub pooled: Option<Tensor<2>>,
}

impl TextEmbeddings {
    /// Concatenates batches to one. Either all or none have a pooled state.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn cat(batches: Vec<Self>) -> Self {
        let mut states = Vec::with_capacity(batches.len());
        let mut pooled = Vec::new();
        for batch in batches {
            states.push(batch.encoder_hidden_states);
            pooled.push(batch.pooled);
        }
        let pooled: Option<Vec<_>> = pooled.into_iter().collect();
        Self {
            encoder_hidden_states: Tensor::cat(states, 0),
            pooled: pooled.map(|pooled| Tensor::cat(pooled, 0)),
        }
    }
}

/// The padding of the windows of each text encoder of a family.
fn paddings(family: Family) -> [Option<Padding>; 2] {
    match family {
        Family::Sd1 => [Some(Padding::End), None],
        Family::Sd2 => [Some(Padding::Zero), None],
        Family::Sdxl => [Some(Padding::End), Some(Padding::Zero)],
    }
}

fn caption_windows(family: Family, fill: impl Fn(Padding) -> Vec<Window>) -> CaptionWindows {
    let [first, second] = paddings(family).map(|padding| padding.map(&fill).unwrap_or_default());
    CaptionWindows { first, second }
}

impl Tokenizer {
    /// The windows of a caption for the encoders of a family.
    #[must_use]
    pub fn caption(&self, text: &str, limit: TokenLimit, family: Family) -> CaptionWindows {
        caption_windows(family, |padding| self.windows_padded(text, limit, padding))
    }
}

impl WeightedTokens {
    /// As many windows as the limit allows, for the encoders of a family, and a weight per position
    /// of the encoder hidden states.
    #[must_use]
    pub fn caption(&self, limit: TokenLimit, family: Family) -> (CaptionWindows, Vec<f32>) {
        let windows = caption_windows(family, |padding| self.windows_padded(limit, padding).ids);
        (windows, self.windows(limit).weights)
    }
}

impl TextEncoders {
    /// The encoders of a model, the first one first.
    ///
    /// # Panics
    /// If the family has another number of text encoders.
    #[must_use]
    pub fn new(family: Family, encoders: Vec<TextEncoder>) -> Self {
        assert_eq!(
            encoders.len(),
            paddings(family).iter().flatten().count(),
            "text encoders of {family}"
        );
        Self { family, encoders }
    }

    /// Encodes captions with the same number of windows.
    ///
    /// One encoder gives its hidden state `clip_skip` - 1 layers before the last, after the final
    /// norm. Two encoders give the states before their last layers, concatenated along the channels
    /// and without the final norm, for any `clip_skip`, and the pooled state of each caption's
    /// first window.
    ///
    /// # Shapes
    /// - encoder_hidden_states: `[captions, 75 windows + 2, d]`
    /// - pooled: `[captions, d']`
    ///
    /// # Panics
    /// If `clip_skip` is 0 or larger than the number of layers + 1; if there are no captions or
    /// their numbers of windows differ.
    #[must_use]
    pub fn encode(
        &self,
        captions: &[CaptionWindows],
        clip_skip: usize,
        cx: &ForwardContext,
    ) -> TextEmbeddings {
        let first: Vec<Vec<Window>> = captions
            .iter()
            .map(|caption| caption.first.clone())
            .collect();
        let encoder = &self.encoders[0];
        let Some(second_encoder) = self.encoders.get(1) else {
            return TextEmbeddings {
                encoder_hidden_states: encoder.encoder_hidden_states(&first, clip_skip, cx),
                pooled: None,
            };
        };
        let second: Vec<Vec<Window>> = captions
            .iter()
            .map(|caption| caption.second.clone())
            .collect();
        let (first_states, _) = encoder.penultimate(&first.concat(), cx);
        let (second_states, pooled) = second_encoder.penultimate(&second.concat(), cx);
        let encoder_hidden_states = Tensor::cat(
            vec![
                join_windows(first_states, &first),
                join_windows(second_states, &second),
            ],
            2,
        );
        let windows = captions[0].second.len();
        TextEmbeddings {
            encoder_hidden_states,
            pooled: pooled.map(|pooled| pooled_of_first_windows(pooled, windows)),
        }
    }

    /// The family of the base model.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The encoders, the first one first.
    #[must_use]
    pub fn encoders(&self) -> &[TextEncoder] {
        &self.encoders
    }
}

/// The pooled state of each caption's first window, from those of all `windows` windows of each.
fn pooled_of_first_windows(pooled: Tensor<2>, windows: usize) -> Tensor<2> {
    let [rows, d] = pooled.dims();
    pooled
        .reshape([rows / windows, windows, d])
        .narrow(1, 0, 1)
        .reshape([rows / windows, d])
}
