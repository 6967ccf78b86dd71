//! One network among the tensors of a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lora_core::adapter::AdapterSet;
use sha2::{Digest as _, Sha256};

use super::store::TensorStore;
use crate::error::Result;
use crate::family::Family;
use crate::keys::{Network, Part, Spelling, Stored, keys_by_path};

/// A network among the tensors of a checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(crate) store: Arc<TensorStore>,
    pub(crate) network: Network,
    pub(crate) family: Family,
    pub(crate) spelling: Spelling,
    /// Adapters that become a part of the weights.
    pub(crate) merged: Vec<MergedAdapters>,
}

/// An adapter set with its strength.
#[derive(Debug, Clone)]
pub(crate) struct MergedAdapters {
    pub(crate) adapters: Arc<AdapterSet>,
    pub(crate) strength: f32,
}

impl Component {
    /// The network's tensors by their path in diffusers' spelling.
    pub(super) fn tensors(&self) -> BTreeMap<String, Stored> {
        keys_by_path(self.network, self.spelling, self.store.keys())
    }

    /// The shape of a tensor, or of the part of it that is used.
    pub(super) fn shape(&self, stored: &Stored) -> Vec<usize> {
        let mut shape = self.store.shape(&stored.key).unwrap_or_default().to_vec();
        match stored.part {
            Part::Whole => {}
            Part::Third(_) => {
                if let Some(rows) = shape.first_mut() {
                    *rows /= 3;
                }
            }
            Part::Transposed => shape.reverse(),
        }
        shape
    }

    /// The values of a tensor, or of the part of it that is used.
    pub(super) fn read_f32(&self, stored: &Stored) -> Result<Vec<f32>> {
        let shape = self.shape(stored);
        let count = shape.iter().product::<usize>();
        match stored.part {
            Part::Whole => self.store.read_f32(&stored.key, 0..count),
            Part::Third(third) => self
                .store
                .read_f32(&stored.key, third * count..(third + 1) * count),
            Part::Transposed => {
                let values = self.store.read_f32(&stored.key, 0..count)?;
                let [rows, columns] = shape[..] else {
                    return Ok(values);
                };
                Ok((0..count)
                    .map(|index| values[index % columns * rows + index / columns])
                    .collect())
            }
        }
    }

    /// Checks the values of all tensors without keeping them.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) for the first tensor with NaN or infinity;
    /// [`Error::Io`](crate::Error::Io).
    pub(crate) fn check_finite(&self) -> Result<()> {
        for key in self.stored_keys() {
            self.store.check_finite(&key)?;
        }
        Ok(())
    }

    /// The number of parameters: the elements of all tensors.
    pub(crate) fn parameter_count(&self) -> usize {
        self.stored_keys()
            .iter()
            .map(|key| {
                let shape = self.store.shape(key).unwrap_or_default();
                shape.iter().product::<usize>()
            })
            .sum()
    }

    /// Hashes the names, shapes and f32 values of all tensors. The number format has no influence
    /// if it holds the values exactly.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::Io`](crate::Error::Io).
    pub(crate) fn digest(&self, digest: &mut Sha256) -> Result<()> {
        const PART: usize = 1 << 24;
        for key in self.stored_keys() {
            let shape = self.store.shape(&key).unwrap_or_default();
            digest.update(key.as_bytes());
            for side in shape {
                digest.update((*side as u64).to_le_bytes());
            }
            let count: usize = shape.iter().product();
            for start in (0..count).step_by(PART) {
                let part = self.store.read_f32(&key, start..count.min(start + PART))?;
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                digest.update(&bytes);
            }
        }
        Ok(())
    }

    /// The keys in the file, in order. Several tensors may be parts of one key.
    fn stored_keys(&self) -> BTreeSet<String> {
        self.tensors()
            .into_values()
            .map(|stored| stored.key)
            .collect()
    }
}
