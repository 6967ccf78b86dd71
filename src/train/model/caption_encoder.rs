//! Captions: as token ids, and as the text encoders' outputs.

use lora_core::ForwardContext;
use lora_models::text::{
    CaptionWindows, TextEmbeddings, TokenLimit, WeightedTokens, multiply_weights,
};
use lora_models::{Family, Layers, TextEncoders, Tokenizer};

use crate::settings::TextSettings;

/// A caption as the text encoders take it.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) windows: CaptionWindows,
    /// The weight of each position, if captions have weights.
    pub(crate) weights: Option<Vec<f32>>,
}

/// Turns captions into tokens.
#[derive(Debug)]
pub(crate) struct CaptionReader {
    tokenizer: Tokenizer,
    limit: TokenLimit,
    family: Family,
    weighted: bool,
}

impl CaptionReader {
    pub(crate) fn new(settings: &TextSettings, family: Family) -> Self {
        Self {
            tokenizer: Tokenizer::new(),
            limit: settings.limit,
            family,
            weighted: settings.weighted,
        }
    }

    /// The number of tokens of a caption, whatever the limit.
    pub(crate) fn count(&self, caption: &str) -> usize {
        if self.weighted {
            WeightedTokens::new(caption, &self.tokenizer).len()
        } else {
            self.tokenizer.ids(caption).len()
        }
    }

    /// The tokens of a caption, cut to the limit.
    pub(crate) fn read(&self, caption: &str) -> Tokens {
        if !self.weighted {
            return Tokens {
                windows: self.tokenizer.caption(caption, self.limit, self.family),
                weights: None,
            };
        }
        let tokens = WeightedTokens::new(caption, &self.tokenizer);
        let (windows, weights) = tokens.caption(self.limit, self.family);
        Tokens {
            windows,
            weights: Some(weights),
        }
    }
}

/// Encodes captions with their weights.
pub(crate) fn encode_captions(
    encoders: &TextEncoders,
    captions: Vec<Tokens>,
    clip_skip: usize,
    cx: &ForwardContext,
) -> TextEmbeddings {
    let (windows, weights): (Vec<_>, Vec<_>) = captions
        .into_iter()
        .map(|tokens| (tokens.windows, tokens.weights))
        .unzip();
    let TextEmbeddings {
        encoder_hidden_states,
        pooled,
    } = encoders.encode(&windows, clip_skip, cx);
    let weights: Option<Vec<&[f32]>> = weights.iter().map(Option::as_deref).collect();
    match weights {
        Some(weights) => TextEmbeddings {
            encoder_hidden_states: multiply_weights(encoder_hidden_states, &weights),
            pooled,
        },
        None => TextEmbeddings {
            encoder_hidden_states,
            pooled,
        },
    }
}

/// Channels of the text encoders' outputs.
#[derive(Debug, Clone)]
pub(crate) struct TextWidths {
    /// Of the hidden states of each encoder.
    pub(crate) states: Vec<usize>,
    /// Of SDXL's pooled output.
    pub(crate) pooled: Option<usize>,
}

impl TextWidths {
    pub(crate) fn new(layers: &Layers) -> Self {
        Self {
            states: layers.text_widths.clone(),
            pooled: layers.pooled_width,
        }
    }

    /// Bytes of an encoded caption of this many tokens.
    pub(crate) fn bytes(&self, tokens: usize) -> usize {
        size_of::<f32>() * (tokens * self.states.iter().sum::<usize>() + self.pooled.unwrap_or(0))
    }
}
