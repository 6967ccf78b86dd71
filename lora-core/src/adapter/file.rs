//! Adapters as the tensors of a LoRA file, in sd-scripts' layout.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::Dtype;

use super::error::Error;
use super::keys::{alpha_key, factor_keys, file_key};
use super::layout::Slot;
use super::set::AdapterSet;
use super::stack::Factor;
use crate::named_enum;
use crate::network::LayerKind;
use crate::ops::Place;

named_enum! {
    /// The number type of saved adapters. sd-scripts' `save_precision`.
    pub enum SavePrecision {
        /// 32-bit floats.
        Float = "float" | "fp32",
        /// 16-bit floats with 5 exponent bits.
        Fp16 = "fp16",
        /// 16-bit floats with 8 exponent bits, bfloat16.
        Bf16 = "bf16",
    }
}

impl SavePrecision {
    fn dtype(self) -> Dtype {
        match self {
            Self::Fp16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::Float => Dtype::F32,
        }
    }

    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::Fp16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
            Self::Float => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// One tensor to write.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterTensor {
    /// Its key.
    pub key: String,
    /// Its number format.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, little-endian.
    pub bytes: Vec<u8>,
}

/// One tensor that was read, widened to f32.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// The shape of a factor in a file: a convolution's factors keep their kernel axes.
fn file_shape(slot: &Slot, factor: Factor) -> Vec<usize> {
    let is_conv = matches!(slot.layer.kind, LayerKind::Conv2d(_));
    match factor {
        Factor::Down if is_conv => {
            let kernel = slot.layer.kind.kernel();
            vec![slot.rank, slot.layer.inputs, kernel, kernel]
        }
        Factor::Up if is_conv => vec![slot.layer.outputs, slot.rank, 1, 1],
        _ => slot.shape(factor).to_vec(),
    }
}

/// The tensors that a file holds for one adapter.
#[derive(Debug, Default)]
struct StoredAdapter {
    /// Key and values of each factor.
    factors: [Option<(String, StoredTensor)>; 2],
    alpha: Option<f32>,
}

impl StoredAdapter {
    /// Removes what belongs to the adapter with these names from the tensors of a file.
    fn take(tensors: &mut BTreeMap<String, StoredTensor>, names: &[String]) -> Self {
        let mut stored = Self::default();
        for name in names {
            for (key, factor) in factor_keys(name) {
                let found = &mut stored.factors[factor as usize];
                if found.is_none() {
                    *found = tensors.remove_entry(&key);
                }
            }
            let alpha = tensors
                .remove(&alpha_key(name))
                .and_then(|alpha| alpha.values.first().copied());
            stored.alpha = stored.alpha.or(alpha);
        }
        stored
    }
}

impl AdapterSet {
    /// All tensors of the LoRA file, three for each adapter: `lora_down.weight`, `lora_up.weight`
    /// and the scalar `alpha`.
    #[must_use]
    pub fn to_tensors(&self, precision: SavePrecision) -> Vec<AdapterTensor> {
        let stacks: Vec<Vec<f32>> = (0..self.stacks().len())
            .map(|stack| self.host_values(stack))
            .collect();
        let mut tensors = Vec::with_capacity(3 * self.slots().len());
        let mut push = |key, shape, values: &[f32]| {
            tensors.push(AdapterTensor {
                key,
                dtype: precision.dtype(),
                shape,
                bytes: precision.encode(values),
            });
        };
        for slot in self.slots() {
            for factor in [Factor::Down, Factor::Up] {
                let (Place { stack, row }, [rows, columns]) =
                    (slot.place(factor), slot.shape(factor));
                let size = rows * columns;
                let values = &stacks[stack][row * size..(row + 1) * size];
                let key = file_key(&slot.name, factor);
                push(key, file_shape(slot, factor), values);
            }
            push(alpha_key(&slot.name), vec![], &[slot.alpha]);
        }
        tensors
    }

    /// Loads all values from the tensors of a LoRA file that was made for the same layers and
    /// ranks, under the adapters' own names. A missing alpha means the rank.
    ///
    /// # Errors
    /// Those of [`load_named`](Self::load_named).
    pub fn load(&mut self, tensors: BTreeMap<String, StoredTensor>) -> Result<(), Error> {
        self.load_named(tensors, |slot| vec![slot.name.clone()])
    }

    /// As [`load`](Self::load), from a file that may have adapters under other `names`, which are
    /// tried in order.
    ///
    /// # Errors
    /// [`Error::Misfit`] lists every missing adapter, every key that belongs to none of the
    /// adapters, every wrong shape and every value that is not finite. The adapters are then
    /// unchanged.
    pub fn load_named(
        &mut self,
        mut tensors: BTreeMap<String, StoredTensor>,
        names: impl Fn(&Slot) -> Vec<String>,
    ) -> Result<(), Error> {
        let mut misfits = Vec::new();
        let mut stacks: Vec<Vec<f32>> = (0..self.stacks().len())
            .map(|stack| self.host_values(stack))
            .collect();
        let mut alphas = Vec::with_capacity(self.slots().len());
        for slot in self.slots() {
            let StoredAdapter { factors, alpha } = StoredAdapter::take(&mut tensors, &names(slot));
            for (factor, found) in [Factor::Down, Factor::Up].into_iter().zip(factors) {
                let Some((key, stored)) = found else {
                    misfits.push(format!("no `{}`", file_key(&slot.name, factor)));
                    continue;
                };
                if let Err(misfit) = check_tensor(&key, &stored, slot, factor) {
                    misfits.push(misfit);
                    continue;
                }
                let Place { stack, row } = slot.place(factor);
                let size = stored.values.len();
                stacks[stack][row * size..(row + 1) * size].copy_from_slice(&stored.values);
            }
            alphas.push(alpha.unwrap_or(slot.rank as f32));
        }
        misfits.extend(
            tensors
                .keys()
                .map(|key| format!("`{key}` belongs to no adapter of this model")),
        );
        if !misfits.is_empty() {
            return Err(Error::Misfit(misfits));
        }
        for (slot, alpha) in self.slots_mut().iter_mut().zip(alphas) {
            slot.alpha = alpha;
        }
        for (stack, values) in stacks.into_iter().enumerate() {
            self.set_host_values(stack, values);
        }
        Ok(())
    }
}

