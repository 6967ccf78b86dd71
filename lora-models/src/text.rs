//! Captions to the encoder hidden states that the UNet's cross-attention takes.

mod encoder;
mod encoders;
mod layer;
mod tokenizer;
mod weighting;

pub use encoder::TextEncoder;
pub use encoders::{CaptionWindows, TextEmbeddings, TextEncoders};
pub use tokenizer::{TokenLimit, Tokenizer, WINDOW, Window};
pub use weighting::{
    Fragment, WeightedTokens, WeightedWindows, apply_weights, multiply_weights, parse_weights,
};
