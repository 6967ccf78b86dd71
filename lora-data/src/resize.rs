//! Resizing and cropping in one pass: only the pixels that stay are computed.
//!
//! Reduction is OpenCV's `INTER_AREA` and enlargement Pillow's `LANCZOS`, as in sd-scripts.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer};

use crate::bucket::Size;
use crate::image::Pixels;

/// The part of a resized picture that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Columns cut at the left.
    pub left: u32,
    /// Rows cut at the top.
    pub top: u32,
    /// Size of the part.
    pub size: Size,
}

/// The filter that sd-scripts uses between two sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixels as they are: the sizes are equal.
    None,
    /// The mean over the area that a pixel covers (`cv2.INTER_AREA`): neither side grows.
    Area,
    /// Lanczos with three lobes (`PIL.Image.LANCZOS`): a side grows.
    Lanczos,
}

impl Interpolation {
    /// The filter for this change of size.
    #[must_use]
    pub fn between(from: Size, to: Size) -> Self {
        if from == to {
            Self::None
        } else if from.covers(to) {
            Self::Area
        } else {
            Self::Lanczos
        }
    }
}

/// Resizes a picture to `resized` and keeps the part in `window`.
///
/// # Panics
/// If a side of the picture is 0, or the window is empty or does not lie within `resized`.
#[must_use]
pub fn resize_and_crop(picture: &Pixels, resized: Size, window: Window) -> Pixels {
    let Window { left, top, size } = window;
    assert!(picture.size().area() > 0 && size.area() > 0, "an empty picture or window");
    assert!(
        left + size.width <= resized.width && top + size.height <= resized.height,
        "the window {window:?} leaves the picture of {resized}"
    );
    let data = match Interpolation::between(picture.size(), resized) {
        Interpolation::None => crop(picture, window),
        Interpolation::Area => area(picture, resized, window),
        Interpolation::Lanczos => {
            lanczos(picture, resized, window).expect("sizes were checked and the pixel types agree")
        }
    };
    Pixels::new(size, data).expect("the window's size")
}

fn crop(picture: &Pixels, window: Window) -> Vec<u8> {
    let row_bytes = 3 * picture.size().width as usize;
    let columns = 3 * window.left as usize..3 * (window.left + window.size.width) as usize;
    let rows = picture.as_bytes().chunks_exact(row_bytes);
    rows.skip(window.top as usize)
        .take(window.size.height as usize)
        .flat_map(|row| &row[columns.clone()])
        .copied()
        .collect()
}

/// Pillow's `resize(LANCZOS)`, at most one level off.
fn lanczos(picture: &Pixels, resized: Size, window: Window) -> Result<Vec<u8>, ResizeError> {
    let Size { width, height } = picture.size();
    let source = ImageRef::new(width, height, picture.as_bytes(), PixelType::U8x3)
        .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
    let mut target = Image::new(window.size.width, window.size.height, PixelType::U8x3);
    // The window in source pixels.
    let (x_scale, y_scale) =
        (f64::from(width) / f64::from(resized.width), f64::from(height) / f64::from(resized.height));
    let (left, top) = (f64::from(window.left) * x_scale, f64::from(window.top) * y_scale);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).crop(
        left,
        top,
        (f64::from(window.size.width) * x_scale).min(f64::from(width) - left),
        (f64::from(window.size.height) * y_scale).min(f64::from(height) - top),
    );
    Resizer::new().resize(&source, &mut target, &options)?;
    Ok(target.into_vec())
}

/// OpenCV's `resize(INTER_AREA)`, exactly.
fn area(picture: &Pixels, resized: Size, window: Window) -> Vec<u8> {
    let Size { width, height } = picture.size();
    match (whole_scale(width, resized.width), whole_scale(height, resized.height)) {
        (Some(x), Some(y)) => block_means(picture, x, y, window),
        _ => {
            let x_taps = coverage(width, resized.width, window.left, window.size.width);
            let y_taps = coverage(height, resized.height, window.top, window.size.height);
            covered_means(picture, &x_taps, &y_taps)
        }
    }
}

/// Source pixels a target pixel, with OpenCV's rounding.
fn scale(from: u32, to: u32) -> f64 {
    1.0 / (f64::from(to) / f64::from(from))
}

