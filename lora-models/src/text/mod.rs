//! Captions to the context that the UNet attends to.

mod encoder;
mod encoders;
mod layer;
mod tokenizer;
mod weighting;

pub use encoder::TextEncoder;
pub use encoders::{CaptionWindows, Encoded, TextEncoders};
pub use tokenizer::{TokenLimit, Tokenizer, WINDOW, Window};
pub use weighting::{
    Fragment, WeightedTokens, WeightedWindows, apply_weights, multiply_weights, parse_weights,
};
