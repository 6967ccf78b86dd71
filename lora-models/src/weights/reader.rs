//! Hands out a network's tensors and keeps account of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use lora_core::adapter::AdapterSet;
use lora_core::layers::{Conv2d, GroupNorm, LayerNorm, LayerPath, LayerSpec, Linear};
use lora_core::ops::ConvShape;
use sha2::{Digest as _, Sha256};

use super::store::TensorStore;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::keys::{Network, Part, Spelling, Stored, file_key, keys_by_path};

/// The tensors of one network, below a path. Every tensor that a constructor asks for is ticked
/// off; missing, misshaped and left-over ones come out together at the end.
#[derive(Debug, Clone)]
pub struct Weights {
    account: Rc<Account>,
    path: String,
}

#[derive(Debug)]
struct Account {
    store: Arc<TensorStore>,
    network: Network,
    family: Family,
    spelling: Spelling,
    keys: BTreeMap<String, Stored>,
    /// Where tensors go and as what; none where the header alone is looked at, and tensors are
    /// zeros that take no memory.
    target: Option<(Device, FloatDType)>,
    /// Adapters that become a part of the weights.
    merged: Vec<Merged>,
    state: RefCell<State>,
}

/// A network among the tensors of a checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) store: Arc<TensorStore>,
    pub(super) network: Network,
    pub(super) family: Family,
    pub(super) spelling: Spelling,
    pub(super) merged: Vec<Merged>,
}

/// An adapter set with its strength.
#[derive(Debug, Clone)]
pub(super) struct Merged(pub(super) Arc<AdapterSet>, pub(super) f32);

#[derive(Debug, Default)]
struct State {
    used: BTreeSet<String>,
    problems: Vec<String>,
    failure: Option<Error>,
    layers: Vec<LayerSpec>,
}

impl Weights {
    pub(super) fn new(component: &Component, target: Option<(Device, FloatDType)>) -> Self {
        let Component {
            store,
            network,
            family,
            spelling,
            merged,
        } = component;
        let keys = keys_by_path(*network, *spelling, store.keys());
        let account = Account {
            store: Arc::clone(store),
            network: *network,
            family: *family,
            spelling: *spelling,
            keys,
            target,
            merged: merged.clone(),
            state: RefCell::default(),
        };
        Self {
            account: Rc::new(account),
            path: String::new(),
        }
    }

    /// The tensors below a further path segment.
    #[must_use]
    pub fn at(&self, segment: impl Display) -> Self {
        Self {
            account: Rc::clone(&self.account),
            path: format!("{}{segment}.", self.path),
        }
    }

