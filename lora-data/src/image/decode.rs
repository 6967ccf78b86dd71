//! Image files to pixels.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::convert::convert;
use super::header::read_header;
use super::jpeg;
use super::options::{Alpha, DecodeOptions, ExifOrientation};
use super::raster::{DecodedImage, Pixels};
use crate::count::count;
use crate::error::{Error, Result};

/// The most bytes that decoding may need: a damaged header could ask for any number.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// Decodes an image; of an animation the first frame. Transparency is dropped: transparent pixels
/// have the colour that is stored for them.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::UnreadableImage`] if it is damaged, truncated
/// or in an unsupported format.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Pixels> {
    decode_with_alpha(path, options, Alpha::Drop).map(|image| image.pixels)
}

/// Decodes an image; of an animation the first frame. `alpha` decides about its transparency:
/// [`DecodedImage::alpha`] is set with [`Alpha::Mask`] if the file has transparency, otherwise it
/// is `None`.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_with_alpha(
    path: &Path,
    options: &DecodeOptions,
    alpha: Alpha,
) -> Result<DecodedImage> {
    let length = path
        .metadata()
        .map_err(|error| Error::io(path, error))?
        .len();
    if length > MAX_DECODED_BYTES {
        let length = count(length, "byte");
        return Err(Error::unreadable_image(
            path,
            format!("{length}; expected at most {MAX_DECODED_BYTES}"),
        ));
    }
    let file = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    decode_bytes(&file, options, alpha).map_err(|reason| Error::unreadable_image(path, reason))
}

/// Converts an image in memory as if it had been decoded. Errors name `path`.
pub(crate) fn convert_image(
    image: &DynamicImage,
    path: &Path,
    options: &DecodeOptions,
    alpha: Alpha,
) -> Result<DecodedImage> {
    let converted = convert(image.clone(), options.sixteen_bit, alpha);
    converted
        .ok_or_else(|| Error::unreadable_image(path, "fewer pixels than its size needs".into()))
}

fn decode_bytes(
    file: &[u8],
    options: &DecodeOptions,
    alpha: Alpha,
) -> Result<DecodedImage, String> {
    let header = read_header(Cursor::new(file))?;
    let mut image = match header.format {
        ImageFormat::Jpeg => jpeg::decode(file, MAX_DECODED_BYTES as usize)?,
        ImageFormat::WebP if !webp_is_complete(file) => return Err("the file is truncated".into()),
        format => {
            let mut reader = ImageReader::with_format(Cursor::new(file), format);
            let mut limits = Limits::default();
            limits.max_alloc = Some(MAX_DECODED_BYTES);
            reader.limits(limits);
            reader.decode().map_err(|error| error.to_string())?
        }
    };
    if options.exif_orientation == ExifOrientation::Apply {
        image.apply_orientation(header.orientation);
    }
    convert(image, options.sixteen_bit, alpha)
        .ok_or_else(|| "fewer pixels than the header announces".into())
}

/// True if the file is as long as its RIFF header says. The decoder invents the missing part of a
/// lossy image.
fn webp_is_complete(file: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = file.get(4..8) else {
        return false;
    };
    let length = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
    // Some writers count the last padding byte without writing it.
    file.len() as u64 + 1 >= length
}

#[cfg(test)]
mod tests;
