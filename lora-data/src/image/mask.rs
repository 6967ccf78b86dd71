//! Masks: the weight of each pixel in the loss.

use std::path::Path;

use super::decode::decode;
use super::options::DecodeOptions;
use super::raster::Plane;
use crate::error::{Error, Result};
use crate::size::Size;

/// Pixels of the image per latent pixel, along each side.
const LATENT_SCALE: usize = 8;

/// Weights of the loss, one per pixel, from 0 to 1, rows from the top, `[h, w]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    size: Size,
    weights: Vec<f32>,
}

impl Mask {
    /// The mask of this size with these weights; `None` if their number is not `width * height` or
    /// one of them is not from 0 to 1.
    #[must_use]
    pub fn new(size: Size, weights: Vec<f32>) -> Option<Self> {
        let fits = weights.len() as u64 == size.area()
            && weights.iter().all(|weight| (0.0..=1.0).contains(weight));
        fits.then_some(Self { size, weights })
    }

    /// Weights of 1, for an image without a mask.
    #[must_use]
    pub fn ones(size: Size) -> Self {
        Self {
            size,
            weights: vec![1.0; size.area() as usize],
        }
    }

    /// The levels divided by 255.
    #[must_use]
    pub fn from_plane(plane: &Plane) -> Self {
        let weights = plane
            .as_bytes()
            .iter()
            .map(|level| f32::from(*level) / 255.0)
            .collect();
        Self {
            size: plane.size(),
            weights,
        }
    }

    /// Width and height.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The weights, `[h, w]`.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The weights, `[h, w]`.
    #[must_use]
    pub fn into_weights(self) -> Vec<f32> {
        self.weights
    }

    /// Flips the mask horizontally.
    pub fn flip(&mut self) {
        mirror_rows(&mut self.weights, self.size.width as usize);
    }

    /// The weights of latent pixels: means of 8 by 8 pixels, `[h / 8, w / 8]`. If a side is not a
    /// multiple of 8, the parts are those of PyTorch's `interpolate(mode="area")`.
    #[must_use]
    pub fn to_latents(&self) -> Vec<f32> {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let (columns, rows) = (width / LATENT_SCALE, height / LATENT_SCALE);
        let mut means = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let x = pool_range(column, columns, width);
                let y = pool_range(row, rows, height);
                let count = x.len() * y.len();
                let sum: f32 = y
                    .map(|y| self.weights[y * width..][x.clone()].iter().sum::<f32>())
                    .sum();
                means.push(sum / count as f32);
            }
        }
        means
    }
}

/// The source pixels of one of `count` pooled pixels along a side of `length` pixels.
fn pool_range(index: usize, count: usize, length: usize) -> std::ops::Range<usize> {
    index * length / count..((index + 1) * length).div_ceil(count)
}

/// Reads the mask of an image: the red channel of a file of size `size`, the size of the image.
/// Transform it with the image's parameters
/// ([`AugmentationParams::apply_geometry`](crate::AugmentationParams::apply_geometry)), then make
/// it a [`Mask`].
///
/// A mask therefore always matches its image. sd-scripts resizes masks directly to the bucket,
/// without cropping, which distorts them if the aspect ratios differ.
///
/// # Errors
/// [`Error::MaskSize`] if the file has another size, and those of [`decode`].
pub fn read_mask(path: &Path, image: &Path, size: Size, options: &DecodeOptions) -> Result<Plane> {
    let pixels = decode(path, options)?;
    if pixels.size() != size {
        return Err(Error::MaskSize {
            path: path.into(),
            found: pixels.size(),
            image: image.into(),
            expected: size,
        });
    }
    Ok(pixels.red())
}

/// Flips weights horizontally, in rows of `width`.
pub fn mirror_rows(weights: &mut [f32], width: usize) {
    if width > 0 {
        weights.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_weights() {
        let mut mask = Mask::from_plane(
            &Plane::new(Size::new(3, 2), vec![0, 51, 255, 102, 204, 153]).unwrap(),
        );
        assert_eq!(mask.weights(), [0.0, 0.2, 1.0, 0.4, 0.8, 0.6]);
        mask.flip();
        assert_eq!(mask.weights(), [1.0, 0.2, 0.0, 0.6, 0.8, 0.4]);
        assert_eq!(
            Mask::new(mask.size(), mask.weights().to_vec()),
            Some(mask.clone())
        );
        for wrong in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
            assert_eq!(Mask::new(Size::new(1, 1), vec![wrong]), None);
        }
        assert_eq!(Mask::new(Size::new(2, 1), vec![1.0]), None);
    }

    #[test]
    fn latents_have_the_means_of_their_pixels() {
        let weights = (0..16 * 24)
            .map(|i| f32::from(i / 16 >= 8 && i % 16 >= 12))
            .collect();
        assert_eq!(
            Mask::new(Size::new(16, 24), weights).unwrap().to_latents(),
            [0.0, 0.0, 0.0, 0.5, 0.0, 0.5]
        );
        assert_eq!(Mask::ones(Size::new(72, 64)).to_latents(), vec![1.0; 72]);
    }

    /// Expected values: `adaptive_avg_pool1d`'s parts of 19 columns are 0..10 and 9..19.
    #[test]
    fn uneven_sides_give_overlapping_parts() {
        let weights = (0..19 * 8)
            .map(|i| if i % 19 == 9 { 1.0 } else { 0.0 })
            .collect();
        assert_eq!(
            Mask::new(Size::new(19, 8), weights).unwrap().to_latents(),
            [0.1, 0.1]
        );
        assert!(Mask::ones(Size::new(7, 100)).to_latents().is_empty());
    }

    #[test]
    fn a_mask_has_the_size_of_its_image() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mask.png");
        image::RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6])
            .unwrap()
            .save(&path)
            .unwrap();
        let read = |size| {
            read_mask(
                &path,
                Path::new("train/a.jpg"),
                size,
                &DecodeOptions::default(),
            )
        };
        assert_eq!(read(Size::new(2, 1)).unwrap().as_bytes(), [1, 4]);
        let message = read(Size::new(1, 2)).unwrap_err().to_string();
        let expected = format!(
            "`{}` is 2x1; expected 1x2, the size of its image `train/a.jpg`",
            path.display()
        );
        assert_eq!(message, expected);
    }
}
