//! The settings of a run: what a configuration means for a base whose family is known.
//!
//! A [`TrainConfig`] has the options of a file: one that it lacks may follow from the family or
//! from other options. [`RunSettings`] is made from it once and never changes. Its groups have the
//! types of the code that uses them; `None` means off, not "not given".

mod base;
mod caches;
mod data;
mod network;
mod objective;
mod output;
mod timing;
mod training;

pub(crate) use base::{BaseSettings, TextSettings};
pub(crate) use caches::{CacheSettings, Caching};
pub(crate) use data::{DataSettings, DataSource};
pub(crate) use network::{NetworkSettings, NetworkShape, NetworkWeights};
pub(crate) use objective::ObjectiveSettings;
pub(crate) use output::{OutputSettings, PreviewSettings};
pub(crate) use training::TrainingSettings;

use crate::config::{Compat, Family, TrainConfig};

/// All settings of a run, in groups.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    /// The family of the base.
    pub(crate) family: Family,
    /// The program whose numbers are reproduced.
    pub(crate) compat: Compat,
    /// The seed of every random number.
    pub(crate) seed: u64,
    pub(crate) base: BaseSettings,
    pub(crate) text: TextSettings,
    pub(crate) data: DataSettings,
    pub(crate) caches: CacheSettings,
    pub(crate) network: NetworkSettings,
    pub(crate) objective: ObjectiveSettings,
    pub(crate) training: TrainingSettings,
    pub(crate) output: OutputSettings,
    pub(crate) previews: PreviewSettings,
}

impl RunSettings {
    /// The settings of a configuration that is [resolved](TrainConfig::resolved) for this family.
    /// `base_is_zero_terminal` is true if the base was trained with zero terminal SNR.
    pub(crate) fn new(config: &TrainConfig, family: Family, base_is_zero_terminal: bool) -> Self {
        let by_family = config.family_options(family);
        Self {
            family,
            compat: config.compat,
            seed: config.seed,
            base: BaseSettings::new(config, by_family.base_dtype),
            text: TextSettings::new(config),
            data: DataSettings::new(config, &by_family),
            caches: CacheSettings::new(config),
            network: NetworkSettings::new(config, family),
            objective: ObjectiveSettings::new(config, base_is_zero_terminal),
            training: TrainingSettings::new(config),
            output: OutputSettings::new(config),
            previews: PreviewSettings::new(config, by_family.resolution),
        }
    }
}
