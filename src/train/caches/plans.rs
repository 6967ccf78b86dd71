//! The planned caches of a run.

use lora_data::Dataset;

use super::latents::LatentPlan;
use super::text::TextPlan;
use crate::error::Result;
use crate::settings::RunSettings;
use crate::train::model::adapters::Adapters;
use crate::train::model::open_base::OpenBase;

/// The planned sources of latents and encoded captions.
#[derive(Debug)]
pub(crate) struct CachePlans {
    pub(crate) latents: LatentPlan,
    pub(crate) texts: TextPlan,
}

impl CachePlans {
    /// # Errors
    /// Images that would share a cache file.
    pub(crate) fn new(
        settings: &RunSettings,
        dataset: &Dataset,
        base: &OpenBase,
        adapters: &Adapters,
    ) -> Result<Self> {
        let trains_text_encoder = adapters.shape.trains_text_encoder;
        let texts = TextPlan::new(settings, dataset, &base.widths, trains_text_encoder)?;
        let latents = LatentPlan::new(settings, dataset)?;
        Ok(Self { latents, texts })
    }
}
