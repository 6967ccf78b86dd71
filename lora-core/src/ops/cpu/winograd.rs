//! 3x3 convolution of stride 1 with a quarter of the multiplications (Winograd's F(4x4, 3x3); Lavin
//! & Gray 2016).
//!
//! Tiles of 6x6 pixels, weights and products are transformed so that convolution becomes a
//! multiplication of each of their 36 elements, summed over channels: 36 products of matrices.

use rayon::prelude::*;

use super::geometry::Geometry;
use super::{Matrix, MatrixMut, Threads, gemm, simd};

/// Pixels of a tile's side that it produces, and that it reads.
const OUT: usize = 4;
const IN: usize = 6;
/// Elements of a transformed tile.
const POINTS: usize = IN * IN;
/// Tiles that are transformed together, one in each lane of a vector.
const LANES: usize = 8;
/// Values of transformed tiles at a time.
const TILE_VALUES: usize = 1 << 21;
/// Outputs whose weights a thread transforms and applies at a time, at most: with 320 inputs, 1 MB.
const CHANNELS: usize = 24;
/// From this number of tiles on, transforming the weights pays.
const WORTHWHILE: usize = 16;

type Lanes = [f32; LANES];

/// True if Winograd's algorithm is the faster one.
pub(super) fn is_worthwhile(g: Geometry) -> bool {
    let is_same3 =
        g.kernel == 3 && g.stride == 1 && g.near == 1 && (g.out_h, g.out_w) == (g.h, g.w);
    is_same3
        && g.batch * g.h.div_ceil(OUT) * g.w.div_ceil(OUT) >= WORTHWHILE
        && g.c_in.min(g.c_out) >= LANES
}

/// The direction in which the weight `[c_out, c_in, 3, 3]` is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From `c_in` to `c_out` channels.
    Forward,
    /// From the gradient of the result to that of the input: turned by half a circle, from `c_out`
    /// to `c_in` channels.
    Backward,
}

/// Adds `factor` times the convolution of `x` to `y`.
pub(super) fn add(
    x: &[f32],
    weight: &[f32],
    factor: f32,
    g: Geometry,
    direction: Direction,
    y: &mut [f32],
) {
    let weights = Weights {
        values: weight,
        factor,
        direction,
        c_in: g.c_in,
        c_out: g.c_out,
    };
    let (inputs, outputs) = match direction {
        Direction::Forward => (g.c_in, g.c_out),
        Direction::Backward => (g.c_out, g.c_in),
    };
    let area = g.h * g.w;
    let row = g.w.div_ceil(OUT);
    let all_rows = g.h.div_ceil(OUT);
    let rows = (TILE_VALUES / (POINTS * inputs * row)).clamp(1, all_rows);
    let threads = rayon::current_num_threads();
    let channels = outputs
        .div_ceil(outputs.div_ceil(CHANNELS).next_multiple_of(threads))
        .next_multiple_of(LANES);
    let mut tiles = vec![0.0; POINTS * inputs * (rows * row).next_multiple_of(LANES)];
    for (x, y) in x
        .chunks_exact(inputs * area)
        .zip(y.chunks_exact_mut(outputs * area))
    {
        for first in (0..all_rows).step_by(rows) {
            let block = Block {
                h: g.h,
                w: g.w,
                first,
                rows: rows.min(all_rows - first),
                row,
            };
            let tiles = &mut tiles[..POINTS * inputs * block.count()];
            let of_channels =
                MatrixMut::new(tiles, POINTS, inputs * block.count()).split_columns(block.count());
            of_channels
                .into_par_iter()
                .zip(x.par_chunks_exact(area))
                .for_each(|(mut tiles, x)| {
                    simd::widest(
                        #[inline(always)]
                        || block.transform(x, &mut tiles),
                    );
                });
            let parts = y.par_chunks_mut(channels * area).enumerate();
            parts.for_each_init(Scratch::default, |scratch, (part, y)| {
                scratch.multiply(block, tiles, weights, part * channels, y);
            });
        }
    }
}

/// The weights `[c_out, c_in, 3, 3]` and how they are applied.
#[derive(Debug, Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    factor: f32,
    direction: Direction,
    c_in: usize,
    c_out: usize,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
