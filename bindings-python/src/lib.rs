//! The native module of the Python package: `lora_trainer._core`. There is one file per concept;
//! everything that needs no Rust is in `python/lora_trainer`.

mod background;
mod caption_edit;
mod caption_filter;
mod caption_records;
mod caption_stats;
mod captions;
mod config;
mod data;
mod error;
mod events;
mod generate;
mod image;
mod inspect;
mod measured_event;
mod options;
mod process;
mod record;
mod report;
mod tag_error;
mod tag_folder;
mod tag_options;
mod tagger;
mod trainer;
mod value;

use pyo3::pymodule;

/// The native part of the Python package `lora_trainer`.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::background::_panic;
    #[pymodule_export]
    use crate::caption_edit::CaptionEdit;
    #[pymodule_export]
    use crate::caption_records::{
        CaptionChange, CaptionCommand, CaptionEntry, UndoneCommand, caption_difference,
    };
    #[pymodule_export]
    use crate::captions::CaptionFolder;
    #[pymodule_export]
    use crate::config::{ConfigKey, TrainConfig};
    #[pymodule_export]
    use crate::events::{
        CacheProgress, DataWait, Deleted, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary,
        Warning,
    };
    #[pymodule_export]
    use crate::generate::generate;
    #[pymodule_export]
    use crate::inspect::{AdapterInfo, LoraInfo, inspect};
    #[pymodule_export]
    use crate::options::{Option, options};
    #[pymodule_export]
    use crate::report::{
        Bucket, CheckReport, ExampleImage, LongCaption, RunLength, SubsetReport, TinyImage, check,
    };
    #[pymodule_export]
    use crate::tag_folder::TagRun;
    #[pymodule_export]
    use crate::tag_options::_folder_options;
    #[pymodule_export]
    use crate::tagger::LoadedTagger;
    #[pymodule_export]
    use crate::trainer::Trainer;

    /// The version of lora-trainer.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(py: Python<'_>) -> PyResult<()> {
        crate::config::add_options(&py.get_type::<TrainConfig>())
    }
}
