//! Image headers: format, size and orientation from the first bytes of a file.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageResult};
use serde::{Deserialize, Serialize};

use super::jpeg;
use super::options::{DecodeOptions, ExifOrientation};
use crate::error::{Error, Result};
use crate::size::Size;

/// The supported formats, for messages.
const FORMATS: &str = "png, jpeg, webp, bmp, gif or tiff";

/// The header of an image file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: ImageFormat,
    stored_size: Size,
    pub(super) orientation: Orientation,
}

impl Header {
    /// The size with or without its orientation applied.
    pub(super) fn size(&self, exif_orientation: ExifOrientation) -> Size {
        let Size { width, height } = self.stored_size;
        match (exif_orientation, self.orientation) {
            (
                ExifOrientation::Apply,
                Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH,
            ) => Size::new(height, width),
            _ => self.stored_size,
        }
    }
}

/// The size of an image, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderSize {
    /// The size of the pixels as they are stored.
    pub(crate) stored: Size,
    /// The size after the Exif orientation is applied.
    pub(crate) upright: Size,
}

impl HeaderSize {
    /// The size of an image in memory, which is upright.
    pub(crate) fn from_image(image: &DynamicImage) -> Self {
        let size = Size::new(image.width(), image.height());
        Self {
            stored: size,
            upright: size,
        }
    }
}

/// The size of an image from its header, without reading pixel data.
///
/// The format is detected from the first bytes of the file, not from its name.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::UnreadableImage`] if its header is damaged
/// or its format unsupported.
pub fn read_size(path: &Path, options: &DecodeOptions) -> Result<Size> {
    Ok(open_header(path)?.size(options.exif_orientation))
}

/// True if decoding with these options rotates or mirrors the image because of its Exif
/// orientation.
///
/// # Errors
/// Those of [`read_size`].
pub fn is_reoriented(path: &Path, options: &DecodeOptions) -> Result<bool> {
    let header = open_header(path)?;
    Ok(options.exif_orientation == ExifOrientation::Apply
        && header.orientation != Orientation::NoTransforms)
}

/// The stored and the upright size of an image, from its header only.
pub(crate) fn header_size(path: &Path) -> Result<HeaderSize> {
    let header = open_header(path)?;
    Ok(HeaderSize {
        stored: header.size(ExifOrientation::Ignore),
        upright: header.size(ExifOrientation::Apply),
    })
}

fn open_header(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    read_header(BufReader::new(file)).map_err(|reason| Error::unreadable_image(path, reason))
}

/// Reads the header of an image. The format is detected from its first bytes.
///
/// # Errors
/// The reason why it is not a readable image.
pub(super) fn read_header(mut reader: impl BufRead + Seek) -> Result<Header, String> {
    let start = reader.fill_buf().map_err(|error| error.to_string())?;
    if start.is_empty() {
        return Err("the file is empty".into());
    }
    let format =
        image::guess_format(start).map_err(|_| format!("not an image; expected {FORMATS}"))?;
    let (stored_size, orientation) = match format {
        ImageFormat::Jpeg => {
            let header = jpeg::read_header(&mut reader).map_err(|error| error.to_string())?;
            (header.size, exif_orientation(header.exif.as_deref()))
        }
        ImageFormat::Png => size_and_exif(PngDecoder::new(reader))?,
        ImageFormat::WebP => size_and_exif(WebPDecoder::new(reader))?,
        ImageFormat::Bmp => size_and_exif(BmpDecoder::new(reader))?,
        ImageFormat::Gif => size_and_exif(GifDecoder::new(reader))?,
        ImageFormat::Tiff => {
            let mut decoder = TiffDecoder::new(reader).map_err(|error| error.to_string())?;
            // The pixels may be fine even if the tag is damaged.
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            (size(&decoder), orientation)
        }
        other => return Err(format!("the format is {other:?}; expected {FORMATS}")),
    };
    if stored_size.area() == 0 {
        return Err(format!("the image is {stored_size}, so it has no pixels"));
    }
    Ok(Header {
        format,
        stored_size,
        orientation,
    })
}

fn size_and_exif<D: ImageDecoder>(decoder: ImageResult<D>) -> Result<(Size, Orientation), String> {
    let mut decoder = decoder.map_err(|error| error.to_string())?;
    // The pixels may be fine even if the Exif chunk is damaged.
    let exif = decoder.exif_metadata().unwrap_or(None);
    Ok((size(&decoder), exif_orientation(exif.as_deref())))
}

fn size(decoder: &impl ImageDecoder) -> Size {
    let (width, height) = decoder.dimensions();
    Size::new(width, height)
}

fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    // Some WebP and PNG writers put the name of JPEG's segment before the TIFF structure.
    exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}
