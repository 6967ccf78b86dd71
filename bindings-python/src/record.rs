//! Classes that are nothing but their fields.

use std::fmt::Write as _;

use pyo3::prelude::*;

/// A class with these fields: attributes, in the order of positional patterns, shown by name, and
/// picklable. In brackets, what else pyo3 is told of the class; `base` is what an object of it is
/// built on.
macro_rules! record {
    (
        [$($option:tt)*] $base:expr,
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }
        $($methods:tt)*
    ) => {
        $(#[$meta])*
        #[pyclass(frozen, get_all, from_py_object, module = "lora_trainer", $($option)*)]
        #[derive(Debug, Clone)]
        pub(crate) struct $name { $($(#[$field_meta])* pub(crate) $field: $kind,)* }

        #[pymethods]
        impl $name {
            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyTuple>> {
                pyo3::types::PyTuple::new(py, [$(stringify!($field)),*])
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                $crate::record::shown(slf.as_any(), stringify!($name), &[$(stringify!($field)),*])
            }

            #[pyo3(signature = () -> "tuple[Any, tuple[Any, ...]]")]
            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<$crate::record::Reduced<'py>> {
                $crate::record::reduced(slf.as_any(), &[$(stringify!($field)),*])
            }

            #[staticmethod]
            #[expect(clippy::allow_attributes, reason = "few classes have many fields")]
            #[allow(clippy::too_many_arguments, reason = "one a field")]
            fn _restore(py: Python<'_>, $($field: $kind),*) -> PyResult<Py<Self>> {
                Py::new(py, $base(Self { $($field),* }))
            }

            $($methods)*
        }
    };
}
pub(crate) use record;

/// What pickle calls, and with what.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, pyo3::types::PyTuple>);

/// An object as its class and fields.
pub(crate) fn shown(object: &Bound<'_, PyAny>, class: &str, fields: &[&str]) -> PyResult<String> {
    let mut text = format!("{class}(");
    for (at, field) in fields.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "{separator}{field}={}",
            object.getattr(*field)?.repr()?
        );
    }
    Ok(text + ")")
}

/// How pickle makes an object anew.
pub(crate) fn reduced<'py>(object: &Bound<'py, PyAny>, fields: &[&str]) -> PyResult<Reduced<'py>> {
    let restore = object.get_type().getattr("_restore")?;
    let values = fields
        .iter()
        .map(|field| object.getattr(*field))
        .collect::<PyResult<Vec<_>>>()?;
    Ok((restore, pyo3::types::PyTuple::new(object.py(), values)?))
}
