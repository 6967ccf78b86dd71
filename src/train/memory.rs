//! The memory that a run needs, and the memory that is free.

use burn::tensor::Device;
use lora_core::optim::OptimizerConfig;
use lora_data::Dataset;
use lora_models::{Family, ParameterCounts};
use serde::Serialize;

use super::caches::latents::LatentPlan;
use super::caches::plans::CachePlans;
use super::caches::text::TextPlan;
use super::model::adapters::Adapters;
use super::model::base::Needs;
use super::model::open_base::OpenBase;
use crate::config::BaseDtype;
use crate::settings::RunSettings;
use crate::warning::{MemoryShortage, Warning};

/// About how much memory the steps of a run take. Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// The weights of the networks that every step needs.
    pub weights: u64,
    /// The adapters, their gradients and the optimizer's state.
    pub adapters: u64,
    /// The tensors that a step keeps for its backward pass.
    pub activations: u64,
    /// Latents and encoded captions that are kept in memory.
    pub caches: u64,
}

/// The inputs of an estimate besides images and captions.
#[derive(Debug, Clone, Copy)]
struct Load {
    family: Family,
    parameters: ParameterCounts,
    /// Bytes of a number of the UNet's weights.
    unet_bytes: u64,
    /// Numbers of the adapters.
    trained: u64,
    /// Bytes of optimizer state and averages for each of them.
    state_bytes: u64,
    gradient_checkpointing: bool,
}

impl Load {
    fn new(
        settings: &RunSettings,
        optimizer: &OptimizerConfig,
        base: &OpenBase,
        adapters: &Adapters,
    ) -> Self {
        let averages = if settings.network.ema_decay.is_some() {
            4
        } else {
            0
        };
        Self {
            family: settings.family,
            parameters: base.parameters,
            unet_bytes: match settings.base.dtype {
                BaseDtype::Float => 4,
                BaseDtype::Bf16 => 2,
            },
            trained: adapters.set.parameter_count() as u64,
            state_bytes: optimizer.state_bytes() as u64 + averages,
            gradient_checkpointing: settings.training.gradient_checkpointing,
        }
    }

    /// Without caches; `pixels` are those of the largest batch.
    fn steps(&self, needs: Needs, pixels: u64) -> MemoryEstimate {
        let mut float_weights = 0;
        if needs.text_encoders {
            float_weights += self.parameters.text_encoders;
        }
        if needs.vae {
            float_weights += self.parameters.vae;
        }
        MemoryEstimate {
            weights: self.parameters.unet as u64 * self.unet_bytes + 4 * float_weights as u64,
            // Values and gradients, the latter once more while they are gathered.
            adapters: self.trained * (12 + self.state_bytes),
            activations: (pixels as f64 * kept_bytes(self)) as u64,
            caches: 0,
        }
    }
}

impl MemoryEstimate {
    /// About how much memory the steps of a run take.
    pub(crate) fn new(
        settings: &RunSettings,
        optimizer: &OptimizerConfig,
        dataset: &Dataset,
        base: &OpenBase,
        adapters: &Adapters,
        plans: &CachePlans,
    ) -> Self {
        let needs = Needs {
            text_encoders: !plans.texts.is_cached(),
            vae: !plans.latents.is_cached(),
        };
        let mut caches = 0;
        if matches!(plans.latents, LatentPlan::Memory) {
            caches += plans.latents.bytes(dataset);
        }
        if matches!(plans.texts, TextPlan::Memory(_)) {
            caches += plans.texts.bytes(settings, dataset, &base.widths);
        }
        Self {
            caches,
            ..Load::new(settings, optimizer, base, adapters).steps(needs, largest_batch(dataset))
        }
    }

    /// The sum of all parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.adapters + self.activations + self.caches
    }

    /// A warning if that is more than `device` has free, as far as the system reports it.
    pub(crate) fn warning(&self, device: &Device) -> Option<Warning> {
        if crate::device::is_cpu(device) {
            self.shortage(available()?)
        } else {
            None
        }
    }

    fn shortage(&self, available: u64) -> Option<Warning> {
        (available < self.total()).then_some(Warning::Memory(MemoryShortage {
            weights: self.weights,
            activations: self.activations,
            adapters: self.adapters,
            caches: self.caches,
            available,
        }))
    }
}

/// Pixels of the largest batch.
fn largest_batch(dataset: &Dataset) -> u64 {
    let pixels = dataset.items().iter().map(|item| {
        let batch_size = dataset.configs()[dataset.subset_of(item).dataset].batch_size;
        item.selection.bucket.area() * batch_size as u64
    });
    pixels.max().unwrap_or(0)
}

/// Bytes that a step keeps for each pixel, for a UNet whose weights are those of the family's
/// released model; it grows with the root of their number. Measured on the CPU at 256 and 512
/// pixels (benches/README.md), but for SDXL with gradient checkpointing, whose ratio is SD 1.5's.
fn kept_bytes(load: &Load) -> f64 {
    let (kept, recomputed, released) = match load.family {
        Family::Sd1 | Family::Sd2 => (5500.0, 1300.0, 8.6e8),
        Family::Sdxl => (10_500.0, 3000.0, 2.57e9),
    };
    let width = (load.parameters.unet as f64 / released).sqrt();
    width
        * if load.gradient_checkpointing {
            recomputed
        } else {
            kept
        }
}

/// Bytes of memory that programs can still take on this machine; `None` if the system does not
/// report it.
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

/// Bytes of memory that this process has now; `None` if the system does not report it.
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

    fn sd15(gradient_checkpointing: bool) -> Load {
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
            gradient_checkpointing,
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
            let estimate = load.steps(NONE, side * side).total() as f64 / 1e9;
            assert!(
                (0.9..1.15).contains(&(estimate / measured)),
                "{estimate:.2} GB, measured {measured} GB: {load:?}"
            );
        }
    }

    #[test]
    fn a_shortage_is_reported() {
        let estimate = sd15(false).steps(NONE, 512 * 512);
        assert_eq!(estimate.shortage(estimate.total()), None);
        let warning = estimate.shortage(1_000_000_000).expect("a warning");
        let warning = warning.to_string();
        assert!(
            warning.contains("needs about 5.2 GB") && warning.contains("but only 1.0 GB is free"),
            "{warning}"
        );
        let more = sd15(false).steps(
            Needs {
                text_encoders: true,
                vae: true,
            },
            512 * 512,
        );
        assert!(more.weights > estimate.weights + 800_000_000);
    }

    #[test]
    fn the_system_reports_its_memory() {
        assert!(available().is_none_or(|bytes| bytes > 1 << 24));
    }
}
