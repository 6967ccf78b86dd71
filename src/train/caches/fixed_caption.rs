//! Captions that stay the same over a run.

use lora_core::rng::{Purpose, Stream};
use lora_data::{CaptionContext, Dataset, Item};

const START: CaptionContext = CaptionContext {
    epoch: 1,
    step: 0,
    total_steps: 1,
};

/// The caption of an image whose caption stays the same.
pub(crate) fn fixed_caption(dataset: &Dataset, item: &Item) -> String {
    // Nothing is drawn from it.
    let mut stream = Stream::new(0, Purpose::Caption, 0, 0);
    dataset.caption(item, &START, &mut stream)
}
