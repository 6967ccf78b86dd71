//! Adapters as the tensors of a LoRA file, in sd-scripts' layout.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::Dtype;

use super::error::Error;
use super::found::Parts;
use super::set::{AdapterSet, Factor, Slot};
use crate::named_enum;
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
    let kernel = slot.layer.kind.kernel();
    let is_conv = matches!(slot.layer.kind, crate::layers::LayerKind::Conv2d(_));
    match factor {
        Factor::Down if is_conv => vec![slot.rank, slot.layer.inputs, kernel, kernel],
        Factor::Up if is_conv => vec![slot.layer.outputs, slot.rank, 1, 1],
        _ => slot.shape(factor).to_vec(),
    }
}

fn file_key(name: &str, factor: Factor) -> String {
    match factor {
        Factor::Down => format!("{name}.lora_down.weight"),
        Factor::Up => format!("{name}.lora_up.weight"),
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
            let name = self.name_of(slot);
            for factor in [Factor::Down, Factor::Up] {
                let (Place { stack, row }, [rows, columns]) =
                    (slot.place(factor), slot.shape(factor));
                let size = rows * columns;
                let values = &stacks[stack][row * size..(row + 1) * size];
                push(file_key(&name, factor), file_shape(slot, factor), values);
            }
            push(format!("{name}.alpha"), vec![], &[slot.alpha]);
        }
        tensors
    }

    /// The name of a slot's adapter in the file.
    fn name_of(&self, slot: &Slot) -> String {
        match self.naming().of(slot.layer.path.as_str()) {
            Some(name) => name,
            None => unreachable!(
                "targets are layers of the UNet or a text encoder: {}",
                slot.layer.path
            ),
        }
    }

    /// Takes all values from the tensors of a LoRA file that was made for the same layers and
    /// ranks, in the naming of sd-scripts, diffusers or PEFT. A missing alpha means the rank.
    ///
    /// # Errors
    /// [`Error::Misfit`] lists every adapter that is missing, every key that belongs to none of the
    /// adapters, every other shape and every value that is not finite. The adapters are then
    /// unchanged.
    pub fn load(&mut self, mut tensors: BTreeMap<String, StoredTensor>) -> Result<(), Error> {
        let mut misfits = Vec::new();
        let mut stacks: Vec<Vec<f32>> = (0..self.stacks().len())
            .map(|stack| self.host_values(stack))
            .collect();
        let mut alphas = Vec::with_capacity(self.slots().len());
        for slot in self.slots() {
            let Parts { factors, alpha } =
                Parts::take(&mut tensors, self.naming(), slot.layer.path.as_str());
            for (factor, found) in [Factor::Down, Factor::Up].into_iter().zip(factors) {
                match found {
                    None => misfits.push(format!("no `{}`", file_key(&self.name_of(slot), factor))),
                    Some((key, stored)) => match fitting(&key, &stored, slot, factor) {
                        Err(misfit) => misfits.push(misfit),
                        Ok(()) => {
                            let start = slot.place(factor).row * stored.values.len();
                            let stack = &mut stacks[slot.place(factor).stack];
                            stack[start..start + stored.values.len()]
                                .copy_from_slice(&stored.values);
                        }
                    },
                }
            }
            alphas.push(alpha.unwrap_or(slot.rank as f32));
        }
        misfits.extend(
            tensors
                .keys()
                .map(|key| format!("`{key}` belongs to no adapter of this training")),
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

fn fitting(key: &str, stored: &StoredTensor, slot: &Slot, factor: Factor) -> Result<(), String> {
    let expected = file_shape(slot, factor);
    // Writers differ in whether a 1x1 kernel has axes of its own.
    let squeezed = |shape: &[usize]| {
        let end = shape.len()
            - shape
                .iter()
                .rev()
                .take_while(|n| **n == 1)
                .count()
                .min(shape.len().saturating_sub(2));
        shape[..end].to_vec()
    };
    if squeezed(&stored.shape) != squeezed(&expected) {
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::Naming;
    use super::super::target::{RankAlpha, Targets};
    use super::*;
    use crate::layers::{LayerKind, LayerSpec};
    use crate::ops::ConvShape;

    fn set(rank: usize, seed: u64) -> AdapterSet {
        let layer = |path: &str, kind| LayerSpec {
            path: path.into(),
            kind,
            inputs: 6,
            outputs: 4,
        };
        let layers = [
            layer(
                "unet.mid_block.attentions.0.proj_in",
                LayerKind::Conv2d(ConvShape::POINTWISE),
            ),
            layer(
                "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q",
                LayerKind::Linear,
            ),
            layer(
                "unet.mid_block.resnets.0.conv1",
                LayerKind::Conv2d(ConvShape::SAME3),
            ),
        ];
        let linear = RankAlpha { rank, alpha: 1.5 };
        let targets = Targets {
            linear,
            conv: Some(linear),
            ..Targets::default()
        };
        AdapterSet::new(&layers, &targets, seed, &Device::flex()).expect("targets")
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
    fn names_of_other_programs_are_read() {
        let written = set(2, 1);
        let kohya = stored(&written);
        let rename = |ending: [&str; 2], prefix: &str| -> BTreeMap<String, StoredTensor> {
            let mut renamed = BTreeMap::new();
            for slot in written.slots() {
                let name = written.name_of(slot);
                for (from, to) in [".lora_down.weight", ".lora_up.weight"]
                    .into_iter()
                    .zip(ending)
                {
                    let key = format!(
                        "{prefix}{}{to}",
                        slot.layer.path.as_str().trim_start_matches("unet.")
                    );
                    renamed.insert(key, kohya[&format!("{name}{from}")].clone());
                }
            }
            renamed
        };
        let peft = [".lora_A.weight", ".lora_B.weight"];
        for tensors in [
            rename(peft, "unet."),
            rename(peft, "base_model.model."),
            rename([".lora.down.weight", ".lora.up.weight"], "unet."),
        ] {
            let found = super::super::adapters_in(
                &tensors,
                &written
                    .slots()
                    .iter()
                    .map(|s| s.layer.clone())
                    .collect::<Vec<_>>(),
                Naming::Sd,
            )
            .expect("factors");
            assert_eq!(
                found.iter().map(|found| found.rank).collect::<Vec<_>>(),
                [2; 3]
            );
            let mut read = set(2, 7);
            read.load(tensors).expect("fits");
            // Without alphas: the rank.
            assert!(read.slots().iter().all(|slot| slot.alpha == 2.0));
            for (read, written) in read.stacks().iter().zip(written.stacks()) {
                assert!(
                    read.values
                        .clone()
                        .equal(written.values.clone())
                        .all()
                        .into_scalar::<bool>()
                );
            }
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
        tensors.remove("lora_unet_mid_block_resnets_0_conv1.lora_up.weight");
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
                .any(|l| l.starts_with("no `lora_unet_mid_block_resnets_0_conv1.lora_up")),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|l| l.contains("[3, 6], expected [2, 6]")),
            "{lines:?}"
        );
        assert_eq!(before, stored(&target));
    }
}