/// Checks shape and values of a factor.
fn check_tensor(
    key: &str,
    stored: &StoredTensor,
    slot: &Slot,
    factor: Factor,
) -> Result<(), String> {
    let expected = file_shape(slot, factor);
    if without_unit_kernel(&stored.shape) != without_unit_kernel(&expected) {
        return Err(format!(
            "`{key}` has shape {:?}, expected {expected:?}",
            stored.shape
        ));
    }
    if !stored.values.iter().all(|value| value.is_finite()) {
        return Err(format!("`{key}` has values that are not finite"));
    }
    Ok(())
}

/// The shape without the axes of a 1x1 kernel, which not all programs write: ones at the end, but
/// for the first two axes.
fn without_unit_kernel(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().rev().take_while(|n| **n == 1).count();
    let kept = (shape.len() - ones).max(shape.len().min(2));
    &shape[..kept]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::AdapterSpec;
    use super::*;
    use crate::network::{LayerPath, LayerSpec, Network};
    use crate::ops::ConvShape;

    fn set(rank: usize, seed: u64) -> AdapterSet {
        let specs = [
            ("proj_in", LayerKind::Conv2d(ConvShape::POINTWISE)),
            ("to_q", LayerKind::Linear),
            ("conv1", LayerKind::Conv2d(ConvShape::SAME3)),
        ]
        .map(|(path, kind)| AdapterSpec {
            layer: LayerSpec {
                path: LayerPath::new(Network::Unet, path),
                kind,
                inputs: 6,
                outputs: 4,
            },
            rank,
            alpha: 1.5,
            name: format!("lora_unet_{path}"),
        });
        AdapterSet::new(&specs, seed, &Device::flex()).expect("targets")
    }

    fn stored(set: &AdapterSet) -> BTreeMap<String, StoredTensor> {
        set.to_tensors(SavePrecision::Float)
            .into_iter()
            .map(|t| {
                let values = t
                    .bytes
                    .chunks(4)
                    .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
                    .collect();
                (
                    t.key,
                    StoredTensor {
                        shape: t.shape,
                        values,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = set(2, 1);
        let mut read = set(2, 7);
        assert_ne!(stored(&written), stored(&read));
        read.load(stored(&written)).expect("fits");
        assert_eq!(stored(&written), stored(&read));
        let shapes: Vec<_> = written
            .to_tensors(SavePrecision::Fp16)
            .into_iter()
            .map(|t| t.shape)
            .collect();
        assert_eq!(shapes[..3], [vec![2, 6, 1, 1], vec![4, 2, 1, 1], vec![]]);
        assert_eq!(shapes[3..6], [vec![2, 6], vec![4, 2], vec![]]);
        assert_eq!(shapes[6..], [vec![2, 6, 3, 3], vec![4, 2, 1, 1], vec![]]);
    }

    #[test]
    fn adapters_are_read_under_other_names() {
        let written = set(2, 1);
        let mut tensors = BTreeMap::new();
        for (key, tensor) in stored(&written) {
            if !key.ends_with(".alpha") {
                let key = key
                    .replace("lora_unet_", "unet.")
                    .replace("lora_down", "lora_A")
                    .replace("lora_up", "lora_B");
                tensors.insert(key, tensor);
            }
        }
        let mut read = set(2, 7);
        assert!(read.load(tensors.clone()).is_err());
        read.load_named(tensors, |slot| {
            vec![slot.name.clone(), slot.layer.path.to_string()]
        })
        .expect("fits");
        // Without alphas: the rank.
        assert!(read.slots().iter().all(|slot| slot.alpha == 2.0));
        for (read, written) in read.stacks().iter().zip(written.stacks()) {
            let values = [read, written].map(|stack| stack.values.clone().into_data());
            assert_eq!(values[0], values[1]);
        }
    }

    #[test]
    fn every_misfit_is_named() {
        let mut tensors = stored(&set(3, 1));
        tensors.insert(
            "lora_unet_nowhere.alpha".into(),
            StoredTensor {
                shape: vec![],
                values: vec![1.0],
            },
        );
        tensors.remove("lora_unet_conv1.lora_up.weight");
        let mut target = set(2, 7);
        let before = stored(&target);
        let Err(Error::Misfit(lines)) = target.load(tensors) else {
            panic!("must not fit")
        };
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert!(
            lines.iter().any(|l| l.contains("lora_unet_nowhere")),
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .any(|l| l.starts_with("no `lora_unet_conv1.lora_up")),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|l| l.contains("[3, 6], expected [2, 6]")),
            "{lines:?}"
        );
        assert_eq!(before, stored(&target));
    }
}