struct Scratch {
    weights: Vec<f32>,
    products: Vec<f32>,
}

impl Scratch {
    /// Adds the products of all tiles `[36, inputs, tiles]` with the weights of some outputs, from
    /// `first` on, to their pixels `y` `[outputs, h, w]`.
    fn multiply(
        &mut self,
        block: Block,
        tiles: &[f32],
        weights: Weights<'_>,
        first: usize,
        y: &mut [f32],
    ) {
        let area = block.h * block.w;
        let (outputs, count) = (y.len() / area, block.count());
        let inputs = tiles.len() / (POINTS * count);
        self.weights.resize(POINTS * inputs * outputs, 0.0);
        self.products.resize(POINTS * outputs * count, 0.0);
        let of_weights = &mut self.weights[..POINTS * inputs * outputs];
        simd::widest(
            #[inline(always)]
            || weights.transform(first, outputs, of_weights),
        );
        let products = &mut self.products[..POINTS * outputs * count];
        let points = products
            .chunks_exact_mut(outputs * count)
            .zip(of_weights.chunks_exact(inputs * outputs));
        for ((products, weight), tiles) in points.zip(tiles.chunks_exact(inputs * count)) {
            let weight = match weights.direction {
                Direction::Forward => Matrix::new(weight, outputs, inputs),
                Direction::Backward => Matrix::new(weight, inputs, outputs).t(),
            };
            let tiles = Matrix::new(tiles, inputs, count);
            gemm(
                MatrixMut::new(products, outputs, count),
                0.0,
                1.0,
                weight,
                tiles,
                Threads::One,
            );
        }
        for (channel, y) in y.chunks_exact_mut(area).enumerate() {
            let products =
                Matrix::strided(&products[channel * count..], POINTS, count, outputs * count);
            simd::widest(
                #[inline(always)]
                || block.add_back(products, y),
            );
        }
    }
}

impl Weights<'_> {
    /// Those of `outputs` outputs from `first` on, transformed: `[36, outputs, inputs]` forward,
    /// `[36, inputs, outputs]` backward, in both cases `[36, some of c_out, some of c_in]`.
    #[inline(always)]
    fn transform(&self, first: usize, outputs: usize, all: &mut [f32]) {
        let (rows, columns, first_row, first_column) = match self.direction {
            Direction::Forward => (outputs, self.c_in, first, 0),
            Direction::Backward => (self.c_out, outputs, 0, first),
        };
        for row in 0..rows {
            let at = ((first_row + row) * self.c_in + first_column) * 9;
            for (block, kernels) in self.values[at..][..columns * 9]
                .chunks(LANES * 9)
                .enumerate()
            {
                let mut taps = [[0.0; LANES]; 9];
                for (lane, kernel) in kernels.chunks_exact(9).enumerate() {
                    for (tap, value) in kernel.iter().enumerate() {
                        let tap = if self.direction == Direction::Forward {
                            tap
                        } else {
                            8 - tap
                        };
                        taps[tap][lane] = value * self.factor;
                    }
                }
                let points = both_ways::<3, IN, 9, POINTS>(&taps, weight_transform);
                let count = kernels.len() / 9;
                for (point, values) in points.iter().enumerate() {
                    let to = (point * rows + row) * columns + block * LANES;
                    all[to..][..count].copy_from_slice(&values[..count]);
                }
            }
        }
    }
}

/// Some rows of tiles of an image.
#[derive(Debug, Clone, Copy)]
struct Block {
    h: usize,
    w: usize,
    /// First row of tiles.
    first: usize,
    /// How many rows of tiles.
    rows: usize,
    /// Tiles of a row.
    row: usize,
}

impl Block {
    /// Tiles, up to full vectors.
    fn count(self) -> usize {
        (self.rows * self.row).next_multiple_of(LANES)
    }

    /// The upper left pixel that a tile produces.
    fn origin(self, tile: usize) -> (usize, usize) {
        ((self.first + tile / self.row) * OUT, tile % self.row * OUT)
    }

