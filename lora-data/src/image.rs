//! Image files to RGB pixels, as Pillow's `Image.convert("RGB")` gives them.

mod convert;
mod header;
mod raster;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use self::convert::convert;
use self::header::{Header, read_header};
pub use self::raster::{Pixels, Plane, Raster};
use crate::bucket::Size;
use crate::config::Alpha;
use crate::error::{Error, Result};
use crate::index::HeaderSize;
use crate::jpeg;

/// No image may need more than this many bytes while it is decoded; a damaged header could ask
/// for any number.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// An image in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedImage {
    /// Its colours.
    pub pixels: Pixels,
    /// Its opacity, of the same size. `None`: opaque, or opacity was not asked for.
    pub alpha: Option<Plane>,
}

/// What to do with the orientation that cameras write into an image's Exif data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExifOrientation {
    /// Turn the image upright, as viewers show it.
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
    /// As Pillow converts them: grey is clipped at 255, which leaves most images white; of
    /// colours the high byte is taken.
    Pillow,
}

/// How image files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Whether images are turned as their Exif data says.
    pub exif_orientation: ExifOrientation,
    /// How 16-bit images are converted.
    pub sixteen_bit: SixteenBit,
}

impl DecodeOptions {
    /// Pixels as sd-scripts sees them.
    pub const SD_SCRIPTS: Self = Self {
        exif_orientation: ExifOrientation::Ignore,
        sixteen_bit: SixteenBit::Pillow,
    };
}

/// The size of an image, from its header only: pixel data is not read.
///
/// The format is recognised by the file's first bytes, not by its name.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, [`Error::UnreadableImage`] where its header is
/// damaged or of another format.
pub fn read_size(path: &Path, options: &DecodeOptions) -> Result<Size> {
    Ok(open_header(path)?.size(options.exif_orientation))
}

/// Whether an image is turned or mirrored when it is decoded with these options, as its Exif data
/// says.
///
/// # Errors
/// As [`read_size`].
pub fn is_turned(path: &Path, options: &DecodeOptions) -> Result<bool> {
    let header = open_header(path)?;
    Ok(options.exif_orientation == ExifOrientation::Apply
        && header.orientation != Orientation::NoTransforms)
}

/// The size of an image as stored and upright, from its header only.
pub(crate) fn header_size(path: &Path) -> Result<HeaderSize> {
    let header = open_header(path)?;
    Ok(HeaderSize {
        stored: header.size(ExifOrientation::Ignore),
        upright: header.size(ExifOrientation::Apply),
    })
}

fn open_header(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    read_header(BufReader::new(file)).map_err(|reason| unreadable(path, reason))
}

/// Decodes an image, of an animation the first frame. Transparency is dropped: transparent pixels
/// show the colour that lies under them.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::UnreadableImage`] where it is damaged,
/// truncated or of another format.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Pixels> {
    decode_with_alpha(path, options, Alpha::Drop).map(|image| image.pixels)
}

/// Decodes an image, of an animation the first frame. Of its transparency becomes what `alpha`
/// says; only [`Alpha::Mask`] gives [`DecodedImage::alpha`], and only where the file has
/// transparency.
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
        return Err(unreadable(
            path,
            format!("{length} bytes; expected at most {MAX_DECODED_BYTES}"),
        ));
    }
    let file = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    decode_bytes(&file, options, alpha).map_err(|reason| unreadable(path, reason))
}

/// An image in memory as one that was decoded; `path` stands for it in errors.
pub(crate) fn convert_image(
    image: &DynamicImage,
    path: &Path,
    options: &DecodeOptions,
    alpha: Alpha,
) -> Result<DecodedImage> {
    let converted = convert(image.clone(), options.sixteen_bit, alpha);
    converted.ok_or_else(|| unreadable(path, "fewer pixels than its size needs".into()))
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

/// Whether the file is as long as its RIFF header says. The decoder makes up what is missing from a
/// lossy image.
fn webp_is_complete(file: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = file.get(4..8) else {
        return false;
    };
    let length = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
    // Some writers count the last padding byte without writing it.
    file.len() as u64 + 1 >= length
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::UnreadableImage {
        path: path.into(),
        reason,
        refused: None,
    }
}
