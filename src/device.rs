//! Device names: `cpu`, `auto`, `cuda:0`, `vulkan`, `metal`, `rocm`.

use burn::tensor::Device;
#[cfg(any(
    feature = "cuda",
    feature = "rocm",
    feature = "vulkan",
    feature = "metal"
))]
use burn::tensor::DeviceType;

use crate::error::Error;

/// Returns the device with this name. `cpu` is burn's flex backend; `auto` is the first GPU that
/// this build supports and this machine has, or the CPU.
///
/// # Errors
/// [`Error::Device`] for an unknown name, for a backend that this build lacks, and for a GPU that
/// this machine lacks.
pub fn parse(name: &str) -> Result<Device, Error> {
    check_name(name)?;
    #[allow(unused_variables, reason = "only GPUs are counted")]
    let (kind, index) = parts(name)?;
    match kind {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => one_of(name, Device::enumerate(DeviceType::Cuda), index),
        #[cfg(feature = "rocm")]
        "rocm" => one_of(name, Device::enumerate(DeviceType::Rocm), index),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(gpu(index))),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(gpu(index))),
        _ => Ok(automatic()),
    }
}

/// Checks that this build supports a device with this name. Does not access hardware.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let (kind, index) = parts(name)?;
    let is_built = match kind {
        "cpu" | "auto" if index == 0 => true,
        "cuda" => cfg!(feature = "cuda"),
        "rocm" => cfg!(feature = "rocm"),
        "vulkan" => cfg!(feature = "vulkan"),
        "metal" => cfg!(feature = "metal"),
        _ => return Err(unknown(name)),
    };
    if is_built {
        return Ok(());
    }
    Err(Error::Device {
        name: name.into(),
        reason: format!("this build does not support {kind}; rebuild with `--features {kind}`"),
    })
}

fn parts(name: &str) -> Result<(&str, usize), Error> {
    match name.split_once(':') {
        Some((kind, index)) => Ok((kind, index.parse().map_err(|_| unknown(name))?)),
        None => Ok((name, 0)),
    }
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
fn one_of(
    name: &str,
    found: impl IntoIterator<Item = Device>,
    index: usize,
) -> Result<Device, Error> {
    let found: Vec<Device> = found.into_iter().collect();
    let reason = match found.len() {
        0 => "no such GPU found; is its driver installed?".into(),
        1 => "this machine has 1 such GPU, number 0".into(),
        count => format!(
            "this machine has {count} such GPUs, numbers 0 to {}",
            count - 1
        ),
    };
    found.into_iter().nth(index).ok_or(Error::Device {
        name: name.into(),
        reason,
    })
}

/// True if a device is the CPU, which uses the system's memory.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_))
}

/// Returns a short description of a device for messages.
#[must_use]
pub fn describe(device: &Device) -> String {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Flex(_) => "cpu".into(),
        #[allow(
            unreachable_patterns,
            reason = "which variants exist depends on the features of the build"
        )]
        other => format!("{other:?}"),
    }
}

fn unknown(name: &str) -> Error {
    Error::Device {
        name: name.into(),
        reason: "expected auto, cpu, cuda, cuda:N, vulkan, metal or rocm".into(),
    }
}

#[cfg(any(feature = "vulkan", feature = "metal"))]
fn gpu(index: usize) -> burn::tensor::DeviceKind {
    match index {
        0 => burn::tensor::DeviceKind::DefaultDevice,
        n => burn::tensor::DeviceKind::DiscreteGpu(n),
    }
}

/// Returns the first GPU, or the CPU. A missing driver is not an error, so that a build with GPU
/// backends also runs on machines without a GPU.
fn automatic() -> Device {
    #[cfg(feature = "cuda")]
    if let Some(device) = Device::enumerate(DeviceType::Cuda).into_iter().next() {
        return device;
    }
    #[cfg(feature = "rocm")]
    if let Some(device) = Device::enumerate(DeviceType::Rocm).into_iter().next() {
        return device;
    }
    #[cfg(feature = "metal")]
    if Device::enumerate(DeviceType::Metal)
        .into_iter()
        .next()
        .is_some()
    {
        return Device::metal(gpu(0));
    }
    #[cfg(feature = "vulkan")]
    if Device::enumerate(DeviceType::Vulkan)
        .into_iter()
        .next()
        .is_some()
    {
        return Device::vulkan(gpu(0));
    }
    Device::flex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert!(is_cpu(&parse("cpu").unwrap()));
        for (name, part) in [
            ("gpu", "expected auto, cpu, cuda"),
            ("cpu:1", "expected auto"),
            ("cuda:x", "expected auto"),
            ("cuda:-1", "expected auto"),
        ] {
            let error = parse(name).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("device `{name}`: ")) && error.contains(part),
                "{error}"
            );
        }
        #[cfg(not(feature = "rocm"))]
        assert!(
            parse("rocm")
                .unwrap_err()
                .to_string()
                .contains("rebuild with `--features rocm`")
        );
    }
}
