//! The settings of a run: what a configuration means for a base whose family is known.
//!
//! A [`TrainConfig`] says what a file says, so most of its options may be absent. [`RunSettings`] is
//! made from it once and never changes: every group has a value for everything, in the types of the
//! code that uses it.

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
pub use training::RunLength;
pub(crate) use training::TrainingSettings;

use crate::config::{Compat, Family, TrainConfig};
use crate::error::Result;

/// Everything that a run was asked to do, in groups.
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
    /// The settings of a valid configuration for a base of this family.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for optimizer settings that do not exist; a
    /// configuration that was checked has none.
    pub(crate) fn new(config: &TrainConfig, family: Family) -> Result<Self> {
        let config = config.resolved(family);
        Ok(Self {
            family,
            compat: config.compat,
            seed: config.seed,
            base: BaseSettings::new(&config, family),
            text: TextSettings::new(&config),
            data: DataSettings::new(&config, family),
            caches: CacheSettings::new(&config),
            network: NetworkSettings::new(&config, family),
            objective: ObjectiveSettings::new(&config),
            training: TrainingSettings::new(&config)?,
            output: OutputSettings::new(&config),
            previews: PreviewSettings::new(&config, family),
        })
    }
}
