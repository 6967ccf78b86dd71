//! What is written.

use super::{Group, Kind, OptionSpec, OptionValue};
use crate::config::SavePrecision;

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Output,
        output_dir,
        Kind::Path,
        "The folder for everything that is written.",
    ),
    option!(
        Output,
        output_name,
        Kind::Text,
        "The name of the LoRA file without its extension.",
    ),
    option!(
        Output,
        save_every_n_epochs,
        Kind::COUNT,
        "Save a LoRA after each N epochs; one is always saved at the end. 0: off.",
        off_at_zero
    ),
    option!(
        Output,
        save_n_epoch_ratio,
        Kind::COUNT,
        "Save a LoRA this many times over the run; goes before save_every_n_epochs. 0: off.",
        off_at_zero,
    ),
    option!(
        Output,
        save_every_n_steps,
        Kind::COUNT,
        "Save a LoRA after each N updates. 0: off.",
        off_at_zero
    ),
    option!(
        Output,
        save_last_n_epochs,
        Kind::POSITIVE,
        "Keep the files of the last N epochs; earlier ones are removed.",
    )
    .needs(&["save_every_n_epochs", "save_n_epoch_ratio"]),
    option!(
        Output,
        save_last_n_steps,
        Kind::POSITIVE,
        "Keep the files of the last N updates; earlier ones are removed.",
    )
    .needs(&["save_every_n_steps"]),
    option!(
        Output,
        save_precision,
        Kind::Choice(SavePrecision::NAMES),
        "The number type of saved LoRA files.",
    ),
    option!(
        Output,
        logging_dir,
        Kind::Path,
        "The folder for TensorBoard's event files. Not given: none are written.",
    ),
    option!(
        Output,
        log_prefix,
        Kind::Text,
        "What the names of folders in logging_dir start with.",
    ),
    option!(
        Output,
        no_metadata,
        Kind::Flag,
        "Cut the file's metadata down to what is needed to load it.",
    ),
    option!(
        Output,
        metadata_title,
        Kind::Text,
        "The title in the metadata. Not given: output_name.",
    ),
    option!(
        Output,
        metadata_author,
        Kind::Text,
        "The author in the metadata.",
    ),
    option!(
        Output,
        metadata_description,
        Kind::Text,
        "The description in the metadata.",
    ),
    option!(
        Output,
        metadata_license,
        Kind::Text,
        "The licence in the metadata.",
    ),
    option!(
        Output,
        metadata_tags,
        Kind::Text,
        "Tags in the metadata, with commas between.",
    ),
    option!(
        Output,
        training_comment,
        Kind::Text,
        "A comment in the metadata.",
    ),
];
