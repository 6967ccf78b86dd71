//! Convolution as a product of matrices. Patches of the input become columns a tile at a time,
//! never all at once.

use rayon::prelude::*;

use super::winograd::{self, Direction};
use super::{Matrix, MatrixMut, Threads, gemm};

/// Values of a tile of columns: 4 MB of f32, some of a third-level cache.
const TILE: usize = 1 << 20;

/// Sizes of x `[batch, c_in, h, w]`, weight `[c_out, c_in, kernel, kernel]` and result `[batch,
/// c_out, out_h, out_w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) c_in: usize,
    pub(crate) c_out: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) out_h: usize,
    pub(crate) out_w: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Zeros at the top and left.
    pub(crate) near: usize,
}

impl Geometry {
    /// Values of the input.
    pub(crate) fn inputs(&self) -> usize {
        self.input_shape().iter().product()
    }

    pub(crate) fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.c_in, self.h, self.w]
    }

    pub(crate) fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.c_out, self.out_h, self.out_w]
    }

    /// The 1x1 convolution from `channels` to this one's result.
    pub(crate) fn pointwise_from(&self, channels: usize) -> Self {
        let (h, w) = (self.out_h, self.out_w);
        Self {
            c_in: channels,
            h,
            w,
            kernel: 1,
            stride: 1,
            near: 0,
            ..*self
        }
    }

    fn area(&self) -> usize {
        self.h * self.w
    }

    fn out_area(&self) -> usize {
        self.out_h * self.out_w
    }

    /// Rows of columns that one channel makes.
    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.near == 0
    }

    /// Of the output positions `0..count`, those whose tap `tap` meets the input's `0..size`.
    fn inside(&self, tap: usize, size: usize, count: usize) -> std::ops::Range<usize> {
        let first = self.near.saturating_sub(tap).div_ceil(self.stride);
        let end = (size + self.near).saturating_sub(tap).div_ceil(self.stride);
        first.min(count)..end.min(count)
    }

    /// The input position that an output position's tap meets; the caller knows that it is inside.
    fn input(&self, output: usize, tap: usize) -> usize {
        output * self.stride + tap - self.near
    }

    /// The columns `[channels · kernel², rows · out_w]` of some channels `x` `[channels, h, w]` and
    /// rows of the output.
    fn columns(&self, x: &[f32], rows: std::ops::Range<usize>, columns: &mut [f32]) {
        let width = rows.len() * self.out_w;
        for (row, column) in columns.chunks_exact_mut(width).enumerate() {
            let (channel, tap) = (row / self.taps(), row % self.taps());
            let (ky, kx) = (tap / self.kernel, tap % self.kernel);
            let x = &x[channel * self.area()..][..self.area()];
            let (ys, xs) = (
                self.inside(ky, self.h, self.out_h),
                self.inside(kx, self.w, self.out_w),
            );
            for (line, y) in column.chunks_exact_mut(self.out_w).zip(rows.clone()) {
                if !ys.contains(&y) || xs.is_empty() {
                    line.fill(0.0);
                    continue;
                }
                line[..xs.start].fill(0.0);
                line[xs.end..].fill(0.0);
                let from = &x[self.input(y, ky) * self.w + self.input(xs.start, kx)..];
                let line = &mut line[xs.clone()];
                match self.stride {
                    1 => line.copy_from_slice(&from[..line.len()]),
                    stride => line
                        .iter_mut()
                        .zip(from.iter().step_by(stride))
                        .for_each(|(to, from)| *to = *from),
                }
            }
        }
    }

    /// Adds columns `[channels · kernel², out_h · out_w]` to the pixels that they come from.
    fn add_columns(&self, columns: &[f32], x: &mut [f32]) {
        for (row, column) in columns.chunks_exact(self.out_area()).enumerate() {
            let (channel, tap) = (row / self.taps(), row % self.taps());
            let (ky, kx) = (tap / self.kernel, tap % self.kernel);
            let x = &mut x[channel * self.area()..][..self.area()];
            let xs = self.inside(kx, self.w, self.out_w);
            if xs.is_empty() {
                continue;
            }
            for y in self.inside(ky, self.h, self.out_h) {
                let line = &column[y * self.out_w..][xs.clone()];
                let to = &mut x[self.input(y, ky) * self.w + self.input(xs.start, kx)..];
                match self.stride {
                    1 => to.iter_mut().zip(line).for_each(|(to, from)| *to += from),
                    stride => to
                        .iter_mut()
                        .step_by(stride)
                        .zip(line)
                        .for_each(|(to, from)| *to += from),
                }
            }
        }
    }
}

/// How many parts of a whole, of so many values each, make a tile; so few that every thread gets
/// one.
fn parts(whole: usize, values: usize) -> usize {
    let share = whole.div_ceil(rayon::current_num_threads());
    (TILE / values.max(1)).clamp(1, share.max(1))
}

/// The convolution. `bias` `[c_out]`.
pub(crate) fn forward(x: &[f32], weight: &[f32], bias: Option<&[f32]>, g: Geometry) -> Vec<f32> {
    if !winograd::is_worthwhile(g) {
        return direct(x, weight, bias, g);
    }
    let mut y = biases(bias, g);
    winograd::add(x, weight, 1.0, g, Direction::Forward, &mut y);
    y
}

/// A result of which every channel is its bias, else 0.
fn biases(bias: Option<&[f32]>, g: Geometry) -> Vec<f32> {
    let mut y = vec![0.0; g.batch * g.c_out * g.out_area()];
    if let Some(bias) = bias {
        y.par_chunks_exact_mut(g.out_area())
            .enumerate()
            .for_each(|(channel, y)| y.fill(bias[channel % g.c_out]));
    }
    y
}

