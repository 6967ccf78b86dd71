//! Contact sheets: a grid of preview images, before and after training.

use std::io::{Seek, Write};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use lora_data::atomic::AtomicFile;

use crate::error::{Error, Result};

/// Pixels around and between the images.
const MARGIN: u32 = 8;
const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);

/// Arranges images in a grid on white. Rows can have different lengths and images different sizes:
/// each column is as wide as its widest image, each row as high as its highest, and images are
/// centred in their cells.
pub(crate) fn contact_sheet(rows: &[Vec<RgbImage>]) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<u32> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(RgbImage::width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let heights: Vec<u32> = rows
        .iter()
        .map(|row| row.iter().map(RgbImage::height).max().unwrap_or(0))
        .collect();

    let mut sheet = RgbImage::from_pixel(extent(&widths), extent(&heights), BACKGROUND);
    let mut top = MARGIN;
    for (row, height) in rows.iter().zip(&heights) {
        let mut left = MARGIN;
        for (image, width) in row.iter().zip(&widths) {
            let x = left + (width - image.width()) / 2;
            let y = top + (height - image.height()) / 2;
            image::imageops::replace(&mut sheet, image, x.into(), y.into());
            left += width + MARGIN;
        }
        top += height + MARGIN;
    }
    sheet
}

fn extent(sizes: &[u32]) -> u32 {
    sizes.iter().map(|size| size + MARGIN).sum::<u32>() + MARGIN
}

/// Writes an image as PNG, [atomically](lora_data::atomic).
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Image`] for an image without pixels.
pub(crate) fn write_png(path: &Path, image: &RgbImage) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    encode_png(&mut file, image).map_err(|source| match source {
        image::ImageError::IoError(source) => Error::Io {
            path: path.into(),
            action: "write",
            source,
        },
        source => Error::Image {
            path: path.into(),
            source,
        },
    })?;
    Ok(file.commit()?)
}

/// Encodes an image as PNG.
fn encode_png(target: &mut (impl Write + Seek), image: &RgbImage) -> image::ImageResult<()> {
    let (width, height) = image.dimensions();
    PngEncoder::new(target).write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_in_a_grid_with_margins() {
        let red = RgbImage::from_pixel(10, 20, Rgb([255, 0, 0]));
        let green = RgbImage::from_pixel(30, 20, Rgb([0, 255, 0]));
        let blue = RgbImage::from_pixel(6, 4, Rgb([0, 0, 255]));
        let sheet = contact_sheet(&[vec![red, green], vec![blue]]);
        assert_eq!(
            sheet.dimensions(),
            (3 * MARGIN + 10 + 30, 3 * MARGIN + 20 + 4)
        );

        let count = |color: [u8; 3]| sheet.pixels().filter(|p| p.0 == color).count();
        assert_eq!(count([255, 0, 0]), 10 * 20);
        assert_eq!(count([0, 255, 0]), 30 * 20);
        assert_eq!(count([0, 0, 255]), 6 * 4);
        assert_eq!(sheet.get_pixel(MARGIN, MARGIN).0, [255, 0, 0]);
        assert_eq!(sheet.get_pixel(MARGIN - 1, MARGIN), &BACKGROUND);
        assert_eq!(sheet.get_pixel(2 * MARGIN + 10, MARGIN).0, [0, 255, 0]);
        // Centred in its cell, which is as wide as the red one above.
        assert_eq!(sheet.get_pixel(MARGIN + 2, 2 * MARGIN + 20).0, [0, 0, 255]);
        assert_eq!(sheet.get_pixel(MARGIN + 1, 2 * MARGIN + 20), &BACKGROUND);
    }

    #[test]
    fn the_file_holds_the_same_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample/sheet.png");
        let image = RgbImage::from_fn(13, 7, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        write_png(&path, &image).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8(), image);
    }
}
