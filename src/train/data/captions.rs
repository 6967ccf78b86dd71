//! Captions that do not depend on when they are used.

use lora_core::rng::{Purpose, Stream};
use lora_data::{CaptionContext, CaptionOptions, Dataset, Item};

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

/// The caption of an image with all its tags, including those that are sometimes dropped.
pub(crate) fn whole_caption(dataset: &Dataset, item: &Item) -> String {
    let options = CaptionOptions {
        shuffle_caption: false,
        caption_dropout_rate: 0.0,
        caption_dropout_every_n_epochs: 0,
        caption_tag_dropout_rate: 0.0,
        token_warmup_step: 0.0,
        ..dataset.subset_of(item).config.captions.clone()
    };
    // Only wildcards are drawn: one choice is as good as another.
    let mut stream = Stream::new(0, Purpose::Caption, 0, 0);
    options.process(&item.caption, &START, &mut stream)
}