/// The convolution as a product of matrices.
pub(super) fn direct(x: &[f32], weight: &[f32], bias: Option<&[f32]>, g: Geometry) -> Vec<f32> {
    let mut y = biases(bias, g);
    let keep = if bias.is_some() { 1.0 } else { 0.0 };
    let depth = g.c_in * g.taps();
    let weight = Matrix::new(weight, g.c_out, depth);
    let rows = parts(g.out_h, depth * g.out_w);
    for (y, x) in y
        .chunks_exact_mut(g.c_out * g.out_area())
        .zip(x.chunks_exact(g.c_in * g.area()))
    {
        if g.is_pointwise() {
            let (y, x) = (
                MatrixMut::new(y, g.c_out, g.area()),
                Matrix::new(x, g.c_in, g.area()),
            );
            gemm(y, keep, 1.0, weight, x, Threads::All);
            continue;
        }
        let tiles = g.out_h.div_ceil(rows);
        let threads = if tiles == 1 {
            Threads::All
        } else {
            Threads::One
        };
        let tile = |tile: usize, out: MatrixMut<'_>, columns: &mut Vec<f32>| {
            let rows = tile * rows..g.out_h.min((tile + 1) * rows);
            columns.resize(depth * rows.len() * g.out_w, 0.0);
            g.columns(x, rows.clone(), columns);
            gemm(
                out,
                keep,
                1.0,
                weight,
                Matrix::new(columns, depth, rows.len() * g.out_w),
                threads,
            );
        };
        let outs = MatrixMut::new(y, g.c_out, g.out_area()).split_columns(rows * g.out_w);
        outs.into_par_iter()
            .enumerate()
            .for_each_init(Vec::new, |columns, (index, out)| tile(index, out, columns));
    }
    y
}

/// Adds `factor` times the 1x1 convolution of `x` to `y`.
pub(crate) fn add_pointwise(x: &[f32], weight: &[f32], factor: f32, g: Geometry, y: &mut [f32]) {
    let weight = Matrix::new(weight, g.c_out, g.c_in);
    for (y, x) in y
        .chunks_exact_mut(g.c_out * g.area())
        .zip(x.chunks_exact(g.c_in * g.area()))
    {
        let (y, x) = (
            MatrixMut::new(y, g.c_out, g.area()),
            Matrix::new(x, g.c_in, g.area()),
        );
        gemm(y, 1.0, factor, weight, x, Threads::All);
    }
}

/// Adds `factor` times the gradient of the input to `dx`.
pub(crate) fn add_input_gradient(
    gradient: &[f32],
    weight: &[f32],
    factor: f32,
    g: Geometry,
    dx: &mut [f32],
) {
    match winograd::is_worthwhile(g) {
        true => winograd::add(gradient, weight, factor, g, Direction::Backward, dx),
        false => add_direct_input_gradient(gradient, weight, factor, g, dx),
    }
}

/// [`add_input_gradient`] as a product of matrices.
pub(super) fn add_direct_input_gradient(
    gradient: &[f32],
    weight: &[f32],
    factor: f32,
    g: Geometry,
    dx: &mut [f32],
) {
    let weight = Matrix::new(weight, g.c_out, g.c_in * g.taps());
    let samples = dx
        .chunks_exact_mut(g.c_in * g.area())
        .zip(gradient.chunks_exact(g.c_out * g.out_area()));
    for (dx, gradient) in samples {
        let gradient = Matrix::new(gradient, g.c_out, g.out_area());
        if g.is_pointwise() {
            gemm(
                MatrixMut::new(dx, g.c_in, g.area()),
                1.0,
                factor,
                weight.t(),
                gradient,
                Threads::All,
            );
            continue;
        }
        let channels = parts(g.c_in, g.taps() * g.out_area());
        let blocks = dx.par_chunks_mut(channels * g.area()).enumerate();
        blocks.for_each_init(Vec::new, |columns, (block, dx)| {
            let rows = dx.len() / g.area() * g.taps();
            columns.resize(rows * g.out_area(), 0.0);
            let part = weight.columns(block * channels * g.taps(), rows).t();
            gemm(
                MatrixMut::new(columns, rows, g.out_area()),
                0.0,
                factor,
                part,
                gradient,
                Threads::One,
            );
            g.add_columns(columns, dx);
        });
    }
}

/// The gradient `[c_out, c_in · kernel²]` of the weight, times `factor`.
pub(crate) fn weight_gradient(x: &[f32], gradient: &[f32], factor: f32, g: Geometry) -> Vec<f32> {
    let depth = g.c_in * g.taps();
    let mut dw = vec![0.0; g.c_out * depth];
    let channels = parts(g.c_in, g.taps() * g.out_area());
    let blocks = MatrixMut::new(&mut dw, g.c_out, depth).split_columns(channels * g.taps());
    blocks.into_par_iter().enumerate().for_each_init(
        Vec::new,
        |columns: &mut Vec<f32>, (block, mut dw)| {
            let (first, rows) = (block * channels, dw.columns());
            columns.resize(rows * g.out_area(), 0.0);
            for sample in 0..g.batch {
                let x = &x[(sample * g.c_in + first) * g.area()..][..rows / g.taps() * g.area()];
                g.columns(x, 0..g.out_h, columns);
                let gradient = Matrix::new(
                    &gradient[sample * g.c_out * g.out_area()..],
                    g.c_out,
                    g.out_area(),
                );
                let columns = Matrix::new(columns, rows, g.out_area()).t();
                let keep = if sample == 0 { 0.0 } else { 1.0 };
                gemm(dw.reborrow(), keep, factor, gradient, columns, Threads::One);
            }
        },
    );
    dw
}
