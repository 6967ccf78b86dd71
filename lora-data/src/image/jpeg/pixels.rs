//! The pixels of JPEG files, bit for bit those of libjpeg-turbo and thus of Pillow.
//!
//! `libjpeg-turbo-rs` decodes them. What it refuses, such as chroma finer than luma, is left to
//! `jpeg-decoder`, whose levels differ by a few.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage};
use libjpeg_turbo_rs as turbo;

use super::upsample::Component;
use super::{inks, is_complete, read_header};

/// Decodes a file. CMYK becomes RGB as in Pillow: ink values are inverted, as Adobe's programs
/// write them.
pub(crate) fn decode(file: &[u8], max_bytes: usize) -> Result<DynamicImage, String> {
    if !is_complete(file) {
        return Err("the file is truncated".into());
    }
    let header = read_header(&mut Cursor::new(file)).map_err(|error| error.to_string())?;
    let decoded = match (header.precision, header.components) {
        (8, 1) => decode_as(file, turbo::PixelFormat::Grayscale, max_bytes),
        (8, 3) => decode_as(file, turbo::PixelFormat::Rgb, max_bytes),
        (8, 4) => decode_inks(file, max_bytes),
        _ => None,
    };
    decoded.map_or_else(|| decode_other(file, max_bytes), Ok)
}

fn limited(file: &[u8], max_bytes: usize) -> Option<turbo::Decoder<'_>> {
    let limits = turbo::DecodeLimits {
        max_memory: Some(max_bytes as u64),
        ..turbo::DecodeLimits::default()
    };
    turbo::Decoder::new_with_limits(file, limits).ok()
}

/// A grey or colour image; `None` if the decoder refuses it.
fn decode_as(file: &[u8], format: turbo::PixelFormat, max_bytes: usize) -> Option<DynamicImage> {
    let mut decoder = limited(file, max_bytes)?;
    decoder.set_output_format(format);
    let image = decoder.decode_image().ok()?;
    let (width, height) = (
        u32::try_from(image.width).ok()?,
        u32::try_from(image.height).ok()?,
    );
    match format {
        turbo::PixelFormat::Grayscale => {
            GrayImage::from_raw(width, height, image.data).map(Into::into)
        }
        _ => RgbImage::from_raw(width, height, image.data).map(Into::into),
    }
}

/// An image of four inks; `None` if the decoder refuses it. Its own conversion is left out: it is
/// wrong with subsampled chroma and panics on damaged files.
fn decode_inks(file: &[u8], max_bytes: usize) -> Option<DynamicImage> {
    let decoder = limited(file, max_bytes)?;
    let has_chroma = decoder.jpeg_color_space() == turbo::ColorSpace::Ycck;
    let components = decoder.header().components.clone();
    let raw = decoder.decode_raw().ok()?;
    let (width, height) = (raw.width, raw.height);
    let most = |factor: fn(&turbo::ComponentInfo) -> u8| components.iter().map(factor).max();
    let across = usize::from(most(|component| component.horizontal_sampling)?);
    let down = usize::from(most(|component| component.vertical_sampling)?);
    let mut planes = Vec::new();
    for (index, component) in components.iter().enumerate() {
        let [x, y] = [component.horizontal_sampling, component.vertical_sampling].map(usize::from);
        if across % x != 0 || down % y != 0 {
            return None;
        }
        let component = Component {
            samples: raw.planes.get(index)?,
            stride: *raw.plane_widths.get(index)?,
            width: (width * x).div_ceil(across),
            height: (height * y).div_ceil(down),
            scale: [across / x, down / y],
        };
        planes.push(component.upsampled(width, height));
    }
    let [first, second, third, fourth] = <[Vec<u8>; 4]>::try_from(planes).ok()?;
    let mut pixels = Vec::with_capacity(3 * width * height);
    for (((a, b), c), k) in first.iter().zip(&second).zip(&third).zip(&fourth) {
        let [c, m, y] = if has_chroma {
            inks::from_ycc([*a, *b, *c])
        } else {
            [*a, *b, *c].map(|sample| 255 - sample)
        };
        pixels.extend(inks::to_rgb([c, m, y, 255 - k]));
    }
    let size = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    RgbImage::from_raw(size.0, size.1, pixels).map(Into::into)
}

/// Decodes with `jpeg-decoder`.
fn decode_other(file: &[u8], max_bytes: usize) -> Result<DynamicImage, String> {
    use jpeg_decoder::{Decoder, PixelFormat};

    let mut decoder = Decoder::new(file);
    decoder.set_max_decoding_buffer_size(max_bytes);
    let samples = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("no frame header")?;
    let (width, height) = (info.width.into(), info.height.into());
    let image = match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
        PixelFormat::L16 => {
            let samples = samples
                .chunks_exact(2)
                .map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
                .collect();
            ImageBuffer::<Luma<u16>, _>::from_raw(width, height, samples).map(DynamicImage::from)
        }
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
        PixelFormat::CMYK32 => {
            let (pixels, _) = samples.as_chunks::<4>();
            let rgb = pixels.iter().flat_map(|inks| inks::to_rgb(*inks)).collect();
            RgbImage::from_raw(width, height, rgb).map(DynamicImage::from)
        }
    };
    image.ok_or_else(|| "fewer pixels than the header announces".into())
}
