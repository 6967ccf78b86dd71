//! Captions with more tokens than `max_token_length`.

use lora_core::rng::{Purpose, Stream};
use lora_data::{CaptionContext, CaptionOptions, Dataset, Item};
use rayon::prelude::*;

use super::report::LongCaption;
use crate::settings::RunSettings;
use crate::train::model::caption_encoder::CaptionReader;

/// Captions that are truncated if they have all their tags.
pub(super) fn long_captions(
    settings: &RunSettings,
    dataset: &Dataset,
    items: &[&Item],
) -> Vec<LongCaption> {
    let reader = CaptionReader::new(&settings.text, settings.family);
    let used = settings.text.limit.tokens();
    let long = items.par_iter().filter_map(|item| {
        let tokens = reader.count(&whole_caption(dataset, item));
        (tokens > used).then(|| LongCaption {
            path: item.path.clone(),
            tokens,
            used,
        })
    });
    long.collect()
}

/// The caption of an image with all its tags, including those that are sometimes dropped.
fn whole_caption(dataset: &Dataset, item: &Item) -> String {
    let options = CaptionOptions {
        shuffle_caption: false,
        caption_dropout_rate: 0.0,
        caption_dropout_every_n_epochs: 0,
        caption_tag_dropout_rate: 0.0,
        token_warmup_step: 0.0,
        ..dataset.subset_of(item).config.captions.clone()
    };
    let start = CaptionContext {
        epoch: 1,
        step: 0,
        total_steps: 1,
    };
    // Only wildcards are drawn: one choice is as good as another.
    let mut stream = Stream::new(0, Purpose::Caption, 0, 0);
    options.process(&item.caption, &start, &mut stream)
}
