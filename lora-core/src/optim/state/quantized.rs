//! Moments in 8 bits: blocks of 256 values, each scaled by its largest magnitude, in the dynamic
//! data type of Dettmers et al. 2022 ("8-bit Optimizers via Block-wise Quantization").

use std::sync::LazyLock;

use burn::tensor::{Bool, Device, Int, IntDType, Tensor, TensorData};
use rayon::prelude::*;

use super::update::StackUpdate;
use crate::ops::cpu::{HostTensor, applies, tensor};

/// Values that share a scale.
const BLOCK: usize = 256;

/// The numbers that the 256 codes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    /// From -1 to 1, for means of gradients.
    Signed,
    /// From 0 to 1, for means of squares.
    Unsigned,
}

/// The numbers of a map in rising order, and the boundaries between the numbers nearest to which a
/// value is.
#[derive(Debug)]
struct Table {
    numbers: [f32; 256],
    boundaries: [f32; 255],
}

static SIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(true));
static UNSIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(false));

impl Table {
    /// Seven decades; the one up to 10^(i - 6) is cut into 2^i parts, or twice as many without
    /// sign, whose centres are numbers of the map, and so are 0 and 1.
    fn new(signed: bool) -> Self {
        let mut numbers = vec![0.0, 1.0];
        for decade in 0..7 {
            let parts = 1 << if signed { decade } else { decade + 1 };
            for part in 0..parts {
                let centre = 0.1 + 0.9 * (f64::from(part) + 0.5) / f64::from(parts);
                let number = centre * 10.0_f64.powi(decade - 6);
                numbers.push(number as f32);
                if signed {
                    numbers.push(-number as f32);
                }
            }
        }
        numbers.sort_by(f32::total_cmp);
        Self {
            numbers: std::array::from_fn(|code| numbers[code]),
            boundaries: std::array::from_fn(|code| f32::midpoint(numbers[code], numbers[code + 1])),
        }
    }
}

