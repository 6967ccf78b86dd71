//! The tensors of one network, as its constructors read them.

mod layers;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::rc::Rc;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use lora_core::layers::{LayerPath, LayerSpec};

use super::component::{Component, MergedAdapters};
use crate::error::{Error, Result};
use crate::keys::{Part, Stored, file_key};

/// The tensors of one network, below a path. Each tensor that a constructor reads is marked as
/// used; [`finish`](Self::finish) reports all missing, misshaped and surplus tensors at once.
#[derive(Debug, Clone)]
pub struct Weights {
    source: Rc<Source>,
    path: String,
}

#[derive(Debug)]
struct Source {
    component: Component,
    /// The tensors of the network by path.
    tensors: BTreeMap<String, Stored>,
    /// Device and dtype of the tensors. `None` reads the header only: tensors are zeros that take
    /// no memory.
    target: Option<(Device, FloatDType)>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    used: BTreeSet<String>,
    problems: Vec<String>,
    failure: Option<Error>,
    layers: Vec<LayerSpec>,
}

impl Weights {
    /// The tensors of `component`, read to a device and in a dtype. Without these only the header
    /// is read.
    pub(crate) fn new(component: &Component, target: Option<(Device, FloatDType)>) -> Self {
        let source = Source {
            component: component.clone(),
            tensors: component.tensors(),
            target,
            state: RefCell::default(),
        };
        Self {
            source: Rc::new(source),
            path: String::new(),
        }
    }

    /// The tensors below a further path segment.
    #[must_use]
    pub fn at(&self, segment: impl Display) -> Self {
        Self {
            source: Rc::clone(&self.source),
            path: format!("{}{segment}.", self.path),
        }
    }

