//! Preview images.

use super::{Group, Kind, OptionSpec, OptionValue};
use crate::config::Sampler;

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Previews,
        sample_prompts,
        Kind::Text,
        "Prompts of preview images: a file with one a line, or the text itself. Drawn at the end \
         of the \
         run, too, where no interval is given.",
    ),
    option!(
        Previews,
        sample_every_n_epochs,
        Kind::COUNT,
        "Draw previews after each N epochs; goes before sample_every_n_steps. 0: off.",
        off_at_zero
    )
    .needs(&["sample_prompts"]),
    option!(
        Previews,
        sample_every_n_steps,
        Kind::COUNT,
        "Draw previews after each N updates. 0: off.",
        off_at_zero
    )
    .needs(&["sample_prompts"]),
    option!(
        Previews,
        sample_at_first,
        Kind::Flag,
        "Draw previews before the first update, too.",
    )
    .needs(&["sample_prompts"]),
    option!(
        Previews,
        sample_sampler,
        Kind::Choice(Sampler::NAMES),
        "The sampler of prompts that name none.",
    ),
];