impl Map {
    fn table(self) -> &'static Table {
        match self {
            Self::Signed => &SIGNED,
            Self::Unsigned => &UNSIGNED,
        }
    }

    /// The code of zero.
    fn zero(self) -> u8 {
        match self {
            Self::Signed => 127,
            Self::Unsigned => 0,
        }
    }

    /// The code of a scaled value: of the nearest number, or its neighbour if that one has the
    /// other sign.
    fn code(self, value: f32) -> u8 {
        let table = self.table();
        let code = table
            .boundaries
            .partition_point(|boundary| *boundary < value);
        let flipped = self == Self::Signed
            && value != 0.0
            && table.numbers[code].is_sign_negative() != (value < 0.0);
        let code = match (flipped, value > 0.0) {
            (false, _) => code,
            (true, true) => code + 1,
            (true, false) => code - 1,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

/// A moment of one stack in 8 bits.
#[derive(Debug)]
pub(crate) struct Quantized {
    map: Map,
    /// `[n, rows, columns]`; blocks begin anew with each parameter.
    shape: [usize; 3],
    device: Device,
    blocks: Blocks,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
enum Blocks {
    /// Codes of all values, and the scale of each block.
    Host { codes: Vec<u8>, scales: Vec<f32> },
    /// `[n, m, 256]` in u8, each parameter filled up to m blocks, and `[n, m, 1]`.
    Device {
        codes: Tensor<3, Int>,
        scales: Tensor<3>,
    },
}

impl Quantized {
    /// All zero.
    pub(crate) fn zeros(values: &Tensor<3>, map: Map) -> Self {
        Self::on(applies(values), values, map)
    }

    fn on(host: bool, values: &Tensor<3>, map: Map) -> Self {
        let (shape, device) = (values.dims(), values.device());
        let [n, rows, columns] = shape;
        let m = (rows * columns).div_ceil(BLOCK);
        let blocks = if host {
            Blocks::Host {
                codes: vec![map.zero(); n * rows * columns],
                scales: vec![0.0; n * m],
            }
        } else {
            let codes = Tensor::<3, Int>::full([n, m, BLOCK], i32::from(map.zero()), &device);
            let codes = codes.cast(IntDType::U8);
            Blocks::Device {
                codes,
                scales: Tensor::zeros([n, m, 1], &device),
            }
        };
        Self {
            map,
            shape,
            device,
            blocks,
        }
    }

    /// The values, `[n, rows, columns]`.
    pub(crate) fn load(&self) -> Tensor<3> {
        let [n, rows, columns] = self.shape;
        let size = rows * columns;
        match &self.blocks {
            Blocks::Host { codes, scales } => {
                let numbers = &self.map.table().numbers;
                let mut values = vec![0.0; codes.len()];
                let scales = scales.par_chunks(size.div_ceil(BLOCK));
                values
                    .par_chunks_mut(size)
                    .zip(codes.par_chunks(size))
                    .zip(scales)
                    .for_each(|((values, codes), scales)| {
                        for ((values, codes), scale) in values
                            .chunks_mut(BLOCK)
                            .zip(codes.chunks(BLOCK))
                            .zip(scales)
                        {
                            for (value, code) in values.iter_mut().zip(codes) {
                                *value = numbers[usize::from(*code)] * scale;
                            }
                        }
                    });
                tensor(values, self.shape)
            }
            Blocks::Device { codes, scales } => {
                let [_, m, _] = codes.dims();
                let numbers = self.numbers();
                let codes = codes.clone().cast(IntDType::I32).reshape([n * m * BLOCK]);
                let values = numbers.select(0, codes).reshape([n, m, BLOCK]) * scales.clone();
                values
                    .reshape([n, m * BLOCK])
                    .narrow(1, 0, size)
                    .reshape(self.shape)
            }
        }
    }

    /// Replaces the values of the parameters that take part.
    pub(crate) fn store(&mut self, values: Tensor<3>, update: &StackUpdate<'_>) {
        match &mut self.blocks {
            Blocks::Host { .. } => self.store_host(&values, &update.present),
            Blocks::Device { .. } => self.store_device(values, update.kept()),
        }
    }

    fn store_host(&mut self, values: &Tensor<3>, present: &[bool]) {
        let Blocks::Host { codes, scales } = &mut self.blocks else {
            unreachable!("codes on the host")
        };
        let (map, size) = (self.map, self.shape[1] * self.shape[2]);
        let values = HostTensor::checked(values);
        let parts = codes
            .par_chunks_mut(size)
            .zip(scales.par_chunks_mut(size.div_ceil(BLOCK)));
        parts
            .zip(values.values().par_chunks(size))
            .zip(present)
            .filter(|(_, present)| **present)
            .for_each(|(((codes, scales), values), _)| {
                for ((codes, scale), values) in codes
                    .chunks_mut(BLOCK)
                    .zip(scales)
                    .zip(values.chunks(BLOCK))
                {
                    *scale = values
                        .iter()
                        .fold(0.0, |most: f32, value| most.max(value.abs()));
                    for (code, value) in codes.iter_mut().zip(values) {
                        *code = if *scale > 0.0 {
                            map.code(value / *scale)
                        } else {
                            map.zero()
                        };
                    }
                }
            });
    }

    fn store_device(&mut self, values: Tensor<3>, keep: Option<&Tensor<3, Bool>>) {
        let [n, rows, columns] = self.shape;
        let size = rows * columns;
        let m = size.div_ceil(BLOCK);
        let mut values = values.reshape([n, size]);
        if size % BLOCK > 0 {
            let filling = Tensor::zeros([n, m * BLOCK - size], &self.device);
            values = Tensor::cat(vec![values, filling], 1);
        }
        let values = values.reshape([n, m, BLOCK]);
        let new_scales = values.clone().abs().max_dim(2);
        let divisor = new_scales
            .clone()
            .mask_fill(new_scales.clone().equal_elem(0.0), 1.0);
        let new_codes = self.codes_of(values / divisor);
        let Blocks::Device { codes, scales } = &mut self.blocks else {
            unreachable!("codes on the device")
        };
        match keep {
            None => (*codes, *scales) = (new_codes, new_scales),
            Some(keep) => {
                let mask = |dims: [usize; 3]| keep.clone().expand(dims);
                codes.inplace(|codes| new_codes.mask_where(mask([n, m, BLOCK]), codes));
                scales.inplace(|scales| new_scales.mask_where(mask([n, m, 1]), scales));
            }
        }
    }

    /// [`Map::code`] of all of these.
    fn codes_of(&self, scaled: Tensor<3>) -> Tensor<3, Int> {
        let dims = scaled.dims();
        let scaled = scaled.reshape([dims.iter().product::<usize>()]);
        let boundaries: Tensor<1> = Tensor::from_floats(self.map.table().boundaries, &self.device);
        // The number of boundaries below, bit by bit.
        let mut codes = Tensor::<1, Int>::zeros(scaled.dims(), &self.device);
        for bit in (0..8).rev() {
            let step = 1 << bit;
            let boundary = boundaries.clone().select(0, codes.clone() + (step - 1));
            codes = codes + boundary.lower(scaled.clone()).int() * step;
        }
        if self.map == Map::Signed {
            let flipped = self.numbers().select(0, codes.clone()).sign() * scaled.clone().sign();
            // Zero is the only number whose sign can differ from that of a value nearest to it.
            let below = flipped.equal_elem(0.0).bool_and(scaled.lower_elem(0.0));
            codes = codes - below.int();
        }
        codes.reshape(dims).cast(IntDType::U8)
    }

    fn numbers(&self) -> Tensor<1> {
        Tensor::from_data(TensorData::from(self.map.table().numbers), &self.device)
    }

    /// The codes of all values.
    pub(crate) fn codes(&self) -> Vec<u8> {
        match &self.blocks {
            Blocks::Host { codes, .. } => codes.clone(),
            Blocks::Device { codes, .. } => {
                let [n, m, _] = codes.dims();
                let size = self.shape[1] * self.shape[2];
                let codes = codes.clone().reshape([n, m * BLOCK]).narrow(1, 0, size);
                codes.into_data().iter::<u8>().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
