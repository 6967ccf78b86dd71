//! Pictures that a program gives: `data=`.

use lora_trainer::train::{PictureSource, TrainPicture};
use pyo3::prelude::*;

use crate::error::{Kind, Raised};
use crate::image::{Given, read};

const EXPECTED: &str = "a list of (picture, caption), where a picture is a path, a PIL.Image or an \
     array [h, w, 3] of uint8";

/// The pictures of a list of `(picture, caption)`.
///
/// # Errors
/// `DatasetError`, naming the entry.
pub(crate) fn pictures(data: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<TrainPicture>> {
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
    let pictures: Vec<TrainPicture> = entries
        .enumerate()
        .map(|(index, entry)| picture(&entry?, index))
        .collect::<PyResult<_>>()?;
    if pictures.is_empty() {
        return Err(refuse(format!(
            "data: the list is empty, expected {EXPECTED}"
        )));
    }
    Ok(pictures)
}

fn refused(py: Python<'_>, what: String) -> PyErr {
    Raised::new(Kind::Dataset, what).into_py(py)
}

fn picture(entry: &Bound<'_, PyAny>, index: usize) -> PyResult<TrainPicture> {
    let py = entry.py();
    let place = format!("data[{index}]");
    let Ok((picture, caption)) = entry.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let found = entry.get_type().qualname()?;
        return Err(refused(
            py,
            format!("{place}: found a value of type {found}, expected a pair (picture, caption)"),
        ));
    };
    let Ok(caption) = caption.extract::<String>() else {
        let found = caption.get_type().qualname()?;
        return Err(refused(
            py,
            format!("{place}: found a caption of type {found}, expected text"),
        ));
    };
    let source = match read(&picture) {
        Ok(Given::File(path)) => PictureSource::File(path),
        Ok(Given::Image(image)) => PictureSource::Image(image),
        Ok(Given::Other(found)) => {
            let expected = "expected a path, a PIL.Image or an array [h, w, 3] of uint8";
            return Err(refused(py, format!("{place}: found {found}, {expected}")));
        }
        Err(error) => {
            let raised = refused(
                py,
                format!("{place}: unreadable picture: {}", error.value(py)),
            );
            raised.set_cause(py, Some(error));
            return Err(raised);
        }
    };
    Ok(TrainPicture {
        picture: source,
        caption: caption.trim().into(),
    })
}