    /// The shape of the tensor of this name, if there is one.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let stored = self.source.tensors.get(&format!("{}{name}", self.path))?;
        Some(self.source.component.shape(stored))
    }

    /// The most frequent size among these axes of tensors; the first one if there is a tie. One
    /// tensor that is missing or misshaped then does not make all others look wrong. 0 if all are
    /// missing; reading them reports that.
    #[must_use]
    pub fn width(&self, axes: &[(&str, usize)]) -> usize {
        most_common(
            axes.iter()
                .filter_map(|(name, axis)| self.shape(name)?.get(*axis).copied()),
        )
    }

    /// As [`width`](Self::width), over one axis of all tensors below this path whose names end in
    /// `suffix`.
    #[must_use]
    pub fn width_of_all(&self, suffix: &str, axis: usize) -> usize {
        let component = &self.source.component;
        most_common(
            self.source
                .tensors
                .range(self.path.clone()..)
                .take_while(|(path, _)| path.starts_with(&self.path))
                .filter(|(path, _)| path.ends_with(suffix))
                .filter_map(|(_, stored)| component.shape(stored).get(axis).copied()),
        )
    }

    /// True if there is a tensor below this path segment.
    #[must_use]
    pub fn has(&self, segment: &str) -> bool {
        let start = format!("{}{segment}.", self.path);
        self.source
            .tensors
            .range(start.clone()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&start))
    }

    /// The length of the list of this name: `name.0`, `name.1`, …
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        (0..)
            .take_while(|index| self.has(&format!("{name}.{index}")))
            .count()
    }

    /// A tensor in the compute dtype. Axes of size 1 at the end of the shape may be missing from
    /// the file or surplus in it. If the tensor is missing or misshaped, the result is zeros and
    /// the problem is recorded.
    #[must_use]
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        self.read_tensor(name, shape).unwrap_or_else(|| {
            // A width is 0 if all tensors that it could be read from are missing.
            Tensor::<D>::zeros([1; D], &Device::flex()).expand(shape.map(|size| size.max(1)))
        })
    }

    /// The tensor; none if only the header is read, or after a problem.
    fn read_tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Option<Tensor<D>> {
        let stored = self.stored(name, &shape)?;
        let (device, dtype) = self.source.target.as_ref()?;
        match self.source.component.read_f32(stored) {
            Ok(values) => {
                let tensor = Tensor::from_data(TensorData::new(values, shape), device);
                let tensor = self.with_merged_adapters(name, tensor);
                // Vectors are a thousandth of a network; biases and scales stay exact.
                if D == 1 || DType::from(*dtype) == DType::F32 {
                    Some(tensor)
                } else {
                    Some(tensor.cast(*dtype))
                }
            }
            Err(error) => {
                let mut state = self.source.state.borrow_mut();
                state.failure.get_or_insert(error);
                None
            }
        }
    }

    /// The location of the tensor in the file, which marks it as used; none after a problem with
    /// it.
    fn stored(&self, name: &str, shape: &[usize]) -> Option<&Stored> {
        let Source {
            component, tensors, ..
        } = &*self.source;
        let path = format!("{}{name}", self.path);
        let Some(stored) = tensors.get(&path) else {
            let key = file_key(component.network, component.spelling, &path, tensors);
            self.problem(format!("`{key}` is missing, expected shape {shape:?}"));
            return None;
        };
        self.source.state.borrow_mut().used.insert(path);
        let found = component.shape(stored);
        let whole = component.store.shape(&stored.key).unwrap_or_default();
        let is_uneven = matches!(stored.part, Part::Third(_))
            && !whole.first().copied().unwrap_or(0).is_multiple_of(3);
        if is_uneven || found.contains(&0) {
            self.problem(format!(
                "`{}` has shape {whole:?}, which no layer has",
                stored.key
            ));
            return None;
        }
        if without_trailing_ones(&found) != without_trailing_ones(shape) {
            self.problem(format!(
                "`{}` has shape {found:?}, expected {shape:?}",
                stored.key
            ));
            return None;
        }
        Some(stored)
    }

    /// A layer's weight plus the adapters that are merged into it.
    fn with_merged_adapters<const D: usize>(&self, name: &str, weight: Tensor<D>) -> Tensor<D> {
        let merged = &self.source.component.merged;
        let Some(layer) = self.path.strip_suffix('.') else {
            return weight;
        };
        if merged.is_empty() || name != "weight" {
            return weight;
        }
        let path = LayerPath::new(self.source.component.network, layer);
        let (shape, device) = (weight.dims(), weight.device());
        let mut sum = weight;
        for MergedAdapters { adapters, strength } in merged {
            if let Some(delta) = adapters.delta(&path) {
                sum = sum + (delta * *strength).to_device(&device).reshape(shape);
            }
        }
        sum
    }

    /// Records a problem with the network's layout.
    pub fn problem(&self, problem: String) {
        self.source.state.borrow_mut().problems.push(problem);
    }

    /// The layers that were built, for adapters.
    ///
    /// # Errors
    /// [`Error::Layout`] with all tensors that are missing, surplus or misshaped;
    /// [`Error::NotFinite`] and [`Error::Io`] from reading.
    pub fn finish(self) -> Result<Vec<LayerSpec>> {
        let Source {
            component,
            tensors,
            state,
            ..
        } = &*self.source;
        let State {
            used,
            mut problems,
            failure,
            layers,
        } = state.take();
        for (path, stored) in tensors {
            if !used.contains(path) {
                problems.push(format!(
                    "`{}` is not a part of its {}",
                    stored.key,
                    component.network.title()
                ));
            }
        }
        if !problems.is_empty() {
            return Err(Error::Layout {
                path: component.store.path().into(),
                family: component.family,
                problems,
            });
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(layers),
        }
    }

    fn layer_path(&self, name: &str) -> LayerPath {
        let path = format!("{}{name}", self.path);
        LayerPath::new(self.source.component.network, path)
    }
}

/// The most frequent value; the first one if there is a tie; 0 if there is none.
fn most_common(values: impl Iterator<Item = usize>) -> usize {
    let values: Vec<usize> = values.collect();
    let mut frequency: HashMap<usize, usize> = HashMap::new();
    for value in &values {
        *frequency.entry(*value).or_default() += 1;
    }
    // Of equal maxima `max_by_key` takes the last.
    let most_common = values.iter().rev().max_by_key(|value| frequency[value]);
    most_common.copied().unwrap_or(0)
}

fn without_trailing_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().rev().take_while(|size| **size == 1).count();
    &shape[..shape.len() - ones]
}
