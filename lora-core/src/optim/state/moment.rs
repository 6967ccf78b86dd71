//! Moments: state tensors as large as the parameters, in f32 or in 8 bits.

use burn::tensor::{Bool, Tensor};

use super::quantized::{Map, Quantized};
use super::update::StackUpdate;

/// Below this number of values a parameter's moments stay f32.
const SMALLEST_QUANTIZED: usize = 4096;

/// The number format of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// f32.
    Float,
    /// 8 bits in blocks, as bitsandbytes keeps them.
    EightBit,
}

/// A moment of one stack.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum Moment {
    Float(Tensor<3>),
    EightBit(Quantized),
}

impl Moment {
    /// All zero.
    pub(crate) fn zeros(update: &StackUpdate<'_>, storage: Storage, map: Map) -> Self {
        match storage {
            Storage::EightBit if update.size() >= SMALLEST_QUANTIZED => {
                Self::EightBit(Quantized::zeros(update.values(), map))
            }
            _ => Self::Float(update.values().zeros_like()),
        }
    }

    /// Replaces it for the parameters that take part, and returns the new values before they are
    /// rounded to 8 bits. Those of other parameters have no meaning.
    pub(crate) fn advance(
        &mut self,
        update: &StackUpdate<'_>,
        by: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        match self {
            Self::Float(values) => {
                update.replace(values, by);
                values.clone()
            }
            Self::EightBit(quantized) => {
                let values = by(quantized.load());
                quantized.store(values.clone(), update);
                values
            }
        }
    }

    /// The codes of a moment in 8 bits.
    pub(crate) fn codes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Float(_) => None,
            Self::EightBit(quantized) => Some(quantized.codes()),
        }
    }

    /// The values whose gradient is not finite. bitsandbytes' kernels for 8 bits set their moments
    /// to 0 and leave the parameter as it is; moments in f32 have no such exception.
    pub(crate) fn unusable(&self, gradient: &Tensor<3>) -> Unusable {
        match self {
            Self::Float(_) => Unusable(None),
            Self::EightBit(_) => Unusable(Some(gradient.clone().is_finite().bool_not())),
        }
    }

    pub(crate) fn is_float(&self) -> bool {
        matches!(self, Self::Float(_))
    }
}

/// True for values without a finite gradient. None if that makes no difference.
#[derive(Debug)]
pub(crate) struct Unusable(Option<Tensor<3, Bool>>);

impl Unusable {
    /// The moment with zeros for these values.
    pub(crate) fn zero_where(&self, moment: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            Some(unusable) => moment.mask_fill(unusable.clone(), 0.0),
            None => moment,
        }
    }

    /// The parameters after a step, which these values do not take.
    pub(crate) fn keep_where(
        self,
        values: Tensor<3>,
        step: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        match self.0 {
            Some(unusable) => step(values.clone()).mask_where(unusable, values),
            None => step(values),
        }
    }
}
