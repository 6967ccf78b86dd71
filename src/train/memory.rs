//! What a run needs of memory, and what there is.

use burn::tensor::Device;
use lora_data::{Dataset, Item};
use lora_models::{Family, ParameterCounts};
use serde::Serialize;

use super::base::Needs;
use super::captions::TextCache;
use super::latents::LatentCache;
use crate::config::{BaseDtype, TrainConfig};
use crate::error::Result;
use crate::warning::{MemoryShortage, Warning};

/// About how much memory the steps of a run take. Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// The weights of the networks that every step needs.
    pub weights: u64,
    /// The adapters, their gradients and the optimizer's state.
    pub adapters: u64,
    /// What a step keeps for its backward pass.
    pub activations: u64,
    /// Latents and encoded captions that are kept in memory.
    pub caches: u64,
}

/// What an estimate is made from besides images and captions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    family: Family,
    parameters: ParameterCounts,
    /// Bytes of a number of the UNet's weights.
    unet_bytes: u64,
    /// Numbers of the adapters.
    trained: u64,
    /// Bytes of what is remembered of each of them.
    state_bytes: u64,
    recomputing: bool,
}

impl Load {
    /// What a run with `trained` numbers in its adapters needs.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for an optimizer with settings that it does not
    /// have.
    pub(super) fn new(
        config: &TrainConfig,
        family: Family,
        parameters: ParameterCounts,
        trained: usize,
    ) -> Result<Self> {
        let average = if config.ema_decay.is_some() { 4 } else { 0 };
        Ok(Self {
            family,
            parameters,
            unet_bytes: if config.base_dtype_for(family) == BaseDtype::Bf16 {
                2
            } else {
                4
            },
            trained: trained as u64,
            state_bytes: config.optimizer()?.state_bytes() as u64 + average,
            recomputing: config.gradient_checkpointing,
        })
    }

    /// About how much memory the steps take, with encoded captions of `text_bytes`.
    pub(super) fn estimate(
        &self,
        dataset: &Dataset,
        latents: &LatentCache,
        texts: &TextCache,
        text_bytes: usize,
    ) -> MemoryEstimate {
        let pixels = |item: &Item| {
            let batch_size = dataset.configs()[dataset.subset_of(item).dataset].batch_size;
            item.selection.bucket.area() * batch_size as u64
        };
        let latent_bytes = if matches!(latents, LatentCache::Memory(_)) {
            latents.bytes(dataset)
        } else {
            0
        };
        let captions = if matches!(texts, TextCache::Memory(_)) {
            texts.total(dataset)
        } else {
            0
        };
        let needs = Needs {
            text_encoders: texts.is_off(),
            vae: latents.is_off(),
        };
        let pixels = dataset.items().iter().map(pixels).max().unwrap_or(0);
        MemoryEstimate {
            caches: latent_bytes + (captions * text_bytes) as u64,
            ..self.of_steps(needs, pixels)
        }
    }

    /// Without caches; `pixels` are those of the largest batch.
    fn of_steps(&self, needs: Needs, pixels: u64) -> MemoryEstimate {
        let text_encoders = if needs.text_encoders {
            self.parameters.text_encoders
        } else {
            0
        };
        let vae = if needs.vae { self.parameters.vae } else { 0 };
        MemoryEstimate {
            weights: self.parameters.unet as u64 * self.unet_bytes
                + 4 * (text_encoders + vae) as u64,
            // Values and gradients, the latter once more while they are gathered.
            adapters: self.trained * (12 + self.state_bytes),
            activations: (pixels as f64 * kept_bytes(self)) as u64,
            caches: 0,
        }
    }
}

