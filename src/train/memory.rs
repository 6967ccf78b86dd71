//! What a run needs of memory, and what there is.

use lora_models::{Family, ParameterCounts};
use serde::Serialize;

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

/// What an estimate is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) family: Family,
    pub(super) parameters: ParameterCounts,
    /// Bytes of a number of the UNet's weights.
    pub(super) unet_bytes: u64,
    /// Whether steps need the text encoders, and the VAE.
    pub(super) needs: super::base::Needs,
    /// Numbers of the adapters.
    pub(super) trained: u64,
    /// Bytes of the optimizer's state for each of them.
    pub(super) state_bytes: u64,
    /// Whether there is a moving average of the adapters.
    pub(super) averages: bool,
    /// Pixels of the largest batch.
    pub(super) pixels: u64,
    pub(super) recomputing: bool,
    pub(super) caches: u64,
}

impl MemoryEstimate {
    pub(super) fn of(load: &Load) -> Self {
        let text_encoders = if load.needs.text_encoders { load.parameters.text_encoders } else { 0 };
        let vae = if load.needs.vae { load.parameters.vae } else { 0 };
        Self {
            weights: load.parameters.unet as u64 * load.unet_bytes + 4 * (text_encoders + vae) as u64,
            // Values and gradients, the latter once more while they are gathered.
            adapters: load.trained * (12 + load.state_bytes + if load.averages { 4 } else { 0 }),
            activations: (load.pixels as f64 * kept_bytes(load)) as u64,
            caches: load.caches,
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.adapters + self.activations + self.caches
    }

    /// A warning where that is more than there is.
    pub(super) fn doubt(&self, available: Option<u64>) -> Option<String> {
        let available = available.filter(|available| *available < self.total())?;
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        Some(format!(
            "the run needs about {:.1} GB of memory (weights {:.1}, activations {:.1}, adapters {:.1}, caches {:.1}), {:.1} GB are free; \
             `gradient_checkpointing`, `base_dtype = \"bf16\"`, a smaller `train_batch_size` or `resolution` need less",
            gigabytes(self.total()),
            gigabytes(self.weights),
            gigabytes(self.activations),
            gigabytes(self.adapters),
            gigabytes(self.caches),
            gigabytes(available),
        ))
    }
}

/// Bytes that a step keeps for each pixel, for a UNet whose weights are those of the family's released model; it grows with the root of
/// their number. Measured on the CPU at 256 and 512 pixels (benches/README.md).
fn kept_bytes(load: &Load) -> f64 {
    let (kept, recomputed, released) = match load.family {
        Family::Sd1 | Family::Sd2 => (5500.0, 1300.0, 8.6e8),
        Family::Sdxl => (10_500.0, 3000.0, 2.57e9),
    };
    let width = (load.parameters.unet as f64 / released).sqrt();
    width * if load.recomputing { recomputed } else { kept }
}

/// Bytes of memory that programs can still take on this machine; none where the system does not tell.
pub(super) fn available() -> Option<u64> {
    if !sysinfo::IS_SUPPORTED_SYSTEM {
        return None;
    }
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // A container may be allowed less than the machine has.
    let limits = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = [Some(system.available_memory()), limits].into_iter().flatten().min()?;
    (free > 0).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::super::base::Needs;
    use super::*;

    fn sd15(pixels: u64, recomputing: bool) -> Load {
        Load {
            family: Family::Sd1,
            parameters: ParameterCounts { unet: 859_520_964, vae: 83_653_863, text_encoders: 123_060_480 },
            unet_bytes: 4,
            needs: Needs { text_encoders: false, vae: false },
            trained: 13_565_952,
            state_bytes: 8,
            averages: false,
            pixels,
            recomputing,
            caches: 0,
        }
    }

    /// Peaks of the steps of SD 1.5 and SDXL, in GB, as benches/README.md has them.
    #[test]
    fn estimates_are_near_what_was_measured() {
        let sdxl = |side: u64, unet_bytes| Load {
            family: Family::Sdxl,
            parameters: ParameterCounts { unet: 2_567_463_684, vae: 83_653_863, text_encoders: 817_000_000 },
            unet_bytes,
            trained: 42_557_440,
            ..sd15(side * side, false)
        };
        for (load, measured) in [
            (sd15(256 * 256, false), 4.06),
            (sd15(512 * 512, false), 5.19),
            (sd15(256 * 256, true), 3.81),
            (sd15(512 * 512, true), 4.04),
            (sdxl(256, 4), 11.60),
            (sdxl(256, 2), 6.62),
            (sdxl(512, 2), 8.82),
        ] {
            let estimate = MemoryEstimate::of(&load).total() as f64 / 1e9;
            assert!((0.9..1.15).contains(&(estimate / measured)), "{estimate:.2} GB, measured {measured} GB: {load:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let estimate = MemoryEstimate::of(&sd15(512 * 512, false));
        assert_eq!(estimate.doubt(Some(estimate.total())), None);
        assert_eq!(estimate.doubt(None), None);
        let doubt = estimate.doubt(Some(1_000_000_000)).expect("a doubt");
        assert!(doubt.contains("needs about 5.2 GB") && doubt.contains("1.0 GB are free"), "{doubt}");
        let whole = Needs { text_encoders: true, vae: true };
        let more = MemoryEstimate::of(&Load { needs: whole, ..sd15(512 * 512, false) });
        assert!(more.weights > estimate.weights + 800_000_000);
    }

    #[test]
    fn the_system_tells_its_memory() {
        assert!(available().is_none_or(|bytes| bytes > 1 << 24));
    }
}
