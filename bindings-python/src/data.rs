//! Images that a program gives: `data=`.

use lora_trainer::train::{ImageSource, TrainImage};
use pyo3::prelude::*;

use crate::error::{Kind, Raised};
use crate::image::{Given, read};

const EXPECTED: &str = "a list of (image, caption), where an image is a path, a PIL.Image or an \
     array [h, w, 3] of uint8";

/// The images of a list of `(image, caption)`.
///
/// # Errors
/// `DatasetError`, naming the entry.
pub(crate) fn images(data: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<TrainImage>> {
    let Some(data) = data.filter(|data| !data.is_none()) else {
        return Ok(Vec::new());
    };
    let refuse = |what: String| refused(data.py(), what);
    if data.hasattr("__fspath__")?
        || data.extract::<&[u8]>().is_ok()
        || data.extract::<String>().is_ok()
    {
        let found = data.get_type().qualname()?;
        return Err(refuse(format!(
            "data: found a value of type {found}, expected {EXPECTED}; a folder is train_data_dir"
        )));
    }
    let Ok(entries) = data.try_iter() else {
        return Err(refuse(format!(
            "data: found a value of type {}, expected {EXPECTED}",
            data.get_type().qualname()?
        )));
    };
    let images: Vec<TrainImage> = entries
        .enumerate()
        .map(|(index, entry)| image(&entry?, index))
        .collect::<PyResult<_>>()?;
    if images.is_empty() {
        return Err(refuse(format!(
            "data: the list is empty, expected {EXPECTED}"
        )));
    }
    Ok(images)
}

fn refused(py: Python<'_>, what: String) -> PyErr {
    Raised::new(Kind::Dataset, what).into_py(py)
}

fn image(entry: &Bound<'_, PyAny>, index: usize) -> PyResult<TrainImage> {
    let py = entry.py();
    let place = format!("data[{index}]");
    let Ok((image, caption)) = entry.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let found = entry.get_type().qualname()?;
        return Err(refused(
            py,
            format!("{place}: found a value of type {found}, expected a pair (image, caption)"),
        ));
    };
    let Ok(caption) = caption.extract::<String>() else {
        let found = caption.get_type().qualname()?;
        return Err(refused(
            py,
            format!("{place}: found a caption of type {found}, expected text"),
        ));
    };
    let source = match read(&image) {
        Ok(Given::File(path)) => ImageSource::File(path),
        Ok(Given::Image(image)) => ImageSource::Memory(image),
        Ok(Given::Other(found)) => {
            let expected = "expected a path, a PIL.Image or an array [h, w, 3] of uint8";
            return Err(refused(py, format!("{place}: found {found}, {expected}")));
        }
        Err(error) => {
            let raised = refused(
                py,
                format!("{place}: unreadable image: {}", error.value(py)),
            );
            raised.set_cause(py, Some(error));
            return Err(raised);
        }
    };
    Ok(TrainImage {
        image: source,
        caption: caption.trim().into(),
    })
}
