//! Classes that only have fields.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Defines a class with these fields. They are attributes, positional patterns in this order, part
/// of the `repr`, and pickled. The brackets hold further options of `#[pyclass]`; `base` makes the
/// initializer of an object, including its base class.
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
                $crate::record::repr(slf.as_any(), stringify!($name), &[$(stringify!($field)),*])
            }

            #[pyo3(signature = () -> "tuple[Any, tuple[Any, ...]]")]
            fn __reduce__<'py>(
                slf: &Bound<'py, Self>,
            ) -> PyResult<$crate::record::PickleCall<'py>> {
                $crate::record::pickle_call(slf.as_any(), &[$(stringify!($field)),*])
            }

            #[staticmethod]
            #[expect(clippy::allow_attributes, reason = "few classes have many fields")]
            #[allow(clippy::too_many_arguments, reason = "one per field")]
            fn _restore(py: Python<'_>, $($field: $kind),*) -> PyResult<Py<Self>> {
                Py::new(py, $base(Self { $($field),* }))
            }

            $($methods)*
        }
    };
}
pub(crate) use record;

/// The function that unpickling calls, and its arguments.
pub(crate) type PickleCall<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// The `repr` of an object: its class and fields.
pub(crate) fn repr(object: &Bound<'_, PyAny>, class: &str, fields: &[&str]) -> PyResult<String> {
    let mut text = format!("{class}(");
    for (at, field) in fields.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let value = object.getattr(*field)?.repr()?;
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{field}={value}");
    }
    Ok(text + ")")
}

/// The call that restores a pickled object from its fields.
pub(crate) fn pickle_call<'py>(
    object: &Bound<'py, PyAny>,
    fields: &[&str],
) -> PyResult<PickleCall<'py>> {
    let restore = object.get_type().getattr("_restore")?;
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        values.push(object.getattr(*field)?);
    }
    Ok((restore, PyTuple::new(object.py(), values)?))
}
