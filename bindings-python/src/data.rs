//! The images of `data=`.

use lora_trainer::train::{ImageSource, TrainImage};
use pyo3::prelude::*;

use crate::error::{ErrorClass, ExceptionBuilder};
use crate::image::{ImageInput, read};

const EXPECTED: &str = "expected a list of (image, caption), in which each image is a path, a \
     PIL.Image or an array [h, w, 3 or 4] of uint8";
const EXPECTED_IMAGE: &str = "expected a path, a PIL.Image or an array [h, w, 3 or 4] of uint8";

/// The images of a list of `(image, caption)`; empty without a list.
///
/// # Errors
/// `DatasetError`, with the index of the entry.
pub(crate) fn images(data: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<TrainImage>> {
    let Some(data) = data else {
        return Ok(Vec::new());
    };
    if data.is_none() {
        return Ok(Vec::new());
    }
    let py = data.py();
    let found = data.get_type().qualname()?;
    if data.hasattr("__fspath__")?
        || data.extract::<&[u8]>().is_ok()
        || data.extract::<String>().is_ok()
    {
        let message =
            format!("data: found a value of type {found}, {EXPECTED}; a folder is train_data_dir");
        return Err(dataset_error(py, message));
    }
    let Ok(entries) = data.try_iter() else {
        let message = format!("data: found a value of type {found}, {EXPECTED}");
        return Err(dataset_error(py, message));
    };
    let mut images = Vec::new();
    for (index, entry) in entries.enumerate() {
        images.push(image(&entry?, index)?);
    }
    if images.is_empty() {
        return Err(dataset_error(
            py,
            format!("data: the list is empty, {EXPECTED}"),
        ));
    }
    Ok(images)
}

fn dataset_error(py: Python<'_>, message: String) -> PyErr {
    ExceptionBuilder::new(ErrorClass::Dataset, message).into_py(py)
}

fn image(entry: &Bound<'_, PyAny>, index: usize) -> PyResult<TrainImage> {
    let py = entry.py();
    let Ok((image, caption)) = entry.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let found = entry.get_type().qualname()?;
        let message = format!(
            "data[{index}]: found a value of type {found}, expected a pair (image, caption)"
        );
        return Err(dataset_error(py, message));
    };
    let Ok(caption) = caption.extract::<String>() else {
        let found = caption.get_type().qualname()?;
        let message = format!("data[{index}]: found a caption of type {found}, expected text");
        return Err(dataset_error(py, message));
    };
    Ok(TrainImage {
        image: image_source(&image, &format!("data[{index}]"))?,
        caption: caption.trim().into(),
    })
}

/// Reads a path, a Pillow image or an array. `name` is that of the image in messages.
///
/// # Errors
/// `DatasetError`.
pub(crate) fn image_source(image: &Bound<'_, PyAny>, name: &str) -> PyResult<ImageSource> {
    let py = image.py();
    match read(image) {
        Ok(ImageInput::File(path)) => Ok(ImageSource::File(path)),
        Ok(ImageInput::Memory(image)) => Ok(ImageSource::Memory(image)),
        Ok(ImageInput::Unusable(found)) => {
            let message = format!("{name}: found {found}, {EXPECTED_IMAGE}");
            Err(dataset_error(py, message))
        }
        Err(cause) => {
            let message = format!("{name}: unreadable image: {}", cause.value(py));
            let error = dataset_error(py, message);
            error.set_cause(py, Some(cause));
            Err(error)
        }
    }
}