    /// The shape of the tensor of this name, if there is one.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let stored = self.account.keys.get(&format!("{}{name}", self.path))?;
        Some(self.account.shape(stored))
    }

    /// The size that most of these axes of tensors have, the first of them in case of a tie: one
    /// tensor that is missing or of another shape then does not make all others look wrong. 0 where
    /// all are missing, which asking for them reports.
    #[must_use]
    pub fn width(&self, axes: &[(&str, usize)]) -> usize {
        most_common(
            axes.iter()
                .filter_map(|(name, axis)| self.shape(name)?.get(*axis).copied()),
        )
    }

    /// As [`width`](Self::width), over an axis of all tensors below this path whose names end in
    /// this way.
    #[must_use]
    pub fn width_of_all(&self, suffix: &str, axis: usize) -> usize {
        let below = self
            .account
            .keys
            .range(self.path.clone()..)
            .take_while(|(path, _)| path.starts_with(&self.path));
        let fitting = below.filter(|(path, _)| path.ends_with(suffix));
        most_common(fitting.filter_map(|(_, stored)| self.account.shape(stored).get(axis).copied()))
    }

    /// Whether any tensor lies below this path segment.
    #[must_use]
    pub fn has(&self, segment: &str) -> bool {
        let start = format!("{}{segment}.", self.path);
        self.account
            .keys
            .range(start.clone()..)
            .next()
            .is_some_and(|(key, _)| key.starts_with(&start))
    }

    /// How many elements the list of this name has: `name.0`, `name.1`, …
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        (0..)
            .take_while(|index| self.has(&format!("{name}.{index}")))
            .count()
    }

    /// A tensor in the compute dtype. Axes of size 1 at the end may be missing or surplus in the
    /// file. A problem is noted and gives zeros.
    #[must_use]
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        // A width is 0 where all tensors that would tell it are missing.
        let empty =
            || Tensor::<D>::zeros([1; D], &Device::flex()).expand(shape.map(|size| size.max(1)));
        let path = format!("{}{name}", self.path);
        let Some(stored) = self.account.keys.get(&path) else {
            let Account {
                network,
                spelling,
                keys,
                ..
            } = &*self.account;
            let key = file_key(*network, *spelling, &path, keys);
            self.problem(format!("`{key}` is missing, expected shape {shape:?}"));
            return empty();
        };
        self.account.state.borrow_mut().used.insert(path);
        let found = self.account.shape(stored);
        let whole = self.account.store.shape(&stored.key).unwrap_or_default();
        let is_uneven = matches!(stored.part, Part::Third(_))
            && !whole.first().copied().unwrap_or(0).is_multiple_of(3);
        if is_uneven || found.contains(&0) {
            self.problem(format!(
                "`{}` has shape {whole:?}, which no layer has",
                stored.key
            ));
            return empty();
        }
        if squeezed(&found) != squeezed(&shape) {
            self.problem(format!(
                "`{}` has shape {found:?}, expected {shape:?}",
                stored.key
            ));
            return empty();
        }
        let Some((device, dtype)) = &self.account.target else {
            return empty();
        };
        match self.account.read(stored) {
            Ok(values) => {
                let tensor = self.merged(
                    name,
                    Tensor::from_data(TensorData::new(values, shape), device),
                );
                // Vectors are a thousandth of a network; what adds or scales stays exact.
                if D == 1 || DType::from(*dtype) == DType::F32 {
                    tensor
                } else {
                    tensor.cast(*dtype)
                }
            }
            Err(error) => {
                self.account.state.borrow_mut().failure.get_or_insert(error);
                empty()
            }
        }
    }

    /// Reads through all tensors without keeping any.
    pub(super) fn check_finite(&self) -> Result<()> {
        let keys: BTreeSet<&str> = self
            .account
            .keys
            .values()
            .map(|stored| stored.key.as_str())
            .collect();
        keys.into_iter()
            .try_for_each(|key| self.account.store.check_finite(key))
    }

    /// How many numbers all tensors hold.
    pub(super) fn parameter_count(&self) -> usize {
        let keys: BTreeSet<&str> = self
            .account
            .keys
            .values()
            .map(|stored| stored.key.as_str())
            .collect();
        keys.into_iter()
            .map(|key| {
                self.account
                    .store
                    .shape(key)
                    .unwrap_or_default()
                    .iter()
                    .product::<usize>()
            })
            .sum()
    }

    /// Takes in names, shapes and values of all tensors. A tensor gives the same in every number
    /// type that holds it exactly.
    pub(super) fn digest(&self, digest: &mut Sha256) -> Result<()> {
        const PART: usize = 1 << 24;
        let keys: BTreeSet<&str> = self
            .account
            .keys
            .values()
            .map(|stored| stored.key.as_str())
            .collect();
        for key in keys {
            let shape = self.account.store.shape(key).unwrap_or_default();
            digest.update(key.as_bytes());
            shape
                .iter()
                .for_each(|side| digest.update((*side as u64).to_le_bytes()));
            let values: usize = shape.iter().product();
            for start in (0..values).step_by(PART) {
                let part = self
                    .account
                    .store
                    .read_f32(key, start..values.min(start + PART))?;
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                digest.update(&bytes);
            }
        }
        Ok(())
    }

    /// A layer's weight with the adapters that are merged into it.
    fn merged<const D: usize>(&self, name: &str, weight: Tensor<D>) -> Tensor<D> {
        let (Some(layer), false) = (
            self.path.strip_suffix('.'),
            self.account.merged.is_empty() || name != "weight",
        ) else {
            return weight;
        };
        let path = LayerPath::new(self.account.network, layer);
        let (shape, device) = (weight.dims(), weight.device());
        let deltas = self
            .account
            .merged
            .iter()
            .filter_map(|Merged(set, strength)| Some(set.delta(&path)? * *strength));
        deltas.fold(weight, |weight, delta| {
            weight + delta.to_device(&device).reshape(shape)
        })
    }

    /// A linear layer from `name.weight` and, with `bias`, `name.bias`.
    #[must_use]
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Linear {
        let at = self.at(name);
        let weight = at.tensor("weight", [outputs, inputs]);
        let bias = bias.then(|| at.tensor("bias", [outputs]));
        let layer = Linear::new(self.layer_path(name), weight, bias);
        self.account.state.borrow_mut().layers.push(layer.spec());
        layer
    }

    /// A convolution with bias.
    #[must_use]
    pub fn conv2d(&self, name: &str, inputs: usize, outputs: usize, shape: ConvShape) -> Conv2d {
        let at = self.at(name);
        let weight = at.tensor("weight", [outputs, inputs, shape.kernel, shape.kernel]);
        let bias = Some(at.tensor("bias", [outputs]));
        let layer = Conv2d::new(self.layer_path(name), weight, bias, shape);
        self.account.state.borrow_mut().layers.push(layer.spec());
        layer
    }

    /// A group norm. Notes a problem where the channels do not divide into the groups.
    #[must_use]
    pub fn group_norm(&self, name: &str, channels: usize, groups: usize, eps: f64) -> GroupNorm {
        if groups == 0 || !channels.is_multiple_of(groups) {
            self.problem(format!(
                "`{}`: {channels} channels do not divide into {groups} groups",
                self.layer_path(name)
            ));
        }
        let at = self.at(name);
        GroupNorm::new(
            at.tensor("weight", [channels]),
            at.tensor("bias", [channels]),
            groups,
            eps,
        )
    }

    /// A layer norm.
    #[must_use]
    pub fn layer_norm(&self, name: &str, width: usize, eps: f64) -> LayerNorm {
        let at = self.at(name);
        LayerNorm::new(
            at.tensor("weight", [width]),
            at.tensor("bias", [width]),
            eps,
        )
    }

    /// Notes what is wrong with the network.
    pub fn problem(&self, problem: String) {
        self.account.state.borrow_mut().problems.push(problem);
    }

    /// The layers that were built, for adapters.
    ///
    /// # Errors
    /// [`Error::Layout`] with every tensor that is missing, left over or of another shape;
    /// [`Error::NotFinite`] and [`Error::Io`] from reading.
    pub fn finish(self) -> Result<Vec<LayerSpec>> {
        let Account {
            store,
            network,
            family,
            keys,
            state,
            ..
        } = &*self.account;
        let State {
            used,
            mut problems,
            failure,
            layers,
        } = state.take();
        let surplus = keys.iter().filter(|(path, _)| !used.contains(*path));
        problems.extend(surplus.map(|(_, stored)| {
            format!("`{}` is not a part of its {}", stored.key, network.title())
        }));
        if !problems.is_empty() {
            return Err(Error::Layout {
                path: store.path().into(),
                family: *family,
                problems,
            });
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(layers),
        }
    }

    fn layer_path(&self, name: &str) -> LayerPath {
        LayerPath::new(self.account.network, format!("{}{name}", self.path))
    }
}

impl Account {
    fn shape(&self, stored: &Stored) -> Vec<usize> {
        let mut shape = self.store.shape(&stored.key).unwrap_or_default().to_vec();
        match stored.part {
            Part::Whole => {}
            Part::Third(_) => shape.first_mut().into_iter().for_each(|rows| *rows /= 3),
            Part::Transposed => shape.reverse(),
        }
        shape
    }

    fn read(&self, stored: &Stored) -> Result<Vec<f32>> {
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
                let at = |index: usize| values[index % columns * rows + index / columns];
                Ok((0..count).map(at).collect())
            }
        }
    }
}

/// The most frequent value, the first of them in case of a tie; 0 if there is none.
fn most_common(values: impl Iterator<Item = usize>) -> usize {
    let values: Vec<usize> = values.collect();
    let mut frequency: HashMap<usize, usize> = HashMap::new();
    values
        .iter()
        .for_each(|value| *frequency.entry(*value).or_default() += 1);
    values
        .iter()
        .copied()
        .rev()
        .max_by_key(|value| frequency[value])
        .unwrap_or(0)
}

fn squeezed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().rev().take_while(|size| **size == 1).count();
    &shape[..shape.len() - ones]
}
