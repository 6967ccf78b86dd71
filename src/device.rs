//! Device names: `cpu`, `auto`, `cuda:0`, `vulkan`, `metal`, `rocm`.

use burn::tensor::Device;

use crate::error::Error;

/// The device of this name. `cpu` is burn's flex backend; `auto` is the first GPU that this build supports, else the CPU.
///
/// # Errors
/// [`Error::Device`] for an unknown name, or one that this build has no backend for.
pub fn parse(name: &str) -> Result<Device, Error> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => {
            let index = index.parse::<usize>().map_err(|_| unknown(name))?;
            (kind, index)
        }
        None => (name, 0),
    };
    match kind {
        "cpu" if index == 0 => Ok(Device::flex()),
        "auto" => Ok(automatic()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(index)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(index)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(gpu(index))),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(gpu(index))),
        #[allow(unreachable_patterns, reason = "what this build supports is taken above")]
        "cuda" | "rocm" | "vulkan" | "metal" => Err(Error::Device {
            name: name.into(),
            reason: format!("this build lacks it; rebuild with `--features {kind}`"),
        }),
        _ => Err(unknown(name)),
    }
}

/// Whether a device is the CPU, with the system's memory.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_))
}

/// What a device is, for people.
#[must_use]
pub fn describe(device: &Device) -> String {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Flex(_) => "cpu".into(),
        #[allow(unreachable_patterns, reason = "which variants exist depends on the features of the build")]
        other => format!("{other:?}"),
    }
}

fn unknown(name: &str) -> Error {
    Error::Device { name: name.into(), reason: "expected auto, cpu, cuda, cuda:N, vulkan, metal or rocm".into() }
}

#[cfg(any(feature = "vulkan", feature = "metal"))]
fn gpu(index: usize) -> burn::tensor::DeviceKind {
    match index {
        0 => burn::tensor::DeviceKind::DefaultDevice,
        n => burn::tensor::DeviceKind::DiscreteGpu(n),
    }
}

fn automatic() -> Device {
    #[cfg(any(feature = "cuda", feature = "rocm", feature = "vulkan", feature = "metal"))]
    {
        Device::default()
    }
    #[cfg(not(any(feature = "cuda", feature = "rocm", feature = "vulkan", feature = "metal")))]
    {
        Device::flex()
    }
}
