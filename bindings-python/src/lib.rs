//! Python module of lora-trainer: a skeleton that compiles, loads and tells its version.

use pyo3::pymodule;

/// The native part of the Python package `lora_trainer`.
#[pymodule]
mod _core {
    /// The version of lora-trainer.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
