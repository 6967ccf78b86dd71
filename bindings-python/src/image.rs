//! Pictures between Python and Rust: Pillow's images and arrays.

use std::path::PathBuf;
use std::sync::Arc;

use ::image::{DynamicImage, RgbImage, RgbaImage};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// A Pillow image of these pixels.
pub(crate) fn to_pillow<'py>(py: Python<'py>, picture: &RgbImage) -> PyResult<Bound<'py, PyAny>> {
    let pixels = PyBytes::new(py, picture.as_raw());
    py.import("PIL.Image")?.call_method1("frombytes", ("RGB", picture.dimensions(), pixels))
}

/// What a picture in a list of data is.
pub(crate) enum Given {
    File(PathBuf),
    Image(Arc<DynamicImage>),
    /// None, with what was found instead.
    Other(String),
}

/// A path, a Pillow image or an array `[h, w, 3]` of `uint8`.
pub(crate) fn read(picture: &Bound<'_, PyAny>) -> PyResult<Given> {
    if picture.is_instance_of::<PyString>() || picture.hasattr("__fspath__")? {
        return Ok(Given::File(picture.extract()?));
    }
    if picture.is_instance_of::<PyBytes>() {
        return Ok(Given::Other("bytes".into()));
    }
    if picture.hasattr("__array_interface__")? && picture.hasattr("dtype")? {
        return from_array(picture);
    }
    if picture.hasattr("convert")? && picture.hasattr("mode")? && picture.hasattr("tobytes")? {
        return from_pillow(picture);
    }
    Ok(Given::Other(format!("a value of type {}", picture.get_type().qualname()?)))
}

fn from_array(array: &Bound<'_, PyAny>) -> PyResult<Given> {
    let dtype = array.getattr("dtype")?.str()?.to_string();
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    let &[height, width, 3] = shape.as_slice() else {
        return Ok(Given::Other(format!("an array of shape {shape:?}")));
    };
    if dtype != "uint8" {
        return Ok(Given::Other(format!("an array of {dtype}")));
    }
    let bytes = array.call_method0("tobytes")?.cast_into::<PyBytes>()?.as_bytes().to_vec();
    let image = RgbImage::from_raw(width as u32, height as u32, bytes).map(DynamicImage::ImageRgb8);
    Ok(given(image))
}

/// Transparency stays, for `alpha_mask` and `alpha_background`. Orientation in Exif data is applied, as it is for files.
fn from_pillow(image: &Bound<'_, PyAny>) -> PyResult<Given> {
    let image = image.py().import("PIL.ImageOps")?.call_method1("exif_transpose", (image,))?;
    let mode: String = image.getattr("mode")?.extract()?;
    let is_transparent = matches!(mode.as_str(), "RGBA" | "LA" | "PA" | "RGBa" | "La")
        || image.getattr("info")?.contains("transparency")?;
    let mode = if is_transparent { "RGBA" } else { "RGB" };
    let converted = image.call_method1("convert", (mode,))?;
    let (width, height): (u32, u32) = converted.getattr("size")?.extract()?;
    let bytes = converted.call_method0("tobytes")?.cast_into::<PyBytes>()?.as_bytes().to_vec();
    Ok(given(match is_transparent {
        true => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
        false => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
    }))
}

fn given(image: Option<DynamicImage>) -> Given {
    match image {
        Some(image) => Given::Image(Arc::new(image)),
        None => Given::Other("fewer bytes than its size needs".into()),
    }
}
