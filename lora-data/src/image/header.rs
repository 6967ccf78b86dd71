//! What a file's first bytes say: its format, size and orientation.

use std::io::{BufRead, Seek};

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageResult};

use super::ExifOrientation;
use crate::bucket::Size;
use crate::jpeg;

/// The formats that are read.
const FORMATS: &str = "png, jpeg, webp, bmp, gif or tiff";

#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: ImageFormat,
    stored_size: Size,
    pub(super) orientation: Orientation,
}

impl Header {
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
            // A damaged tag says nothing about the pixels.
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            (size(&decoder), orientation)
        }
        other => return Err(format!("the format is {other:?}; expected {FORMATS}")),
    };
    if stored_size.area() == 0 {
        return Err(format!("the header says {stored_size}, which is no pixel"));
    }
    Ok(Header {
        format,
        stored_size,
        orientation,
    })
}

fn size_and_exif<D: ImageDecoder>(decoder: ImageResult<D>) -> Result<(Size, Orientation), String> {
    let mut decoder = decoder.map_err(|error| error.to_string())?;
    // A damaged Exif chunk says nothing about the pixels.
    let exif = decoder.exif_metadata().unwrap_or(None);
    Ok((size(&decoder), exif_orientation(exif.as_deref())))
}

fn size(decoder: &impl ImageDecoder) -> Size {
    let (width, height) = decoder.dimensions();
    Size::new(width, height)
}

fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    // Some WebP and PNG writers put JPEG's segment name before the TIFF structure.
    exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}