    /// One channel's pixels to its transformed tiles `[36, tiles]`.
    #[inline(always)]
    fn transform(self, x: &[f32], tiles: &mut MatrixMut<'_>) {
        for first in (0..self.count()).step_by(LANES) {
            let mut patch = [[0.0; LANES]; POINTS];
            for lane in 0..LANES.min((self.rows * self.row).saturating_sub(first)) {
                self.gather(x, first + lane, lane, &mut patch);
            }
            let patch = both_ways::<IN, IN, POINTS, POINTS>(&patch, input_transform);
            for (point, values) in patch.iter().enumerate() {
                tiles.row_mut(point)[first..][..LANES].copy_from_slice(values);
            }
        }
    }

    /// Adds one channel's products `[36, tiles]`, transformed back, to its pixels.
    #[inline(always)]
    fn add_back(self, products: Matrix<'_>, y: &mut [f32]) {
        for first in (0..self.count()).step_by(LANES) {
            let mut patch = [[0.0; LANES]; POINTS];
            for (point, values) in patch.iter_mut().enumerate() {
                values.copy_from_slice(&products.row(point)[first..][..LANES]);
            }
            let pixels = both_ways::<IN, OUT, POINTS, { OUT * OUT }>(&patch, output_transform);
            for lane in 0..LANES.min((self.rows * self.row).saturating_sub(first)) {
                self.scatter(&pixels, first + lane, lane, y);
            }
        }
    }

    /// The pixels that a tile reads, one beyond its own on every side. Beyond the borders they are
    /// 0.
    #[inline(always)]
    fn gather(self, x: &[f32], tile: usize, lane: usize, patch: &mut [Lanes; POINTS]) {
        let (top, left) = self.origin(tile);
        for (i, points) in patch.chunks_exact_mut(IN).enumerate() {
            let Some(y) = (top + i).checked_sub(1).filter(|y| *y < self.h) else {
                continue;
            };
            let line = &x[y * self.w..][..self.w];
            if left > 0 && left + IN - 1 <= self.w {
                let line: &[f32; IN] = line[left - 1..][..IN].try_into().expect("six pixels");
                points
                    .iter_mut()
                    .zip(line)
                    .for_each(|(point, pixel)| point[lane] = *pixel);
            } else {
                let pixels = line.iter().skip(left.saturating_sub(1));
                points
                    .iter_mut()
                    .skip(usize::from(left == 0))
                    .zip(pixels)
                    .for_each(|(point, pixel)| point[lane] = *pixel);
            }
        }
    }

    #[inline(always)]
    fn scatter(self, pixels: &[Lanes; OUT * OUT], tile: usize, lane: usize, y: &mut [f32]) {
        let (top, left) = self.origin(tile);
        for (i, points) in pixels.chunks_exact(OUT).enumerate().take(self.h - top) {
            let line = &mut y[(top + i) * self.w + left..(top + i + 1) * self.w];
            line.iter_mut()
                .zip(points)
                .for_each(|(pixel, point)| *pixel += point[lane]);
        }
    }
}

/// Applies a transform of `I` to `O` values to all columns and then to all rows.
#[inline(always)]
fn both_ways<const I: usize, const O: usize, const II: usize, const OO: usize>(
    x: &[Lanes; II],
    transform: impl Fn(&[Lanes; I]) -> [Lanes; O],
) -> [Lanes; OO] {
    let mut half = [[[0.0; LANES]; I]; O];
    for j in 0..I {
        let column = transform(&std::array::from_fn(|i| x[i * I + j]));
        (0..O).for_each(|i| half[i][j] = column[i]);
    }
    let mut result = [[0.0; LANES]; OO];
    for i in 0..O {
        result[i * O..][..O].copy_from_slice(&transform(&half[i]));
    }
    result
}

/// The sum of vectors times numbers.
#[inline(always)]
fn sum<const N: usize>(terms: [(f32, &Lanes); N]) -> Lanes {
    std::array::from_fn(|lane| {
        terms
            .iter()
            .map(|(factor, values)| factor * values[lane])
            .sum()
    })
}

