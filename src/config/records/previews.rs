//! Preview images.

macro_rules! preview_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Previews {
        /// Prompts of preview images: a file with one prompt per line, or a prompt. Without an
        /// interval, previews are generated only at the end of the run.
        sample_prompts: Option<String> = None, Kind::Text;

        /// Generate previews every N epochs; takes precedence over `sample_every_n_steps`. 0: off.
        sample_every_n_epochs: Option<u32> = None, Kind::COUNT, off_at_zero = true,
            needs = &["sample_prompts"];

        /// Generate previews every N steps. 0: off.
        sample_every_n_steps: Option<u32> = None, Kind::COUNT, off_at_zero = true,
            needs = &["sample_prompts"];

        /// Also generate previews before the first step.
        sample_at_first: bool = false, Kind::Flag, needs = &["sample_prompts"];

        /// The sampler of prompts that do not name one.
        sample_sampler: Sampler = Sampler::EulerA, Kind::Choice(Sampler::NAMES);
    } } };
}
