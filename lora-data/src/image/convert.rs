//! Decoded samples of any type to bytes: red, green, blue and opacity.

use image::DynamicImage;

use super::options::{Alpha, SixteenBit};
use super::raster::{DecodedImage, Pixels, Plane};
use crate::size::Size;

/// Converts a decoded image. `None` only if it has fewer samples than its size needs.
pub(super) fn convert(
    image: DynamicImage,
    sixteen_bit: SixteenBit,
    alpha: Alpha,
) -> Option<DecodedImage> {
    let size = Size::new(image.width(), image.height());
    if alpha == Alpha::Drop || !image.color().has_alpha() {
        let pixels = Pixels::new(size, to_rgb(image, sixteen_bit))?;
        return Some(DecodedImage {
            pixels,
            alpha: None,
        });
    }
    let rgba = to_rgba(image, sixteen_bit);
    let (samples, _) = rgba.as_chunks::<4>();
    Some(match alpha {
        Alpha::Background(background) => {
            let data = samples
                .iter()
                .flat_map(|pixel| composite(*pixel, background))
                .collect();
            DecodedImage {
                pixels: Pixels::new(size, data)?,
                alpha: None,
            }
        }
        Alpha::Drop | Alpha::Mask => {
            let pixels = Pixels::new(
                size,
                samples
                    .iter()
                    .flat_map(|[r, g, b, _]| [*r, *g, *b])
                    .collect(),
            )?;
            let alpha = Plane::new(size, samples.iter().map(|[.., a]| *a).collect())?;
            DecodedImage {
                pixels,
                alpha: Some(alpha),
            }
        }
    })
}

/// The colour blended over the background, rounded to the nearest level. The colour is not
/// premultiplied by its opacity.
fn composite([r, g, b, a]: [u8; 4], background: [u8; 3]) -> [u8; 3] {
    let opacity = u32::from(a);
    let mix = |colour: u8, below: u8| {
        ((u32::from(colour) * opacity + u32::from(below) * (255 - opacity) + 127) / 255) as u8
    };
    [
        mix(r, background[0]),
        mix(g, background[1]),
        mix(b, background[2]),
    ]
}

fn to_rgb(image: DynamicImage, sixteen_bit: SixteenBit) -> Vec<u8> {
    match (sixteen_bit, &image) {
        (SixteenBit::Pillow, DynamicImage::ImageLuma16(grey)) => grey
            .as_raw()
            .iter()
            .flat_map(|sample| [(*sample).min(255) as u8; 3])
            .collect(),
        (
            SixteenBit::Pillow,
            DynamicImage::ImageLumaA16(_)
            | DynamicImage::ImageRgb16(_)
            | DynamicImage::ImageRgba16(_),
        ) => high_bytes(&image.into_rgb16()),
        _ => image.into_rgb8().into_raw(),
    }
}

fn to_rgba(image: DynamicImage, sixteen_bit: SixteenBit) -> Vec<u8> {
    match (sixteen_bit, &image) {
        (SixteenBit::Pillow, DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgba16(_)) => {
            high_bytes(&image.into_rgba16())
        }
        _ => image.into_rgba8().into_raw(),
    }
}

fn high_bytes(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|sample| (sample >> 8) as u8).collect()
}