/// Bᵀ of Lavin & Gray, for the points 0, ±1, ±2 and infinity.
#[inline(always)]
fn input_transform([a, b, c, d, e, f]: &[Lanes; IN]) -> [Lanes; IN] {
    [
        sum([(4.0, a), (-5.0, c), (1.0, e)]),
        sum([(-4.0, b), (-4.0, c), (1.0, d), (1.0, e)]),
        sum([(4.0, b), (-4.0, c), (-1.0, d), (1.0, e)]),
        sum([(-2.0, b), (-1.0, c), (2.0, d), (1.0, e)]),
        sum([(2.0, b), (-1.0, c), (-2.0, d), (1.0, e)]),
        sum([(4.0, b), (-5.0, d), (1.0, f)]),
    ]
}

/// Aᵀ.
#[inline(always)]
fn output_transform([a, b, c, d, e, f]: &[Lanes; IN]) -> [Lanes; OUT] {
    [
        sum([(1.0, a), (1.0, b), (1.0, c), (1.0, d), (1.0, e)]),
        sum([(1.0, b), (-1.0, c), (2.0, d), (-2.0, e)]),
        sum([(1.0, b), (1.0, c), (4.0, d), (4.0, e)]),
        sum([(1.0, b), (-1.0, c), (8.0, d), (-8.0, e), (1.0, f)]),
    ]
}

/// G.
#[inline(always)]
fn weight_transform([a, b, c]: &[Lanes; 3]) -> [Lanes; IN] {
    const SIXTH: f32 = 1.0 / 6.0;
    [
        sum([(0.25, a)]),
        sum([(-SIXTH, a), (-SIXTH, b), (-SIXTH, c)]),
        sum([(-SIXTH, a), (SIXTH, b), (-SIXTH, c)]),
        sum([(SIXTH / 4.0, a), (SIXTH / 2.0, b), (SIXTH, c)]),
        sum([(SIXTH / 4.0, a), (-SIXTH / 2.0, b), (SIXTH, c)]),
        sum([(1.0, c)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::conv;
    use super::*;

    fn random(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        let largest = expected
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|value| value.is_finite()));
        let worst = found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst <= 1e-5 * largest,
            "differs by {:.1e} of the maximum",
            worst / largest
        );
    }

    /// Against the product of matrices.
    #[test]
    fn agrees_with_the_direct_way() {
        for (batch, c_in, c_out, h, w) in [
            (1, 9, 17, 32, 32),
            (2, 8, 8, 33, 30),
            (1, 20, 8, 5, 70),
            (3, 16, 9, 1, 3),
        ] {
            let g = Geometry {
                batch,
                c_in,
                c_out,
                h,
                w,
                out_h: h,
                out_w: w,
                kernel: 3,
                stride: 1,
                near: 1,
            };
            let (x, weight) = (random(batch * c_in * h * w, 1), random(c_out * c_in * 9, 2));
            let bias = random(c_out, 3);
            let mut y: Vec<f32> = (0..batch)
                .flat_map(|_| bias.iter().flat_map(|b| vec![*b; h * w]))
                .collect();
            add(&x, &weight, 1.0, g, Direction::Forward, &mut y);
            assert_close(&y, &conv::direct(&x, &weight, Some(&bias), g));

            let gradient = random(batch * c_out * h * w, 4);
            let mut dx = vec![0.5; x.len()];
            add(&gradient, &weight, 0.3, g, Direction::Backward, &mut dx);
            let mut expected = vec![0.5; x.len()];
            conv::add_direct_input_gradient(&gradient, &weight, 0.3, g, &mut expected);
            assert_close(&dx, &expected);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x = random(13 * 40, 1);
        let block = Block {
            h: 13,
            w: 40,
            first: 0,
            rows: 4,
            row: 10,
        };
        let all = simd::each(|| {
            let mut tiles = vec![0.0; POINTS * block.count()];
            block.transform(&x, &mut MatrixMut::new(&mut tiles, POINTS, block.count()));
            let mut y = vec![0.0; x.len()];
            block.add_back(Matrix::new(&tiles, POINTS, block.count()), &mut y);
            (tiles, y)
        });
        assert!(all.iter().all(|other| *other == all[0]));
    }
}
