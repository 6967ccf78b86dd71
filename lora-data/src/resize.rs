//! Resizing and cropping in one pass: only the pixels that stay are computed.
//!
//! Reduction is OpenCV's `INTER_AREA` and enlargement Pillow's `LANCZOS`, as in sd-scripts.

mod area;
mod lanczos;

use self::area::area;
use self::lanczos::lanczos;
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
        Interpolation::Lanczos => lanczos(picture, resized, window),
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

/// The source pixels that one target pixel is made of, along one axis.
#[derive(Debug)]
struct Taps<W> {
    /// The first of them.
    first: usize,
    weights: Vec<W>,
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
        assert_eq!(resized((3, 5), (4, 5)), expected);
    }

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        for (from, to) in [((40, 30), (20, 15)), ((40, 30), (17, 13)), ((40, 30), (40, 30)), ((40, 30), (77, 51))] {
            let to = Size::new(to.0, to.1);
            let window = Window { left: 3, top: 2, size: Size::new(to.width - 5, to.height - 7) };
            let source = picture(from.0, from.1);
            let all = resize_and_crop(&source, to, whole(to));
            let windowed = resize_and_crop(&source, to, window);
            assert_eq!(windowed.into_bytes(), crop(&all, window), "{from:?} to {to}");
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
