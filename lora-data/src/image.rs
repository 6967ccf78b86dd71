//! Picture files to RGB pixels, as Pillow's `Image.convert("RGB")` gives them.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::codecs::bmp::BmpDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::bucket::Size;
use crate::error::{Error, Result};
use crate::index::HeaderSize;
use crate::jpeg;

/// No picture may need more than this many bytes while it is decoded; a damaged header could ask for any number.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// Pixels of one picture: rows from the top, three bytes (red, green, blue) a pixel, `[h, w, 3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    size: Size,
    data: Vec<u8>,
}

impl Pixels {
    /// The picture of this size with these bytes; `None` where their number is not `3 * width * height`.
    #[must_use]
    pub fn new(size: Size, data: Vec<u8>) -> Option<Self> {
        (data.len() as u64 == 3 * size.area()).then_some(Self { size, data })
    }

    /// Width and height.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The bytes, `[h, w, 3]`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, `[h, w, 3]`.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.data
    }
}

/// What to do with the orientation that cameras write into a picture's Exif data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExifOrientation {
    /// Turn the picture upright, as viewers show it.
    #[default]
    Apply,
    /// Take the pixels as they are stored, as sd-scripts does.
    Ignore,
}

/// How 16-bit samples become 8-bit ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SixteenBit {
    /// Scaled to the 8-bit range and rounded.
    #[default]
    Scale,
    /// As Pillow converts them: grey is clipped at 255, which leaves most pictures white; of colours the high byte is taken.
    Pillow,
}

/// How picture files are read. Transparency is always dropped without blending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Whether pictures are turned as their Exif data says.
    pub exif_orientation: ExifOrientation,
    /// How 16-bit pictures are converted.
    pub sixteen_bit: SixteenBit,
}

impl DecodeOptions {
    /// Pixels as sd-scripts sees them.
    pub const SD_SCRIPTS: Self = Self { exif_orientation: ExifOrientation::Ignore, sixteen_bit: SixteenBit::Pillow };
}

/// The size of a picture, from its header only: pixel data is not read.
///
/// The format is recognised by the file's first bytes, not by its name.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, [`Error::UnreadablePicture`] where its header is damaged or of another
/// format.
pub fn read_size(path: &Path, options: &DecodeOptions) -> Result<Size> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let header = read_header(BufReader::new(file)).map_err(|reason| unreadable(path, reason))?;
    Ok(header.size(options.exif_orientation))
}

/// The size of a picture as stored and upright, from its header only.
pub(crate) fn header_size(path: &Path) -> Result<HeaderSize> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let header = read_header(BufReader::new(file)).map_err(|reason| unreadable(path, reason))?;
    Ok(HeaderSize { stored: header.stored_size, upright: header.size(ExifOrientation::Apply) })
}

/// Decodes a picture.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::UnreadablePicture`] where it is damaged, truncated or of another
/// format.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Pixels> {
    let file = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    decode_bytes(&file, options).map_err(|reason| unreadable(path, reason))
}

fn decode_bytes(file: &[u8], options: &DecodeOptions) -> Result<Pixels, String> {
    let header = read_header(Cursor::new(file))?;
    let mut picture = match header.format {
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
        picture.apply_orientation(header.orientation);
    }
    let size = Size::new(picture.width(), picture.height());
    Ok(Pixels { size, data: to_rgb(picture, options.sixteen_bit) })
}

/// Whether the file is as long as its RIFF header says. The decoder makes up what is missing from a lossy picture.
fn webp_is_complete(file: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = file.get(4..8) else { return false };
    let length = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
    // Some writers count the last padding byte without writing it.
    file.len() as u64 + 1 >= length
}

fn to_rgb(picture: DynamicImage, sixteen_bit: SixteenBit) -> Vec<u8> {
    if sixteen_bit == SixteenBit::Pillow {
        let high_bytes = |samples: Vec<u16>| samples.into_iter().map(|sample| (sample >> 8) as u8).collect();
        match picture {
            DynamicImage::ImageLuma16(grey) => {
                return grey.into_raw().into_iter().flat_map(|sample| [sample.min(255) as u8; 3]).collect();
            }
            DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
                return high_bytes(picture.into_rgb16().into_raw());
            }
            _ => {}
        }
    }
    picture.into_rgb8().into_raw()
}