/// The scale where OpenCV takes it for a whole number.
fn whole_scale(from: u32, to: u32) -> Option<usize> {
    let scale = scale(from, to);
    ((scale - scale.round()).abs() < f64::EPSILON).then_some(scale.round() as usize)
}

/// Means of blocks of `x` by `y` pixels.
fn block_means(picture: &Pixels, x: usize, y: usize, window: Window) -> Vec<u8> {
    let row_bytes = 3 * picture.size().width as usize;
    let (columns, rows) = (window.size.width as usize, window.size.height as usize);
    // OpenCV multiplies with the rounded reciprocal, except for blocks of 2 by 2.
    let mean: &dyn Fn(u32) -> u8 = if (x, y) == (2, 2) {
        &|sum| ((sum + 2) >> 2) as u8
    } else {
        let scale = 1.0 / (x * y) as f32;
        &move |sum| saturated(sum as f32 * scale)
    };
    let mut means = Vec::with_capacity(3 * columns * rows);
    let mut sums = vec![0_u32; 3 * columns];
    for row in 0..rows {
        sums.fill(0);
        let first = (window.top as usize + row) * y * row_bytes + 3 * window.left as usize * x;
        for source in picture.as_bytes()[first..].chunks(row_bytes).take(y) {
            for (sum, block) in sums.chunks_exact_mut(3).zip(source.chunks_exact(3 * x)) {
                for pixel in block.chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += u32::from(*sample));
                }
            }
        }
        means.extend(sums.iter().map(|sum| mean(*sum)));
    }
    means
}

/// The source pixels that one target pixel covers.
#[derive(Debug)]
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The taps of `count` target pixels from `start` on, where `from` source pixels become `to` (OpenCV's
/// `computeResizeAreaTab`).
fn coverage(from: u32, to: u32, start: u32, count: u32) -> Vec<Taps> {
    /// Smaller parts of a pixel are left out.
    const NEGLIGIBLE: f64 = 1e-3;
    let scale = scale(from, to);
    let last = from as usize - 1;
    let taps = |target: u32| {
        let left = f64::from(target) * scale;
        let right = left + scale;
        let width = scale.min(f64::from(from) - left);
        let end = (right.floor() as usize).min(last);
        let begin = (left.ceil() as usize).min(end);

        let mut first = begin;
        let mut weights = Vec::with_capacity(end - begin + 2);
        let part = begin as f64 - left;
        if part > NEGLIGIBLE {
            first -= 1;
            weights.push((part / width) as f32);
        }
        weights.resize(weights.len() + end - begin, (1.0 / width) as f32);
        let part = right - end as f64;
        if part > NEGLIGIBLE {
            weights.push((part.min(1.0).min(width) / width) as f32);
        }
        Taps { first, weights }
    };
    (start..start + count).map(taps).collect()
}

/// Weighted means: rows first, then columns, all in f32.
fn covered_means(picture: &Pixels, x_taps: &[Taps], y_taps: &[Taps]) -> Vec<u8> {
    let row_bytes = 3 * picture.size().width as usize;
    let mut means = Vec::with_capacity(3 * x_taps.len() * y_taps.len());
    let mut row = vec![0.0_f32; 3 * x_taps.len()];
    let mut sums = row.clone();
    for taps in y_taps {
        sums.fill(0.0);
        let rows = picture.as_bytes()[taps.first * row_bytes..].chunks_exact(row_bytes);
        for (source, weight) in rows.zip(&taps.weights) {
            reduce_row(source, x_taps, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, value)| *sum += weight * value);
        }
        means.extend(sums.iter().map(|sum| saturated(*sum)));
    }
    means
}

fn reduce_row(source: &[u8], x_taps: &[Taps], row: &mut [f32]) {
    for (target, taps) in row.chunks_exact_mut(3).zip(x_taps) {
        let mut sums = [0.0_f32; 3];
        for (pixel, weight) in source[3 * taps.first..].chunks_exact(3).zip(&taps.weights) {
            for (sum, sample) in sums.iter_mut().zip(pixel) {
                *sum += f32::from(*sample) * weight;
            }
        }
        target.copy_from_slice(&sums);
    }
}

