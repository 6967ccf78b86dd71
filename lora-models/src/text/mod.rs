//! Captions to the context that the UNet attends to.

mod encoder;
mod layer;
mod tokenizer;

pub use encoder::TextEncoder;
pub use tokenizer::{TokenLimit, Tokenizer, WINDOW, Window};
