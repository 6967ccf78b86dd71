//! Convolution as a product of matrices. Patches of the input become columns, one tile at a time.

use rayon::prelude::*;

use super::geometry::Geometry;
use super::winograd::{self, Direction};
use super::{Matrix, MatrixMut, Threads, gemm};

/// Values of a tile of columns: 4 MB of f32, some of a third-level cache.
const TILE: usize = 1 << 20;

/// The number of parts, of so many values each, that make a tile. There are enough tiles for all
/// threads.
fn parts_per_tile(whole: usize, values: usize) -> usize {
    let per_thread = whole.div_ceil(rayon::current_num_threads());
    (TILE / values.max(1)).clamp(1, per_thread.max(1))
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

/// A result with the bias in every channel, or 0.
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
    let rows = parts_per_tile(g.out_h, depth * g.out_w);
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
    if winograd::is_worthwhile(g) {
        winograd::add(gradient, weight, factor, g, Direction::Backward, dx);
    } else {
        add_direct_input_gradient(gradient, weight, factor, g, dx);
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
        let channels = parts_per_tile(g.c_in, g.taps() * g.out_area());
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
    let channels = parts_per_tile(g.c_in, g.taps() * g.out_area());
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