/// OpenCV's `saturate_cast<uchar>`: to the nearest level, halves to the even one.
fn saturated(value: f32) -> u8 {
    value.round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> Pixels {
        let pixel = |x: u32, y: u32| [(x * 7 + y * 13) as u8, (x * x + y * 5) as u8, (x * y * 3 + 11) as u8];
        let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        Pixels::new(Size::new(width, height), data).unwrap()
    }

    fn whole(size: Size) -> Window {
        Window { left: 0, top: 0, size }
    }

    fn resized(from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let to = Size::new(to.0, to.1);
        resize_and_crop(&picture(from.0, from.1), to, whole(to)).into_bytes()
    }

    /// Expected values: `cv2.resize(picture, to, interpolation=cv2.INTER_AREA)`, OpenCV 4.10.
    #[test]
    fn reduction_is_inter_area() {
        // Blocks of 3 x 3.
        assert_eq!(resized((9, 6), (3, 2)), [20, 7, 14, 41, 22, 23, 62, 55, 32, 59, 22, 23, 80, 37, 59, 101, 70, 95]);
        // Parts of pixels.
        assert_eq!(
            resized((7, 5), (4, 3)),
            [
                8, 2, 12, 20, 7, 14, 32, 17, 16, 44, 33, 18, 29, 10, 14, 41, 15, 24, 53, 25, 34, 65, 41, 44, 50, 18,
                16, 62, 23, 34, 74, 33, 53, 86, 49, 71
            ]
        );
        // One side stays.
        assert_eq!(
            resized((5, 4), (5, 3)),
            [
                3, 1, 11, 10, 2, 12, 17, 5, 12, 24, 10, 13, 31, 17, 14, 20, 8, 11, 26, 8, 16, 34, 12, 20, 40, 16, 24,
                48, 24, 29, 36, 14, 11, 43, 15, 19, 50, 18, 28, 57, 23, 36, 64, 30, 44
            ]
        );
    }

    /// Blocks of 2 x 2 round halves up, other blocks to even: [`resized`] of `cv2` as above.
    #[test]
    fn blocks_of_four_round_halves_up() {
        assert_eq!(
            resized((8, 8), (4, 4))[..24],
            [10, 3, 12, 24, 9, 15, 38, 23, 18, 52, 45, 21, 36, 13, 15, 50, 19, 30, 64, 33, 45, 78, 55, 60]
        );
        assert_eq!(resized((12, 6), (6, 6))[..12], [4, 0, 11, 18, 6, 11, 32, 20, 11, 46, 42, 11]);
    }

    /// Expected values: `Image.resize(to, LANCZOS)`, Pillow 13.
    #[test]
    fn enlargement_is_lanczos() {
        let expected = [
            0, 0, 11, 3, 0, 11, 11, 2, 11, 14, 4, 11, 13, 5, 11, 16, 5, 12, 24, 7, 16, 27, 9, 17, 26, 10, 11, 29, 10,
            14, 37, 12, 20, 40, 14, 23, 39, 15, 11, 42, 15, 15, 50, 17, 25, 53, 19, 29, 52, 20, 10, 55, 20, 16, 63, 22,
            30, 66, 24, 36,
        ];
        let actual = resized((3, 5), (4, 5));
        assert_eq!(actual.len(), expected.len());
        assert!(actual.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1), "{actual:?}");
    }

    /// The columns and rows of `picture` in `window`.
    fn part(picture: &Pixels, window: Window) -> Vec<u8> {
        crop(picture, window)
    }

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        for (from, to) in [((40, 30), (20, 15)), ((40, 30), (17, 13)), ((40, 30), (40, 30)), ((40, 30), (77, 51))] {
            let to = Size::new(to.0, to.1);
            let window = Window { left: 3, top: 2, size: Size::new(to.width - 5, to.height - 7) };
            let source = picture(from.0, from.1);
            let all = resize_and_crop(&source, to, whole(to));
            let windowed = resize_and_crop(&source, to, window);
            let tolerance = u8::from(Interpolation::between(source.size(), to) == Interpolation::Lanczos);
            let difference = windowed.as_bytes().iter().zip(part(&all, window)).map(|(a, b)| a.abs_diff(b)).max();
            assert!(difference <= Some(tolerance), "{from:?} to {to}: {difference:?}");
        }
    }

    #[test]
    fn a_long_thin_picture_needs_no_long_thin_copy() {
        // The resized picture alone would be 12 GB.
        let window = Window { left: 8_000_000, top: 0, size: Size::new(256, 256) };
        let resized = resize_and_crop(&picture(65_500, 1), Size::new(65_500 * 256, 256), window);
        assert_eq!(resized.size(), Size::new(256, 256));
    }
}