#[derive(Debug)]
struct Header {
    format: ImageFormat,
    stored_size: Size,
    orientation: Orientation,
}

impl Header {
    fn size(&self, exif_orientation: ExifOrientation) -> Size {
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

fn read_header(mut reader: impl BufRead + Seek) -> Result<Header, String> {
    let start = reader.fill_buf().map_err(|error| error.to_string())?;
    if start.is_empty() {
        return Err("the file is empty".into());
    }
    let format =
        image::guess_format(start).map_err(|_| "not a picture; expected png, jpeg, webp or bmp".to_string())?;
    let (stored_size, exif) = match format {
        ImageFormat::Jpeg => {
            let header = jpeg::read_header(&mut reader).map_err(|error| error.to_string())?;
            (header.size, header.exif)
        }
        ImageFormat::Png => size_and_exif(PngDecoder::new(reader))?,
        ImageFormat::WebP => size_and_exif(WebPDecoder::new(reader))?,
        ImageFormat::Bmp => size_and_exif(BmpDecoder::new(reader))?,
        other => return Err(format!("the format is {other:?}; expected png, jpeg, webp or bmp")),
    };
    Ok(Header { format, stored_size, orientation: orientation(exif.as_deref()) })
}

fn size_and_exif<D: ImageDecoder>(decoder: image::ImageResult<D>) -> Result<(Size, Option<Vec<u8>>), String> {
    let mut decoder = decoder.map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    // A damaged Exif chunk says nothing about the pixels.
    let exif = decoder.exif_metadata().unwrap_or(None);
    Ok((Size::new(width, height), exif))
}

fn orientation(exif: Option<&[u8]>) -> Orientation {
    // Some WebP and PNG writers put JPEG's segment name before the TIFF structure.
    exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::UnreadablePicture { path: path.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.into().write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn decoded(picture: impl Into<DynamicImage>, options: &DecodeOptions) -> Vec<u8> {
        decode_bytes(&encoded(picture, ImageFormat::Png), options).unwrap().into_bytes()
    }

    #[test]
    fn transparency_is_dropped_without_blending() {
        let picture = image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 200, 100, 50, 128]).unwrap();
        assert_eq!(decoded(picture, &DecodeOptions::default()), [1, 2, 3, 200, 100, 50]);
    }

    #[test]
    fn sixteen_bit_grey_is_scaled_or_clipped() {
        let picture = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![100, 0x8000, 65535]).unwrap();
        assert_eq!(decoded(picture.clone(), &DecodeOptions::default()), [0, 0, 0, 128, 128, 128, 255, 255, 255]);
        assert_eq!(decoded(picture, &DecodeOptions::SD_SCRIPTS), [100, 100, 100, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn sixteen_bit_colours_are_scaled_or_cut() {
        let picture = image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(1, 1, vec![0x00FF, 0x1234, 0xFEFF]).unwrap();
        assert_eq!(decoded(picture.clone(), &DecodeOptions::default()), [1, 18, 254]);
        assert_eq!(decoded(picture, &DecodeOptions::SD_SCRIPTS), [0, 18, 254]);
    }

    #[test]
    fn truncated_and_foreign_files_are_errors() {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| {
            image::Rgb([(x * y) as u8, (x * 37 + y * 11) as u8, (x ^ y) as u8])
        });
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp] {
            let file = encoded(picture.clone(), format);
            assert!(decode_bytes(&file, &DecodeOptions::default()).is_ok(), "{format:?}");
            for length in [0, 1, 10, file.len() / 2, file.len() * 9 / 10] {
                assert!(
                    decode_bytes(&file[..length], &DecodeOptions::default()).is_err(),
                    "{format:?}, {length} bytes"
                );
            }
        }
        let reason = decode_bytes(b"GIF89a then more", &DecodeOptions::default()).unwrap_err();
        assert!(reason.contains("Gif"), "{reason}");
        assert!(decode_bytes(b"some text", &DecodeOptions::default()).is_err());
    }

    #[test]
    fn a_header_that_asks_for_too_much_is_an_error() {
        let mut file = encoded(image::RgbImage::new(8, 8), ImageFormat::Bmp);
        file[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
        file[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
        assert!(decode_bytes(&file, &DecodeOptions::default()).is_err());
    }
}
