//! Conversion of images between Python (Pillow, NumPy) and Rust.

use std::path::PathBuf;
use std::sync::Arc;

use ::image::{DynamicImage, ImageBuffer, RgbImage, RgbaImage};
use lora_data::{Pixels, Size};
use pyo3::exceptions::PyValueError;
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// Converts an image to a Pillow image.
pub(crate) fn to_pillow<'py>(py: Python<'py>, image: &RgbImage) -> PyResult<Bound<'py, PyAny>> {
    let pixels = PyBytes::new(py, image.as_raw());
    py.import("PIL.Image")?
        .call_method1("frombytes", ("RGB", image.dimensions(), pixels))
}

/// An image that is converted to a Pillow image on access.
#[derive(Debug, Clone)]
pub(crate) struct Image(Arc<RgbImage>);

impl From<RgbImage> for Image {
    fn from(image: RgbImage) -> Self {
        Self(image.into())
    }
}

impl<'py> IntoPyObject<'py> for Image {
    const OUTPUT_TYPE: PyStaticExpr = Pillow::OUTPUT_TYPE;

    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_pillow(py, &self.0)
    }
}

/// A `PIL.Image`, so that stubs have its type.
pub(crate) struct Pillow<'py>(pub(crate) Bound<'py, PyAny>);

impl<'py> IntoPyObject<'py> for Pillow<'py> {
    const OUTPUT_TYPE: PyStaticExpr = PyStaticExpr::Attribute {
        value: &PyStaticExpr::Name { id: "PIL.Image" },
        attr: "Image",
    };

    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.0)
    }
}

/// Unpickling needs it.
impl<'py> FromPyObject<'_, 'py> for Image {
    type Error = PyErr;

    fn extract(image: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (width, height): (u32, u32) = image.getattr("size")?.extract()?;
        let pixels = image.call_method0("tobytes")?.cast_into::<PyBytes>()?;
        let image = RgbImage::from_raw(width, height, pixels.as_bytes().to_vec());
        image
            .map(Self::from)
            .ok_or_else(|| PyValueError::new_err("expected an RGB image"))
    }
}

/// An image of `data=`.
pub(crate) enum ImageInput {
    File(PathBuf),
    Memory(Arc<DynamicImage>),
    /// Not an image, with a description of the value.
    Unusable(String),
}

/// Reads a path, a Pillow image or an array `[h, w, 3 or 4]` of `uint8`.
pub(crate) fn read(image: &Bound<'_, PyAny>) -> PyResult<ImageInput> {
    if image.is_instance_of::<PyString>() || image.hasattr("__fspath__")? {
        return Ok(ImageInput::File(image.extract()?));
    }
    if image.is_instance_of::<PyBytes>() {
        return Ok(ImageInput::Unusable("bytes".into()));
    }
    if image.hasattr("__array_interface__")? && image.hasattr("dtype")? {
        return from_array(image);
    }
    if image.hasattr("convert")? && image.hasattr("mode")? && image.hasattr("tobytes")? {
        return from_pillow(image);
    }
    Ok(ImageInput::Unusable(format!(
        "a value of type {}",
        image.get_type().qualname()?
    )))
}

fn from_array(array: &Bound<'_, PyAny>) -> PyResult<ImageInput> {
    let dtype = array.getattr("dtype")?.str()?.to_string();
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    let &[height, width, channels @ (3 | 4)] = shape.as_slice() else {
        return Ok(ImageInput::Unusable(format!("an array of shape {shape:?}")));
    };
    if dtype != "uint8" {
        return Ok(ImageInput::Unusable(format!("an array of {dtype}")));
    }
    let bytes = array
        .call_method0("tobytes")?
        .cast_into::<PyBytes>()?
        .as_bytes()
        .to_vec();
    let (width, height) = (width as u32, height as u32);
    Ok(from_pixels(if channels == 4 {
        RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
    }))
}

/// Keeps the alpha channel for `alpha_mask` and `alpha_background`. Applies the Exif orientation,
/// like the reader of files.
fn from_pillow(image: &Bound<'_, PyAny>) -> PyResult<ImageInput> {
    let image = image
        .py()
        .import("PIL.ImageOps")?
        .call_method1("exif_transpose", (image,))?;
    let mode: String = image.getattr("mode")?.extract()?;
    if let Some(big_endian) = is_big_endian(&mode) {
        return from_sixteen_bit(&image, big_endian);
    }
    // Pillow would clip their values at 255.
    if matches!(mode.as_str(), "I" | "F") {
        return Ok(ImageInput::Unusable(format!(
            "a PIL.Image of mode {mode}, whose range is unknown; convert it"
        )));
    }
    let is_transparent = matches!(mode.as_str(), "RGBA" | "LA" | "PA" | "RGBa" | "La")
        || image.getattr("info")?.contains("transparency")?;
    let mode = if is_transparent { "RGBA" } else { "RGB" };
    let converted = image.call_method1("convert", (mode,))?;
    let (width, height): (u32, u32) = converted.getattr("size")?.extract()?;
    let bytes = converted
        .call_method0("tobytes")?
        .cast_into::<PyBytes>()?
        .as_bytes()
        .to_vec();
    Ok(from_pixels(if is_transparent {
        RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
    }))
}

/// True if a 16-bit mode is big-endian; `None` for other modes.
fn is_big_endian(mode: &str) -> Option<bool> {
    match mode {
        "I;16" | "I;16L" => Some(false),
        "I;16B" => Some(true),
        "I;16N" => Some(cfg!(target_endian = "big")),
        _ => None,
    }
}

/// Reads 16-bit greyscale. It is scaled like that of files.
fn from_sixteen_bit(image: &Bound<'_, PyAny>, big_endian: bool) -> PyResult<ImageInput> {
    let (width, height): (u32, u32) = image.getattr("size")?.extract()?;
    let bytes = image.call_method0("tobytes")?.cast_into::<PyBytes>()?;
    let (pairs, _) = bytes.as_bytes().as_chunks::<2>();
    let read = if big_endian {
        u16::from_be_bytes
    } else {
        u16::from_le_bytes
    };
    let samples = pairs.iter().map(|pair| read(*pair)).collect();
    Ok(from_pixels(
        ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
    ))
}

/// The colours of an image in memory, blended over white like those of a file.
pub(crate) fn over_white(image: &DynamicImage) -> Option<Pixels> {
    let size = Size::new(image.width(), image.height());
    if !image.color().has_alpha() {
        return Pixels::new(size, image.to_rgb8().into_raw());
    }
    let rgba = image.to_rgba8().into_raw();
    let (samples, _) = rgba.as_chunks::<4>();
    let blended = samples.iter().flat_map(|&[red, green, blue, alpha]| {
        let alpha = u32::from(alpha);
        [red, green, blue]
            .map(|level| ((u32::from(level) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    });
    Pixels::new(size, blended.collect())
}

fn from_pixels(image: Option<DynamicImage>) -> ImageInput {
    match image {
        Some(image) => ImageInput::Memory(Arc::new(image)),
        None => ImageInput::Unusable("fewer bytes than its size needs".into()),
    }
}