impl MemoryEstimate {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.adapters + self.activations + self.caches
    }

    /// A warning where that is more than `device` has, as far as the system tells.
    pub(super) fn doubt(&self, device: &Device) -> Option<Warning> {
        self.doubt_with(if crate::device::is_cpu(device) {
            available()
        } else {
            None
        })
    }

    fn doubt_with(&self, available: Option<u64>) -> Option<Warning> {
        let available = available.filter(|available| *available < self.total())?;
        let Self {
            weights,
            adapters,
            activations,
            caches,
        } = *self;
        Some(Warning::Memory(MemoryShortage {
            weights,
            activations,
            adapters,
            caches,
            available,
        }))
    }
}

/// Bytes that a step keeps for each pixel, for a UNet whose weights are those of the family's
/// released model; it grows with the root of their number. Measured on the CPU at 256 and 512
/// pixels (benches/README.md), but for SDXL with recomputation, where the ratio is that of SD 1.5.
fn kept_bytes(load: &Load) -> f64 {
    let (kept, recomputed, released) = match load.family {
        Family::Sd1 | Family::Sd2 => (5500.0, 1300.0, 8.6e8),
        Family::Sdxl => (10_500.0, 3000.0, 2.57e9),
    };
    let width = (load.parameters.unet as f64 / released).sqrt();
    width * if load.recomputing { recomputed } else { kept }
}

/// Bytes of memory that programs can still take on this machine; none where the system does not
/// tell.
fn available() -> Option<u64> {
    if !sysinfo::IS_SUPPORTED_SYSTEM {
        return None;
    }
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // A container may be allowed less than the machine has.
    let limits = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = [Some(system.available_memory()), limits]
        .into_iter()
        .flatten()
        .min()?;
    (free > 0).then_some(free)
}

/// Bytes of memory that this process has now; none where the system does not tell.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    Some(system.process(pid)?.memory())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Needs = Needs {
        text_encoders: false,
        vae: false,
    };

    fn sd15(recomputing: bool) -> Load {
        Load {
            family: Family::Sd1,
            parameters: ParameterCounts {
                unet: 859_520_964,
                vae: 83_653_863,
                text_encoders: 123_060_480,
            },
            unet_bytes: 4,
            trained: 13_565_952,
            state_bytes: 8,
            recomputing,
        }
    }

    /// Peaks of the steps of SD 1.5 and SDXL, in GB, as benches/README.md has them.
    #[test]
    fn estimates_are_near_what_was_measured() {
        let sdxl = |unet_bytes| Load {
            family: Family::Sdxl,
            parameters: ParameterCounts {
                unet: 2_567_463_684,
                vae: 83_653_863,
                text_encoders: 817_000_000,
            },
            unet_bytes,
            trained: 42_557_440,
            ..sd15(false)
        };
        for (load, side, measured) in [
            (sd15(false), 256, 4.06),
            (sd15(false), 512, 5.19),
            (sd15(true), 256, 3.81),
            (sd15(true), 512, 4.04),
            (sdxl(4), 256, 11.60),
            (sdxl(2), 256, 6.62),
            (sdxl(2), 512, 8.82),
        ] {
            let estimate = load.of_steps(NONE, side * side).total() as f64 / 1e9;
            assert!(
                (0.9..1.15).contains(&(estimate / measured)),
                "{estimate:.2} GB, measured {measured} GB: {load:?}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let estimate = sd15(false).of_steps(NONE, 512 * 512);
        assert_eq!(estimate.doubt_with(Some(estimate.total())), None);
        assert_eq!(estimate.doubt_with(None), None);
        let doubt = estimate
            .doubt_with(Some(1_000_000_000))
            .expect("a warning")
            .to_string();
        assert!(
            doubt.contains("needs about 5.2 GB") && doubt.contains("1.0 GB are free"),
            "{doubt}"
        );
        let more = sd15(false).of_steps(
            Needs {
                text_encoders: true,
                vae: true,
            },
            512 * 512,
        );
        assert!(more.weights > estimate.weights + 800_000_000);
    }

    #[test]
    fn the_system_tells_its_memory() {
        assert!(available().is_none_or(|bytes| bytes > 1 << 24));
    }
}
