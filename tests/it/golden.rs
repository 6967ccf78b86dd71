//! Reads the reference data. `LORA_TRAINER_GOLDEN` names another directory of the same format.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// The directory of the reference data.
pub(crate) fn dir() -> PathBuf {
    match std::env::var_os("LORA_TRAINER_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    }
}

/// The device named by `LORA_TRAINER_DEVICE`, or the CPU.
pub(crate) fn device() -> Device {
    let name = std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into());
    lora_trainer::device::parse(&name).expect("LORA_TRAINER_DEVICE")
}

/// A JSON file of the reference data.
pub(crate) fn json(name: &str) -> serde_json::Value {
    json_file(&dir().join(name))
}

/// The keys and shapes of a full-size file. They belong to released models and to sd-scripts, so a
/// directory with other random data need not have them.
pub(crate) fn layout(name: &str) -> serde_json::Value {
    let folder = dir().join("layouts");
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layouts");
    json_file(&if folder.is_dir() { folder } else { bundled }.join(name))
}

fn json_file(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // Python's writer spells numbers that JSON lacks.
    let text = text
        .replace("-Infinity", "null")
        .replace("Infinity", "null")
        .replace("NaN", "null");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One stored array, widened to f64.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    pub(crate) dtype: Dtype,
}

impl Array {
    pub(crate) fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|v| *v as f32).collect()
    }

    pub(crate) fn i64(&self) -> Vec<i64> {
        self.values.iter().map(|v| *v as i64).collect()
    }

    pub(crate) fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.f32(), self.shape.clone()), device)
    }

    /// The sub-array at `index` of the first axis.
    pub(crate) fn at(&self, index: usize) -> Array {
        let size: usize = self.shape[1..].iter().product();
        Array {
            shape: self.shape[1..].to_vec(),
            values: self.values[index * size..(index + 1) * size].to_vec(),
            dtype: self.dtype,
        }
    }
}

/// All arrays of one safetensors file.
#[derive(Debug)]
pub(crate) struct Arrays {
    name: String,
    pub(crate) arrays: HashMap<String, Array>,
    pub(crate) metadata: HashMap<String, String>,
}

impl Arrays {
    /// A file of the reference data.
    pub(crate) fn read(name: &str) -> Self {
        Self::open(&dir().join(name))
    }

    /// Any file.
    pub(crate) fn open(path: &Path) -> Self {
        let name = &path.display().to_string();
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).expect(name);
        let file = SafeTensors::deserialize(&bytes).expect(name);
        let arrays = file
            .tensors()
            .into_iter()
            .map(|(key, view)| {
                let array = Array {
                    shape: view.shape().to_vec(),
                    values: widen(view.dtype(), view.data()),
                    dtype: view.dtype(),
                };
                (key, array)
            })
            .collect();
        let metadata = header.metadata().clone().unwrap_or_default();
        Self {
            name: name.into(),
            arrays,
            metadata,
        }
    }

    /// The array of this key. Panics with file and key if it is missing.
    pub(crate) fn get(&self, key: &str) -> &Array {
        self.arrays
            .get(key)
            .unwrap_or_else(|| panic!("{}: no `{key}`", self.name))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.arrays.contains_key(key)
    }

    /// The metadata entry of this key as JSON.
    pub(crate) fn metadata_json(&self, key: &str) -> serde_json::Value {
        let text = self
            .metadata
            .get(key)
            .unwrap_or_else(|| panic!("{}: no metadata `{key}`", self.name));
        serde_json::from_str(text).expect(key)
    }
}

fn widen(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .chunks_exact(N)
            .map(|c| f(c.try_into().expect("exact chunk")))
            .collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |b| f32::from_le_bytes(b).into()),
        Dtype::F16 => each(bytes, |b| half::f16::from_le_bytes(b).into()),
        Dtype::BF16 => each(bytes, |b| half::bf16::from_le_bytes(b).into()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
        Dtype::U8 => each(bytes, |b: [u8; 1]| b[0].into()),
        Dtype::BOOL => each(bytes, |b: [u8; 1]| b[0].into()),
        other => panic!("storage type {other:?}"),
    }
}

/// The values of a float tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .expect("f32 values")
}

/// Asserts that no value differs by more than `tolerance` times the largest expected magnitude, and
/// that all are finite. Returns the worst difference in that unit.
#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) -> f64 {
    assert_close_floor(what, actual, expected, tolerance, f64::MIN_POSITIVE)
}

/// Like [`assert_close`], with a lower bound for the magnitude that the tolerance refers to.
#[track_caller]
pub(crate) fn assert_close_floor(
    what: &str,
    actual: &[f32],
    expected: &[f32],
    tolerance: f64,
    floor: f64,
) -> f64 {
    assert_eq!(actual.len(), expected.len(), "{what}: number of values");
    assert!(!expected.is_empty(), "{what}: nothing to compare");
    assert!(
        actual.iter().chain(expected).all(|v| v.is_finite()),
        "{what}: not finite"
    );
    let unit = max_abs(expected).max(floor);
    let (at, worst) = actual
        .iter()
        .zip(expected)
        .map(|(a, e)| (f64::from(*a) - f64::from(*e)).abs() / unit)
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("values");
    assert!(
        worst <= tolerance,
        "{what}: value {at} is {}, expected {}; {worst:.2e} of the maximum {unit:.3e}, allowed \
         {tolerance:.0e}",
        actual[at],
        expected[at]
    );
    println!("{what}: {worst:.1e} of the maximum");
    worst
}

/// The largest magnitude.
pub(crate) fn max_abs(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(f64::from(v.abs())))
}
