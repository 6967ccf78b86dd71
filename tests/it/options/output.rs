//! Options of files and previews.

use crate::options::aspect::Aspect::*;
use crate::options::{Row, check, row};
use crate::program::Job;

const DRAWN: &[(&str, &str)] = &[("sample_prompts", "'a cat --w 64 --h 64 --s 2 --d 1'")];
const EPOCHS: &[(&str, &str)] = &[("max_train_epochs", "3"), ("save_every_n_epochs", "1")];
const STEPS: &[(&str, &str)] = &[("save_every_n_steps", "1")];

pub(super) const ROWS: &[Row] = &[
    row("output_dir", "'elsewhere'", &[Files], &[]),
    row(
        "output_name",
        "'style'",
        &[Files],
        &["modelspec.title", "ss_output_name"],
    ),
    row("save_every_n_epochs", "1", &[Files], &[]).with(&[("max_train_epochs", "2")]),
    row("save_every_n_steps", "2", &[Files], &[]),
    row("save_n_epoch_ratio", "2", &[Files], &[]).with(&[("max_train_epochs", "4")]),
    row("save_last_n_epochs", "1", &[Files], &[]).with(EPOCHS),
    row("save_last_n_steps", "1", &[Files], &[]).with(STEPS),
    row("save_precision", "'bf16'", &[Layout, Weights], &[]),
    row("logging_dir", "'logs'", &[Files], &[]),
    row("log_prefix", "'a'", &[Files], &[]).with(&[("logging_dir", "'logs'")]),
    row("no_metadata", "true", &[], &["ss_*"]),
    row("metadata_title", "'text'", &[], &["modelspec.title"]),
    row("metadata_author", "'text'", &[], &["modelspec.author"]),
    row(
        "metadata_description",
        "'text'",
        &[],
        &["modelspec.description"],
    ),
    row("metadata_license", "'text'", &[], &["modelspec.license"]),
    row("metadata_tags", "'text'", &[], &["modelspec.tags"]),
    row("training_comment", "'text'", &[], &["ss_training_comment"]),
    row(
        "sample_prompts",
        "'a cat --w 64 --h 64 --s 2'",
        &[Files, Previews],
        &[],
    ),
    row("sample_every_n_epochs", "1", &[Files, Previews], &[]).with(&[
        ("sample_prompts", "'a cat --w 64 --h 64 --s 2 --d 1'"),
        ("max_train_epochs", "2"),
    ]),
    row("sample_every_n_steps", "1", &[Files, Previews], &[]).with(DRAWN),
    row("sample_at_first", "true", &[Files, Previews], &[]).with(DRAWN),
    row("sample_sampler", "'ddim'", &[Previews], &[]).with(DRAWN),
];

/// The files that are kept.
#[test]
fn older_files_are_deleted() {
    let mut job = Job::new();
    job.toml("max_train_steps", "4")
        .toml("save_every_n_steps", "1")
        .toml("save_last_n_steps", "1")
        .events();
    assert_eq!(
        job.outputs(),
        [
            "emoji-step00000003.safetensors",
            "emoji-step00000004.safetensors",
            "emoji.safetensors"
        ]
    );
    let mut job = Job::new();
    job.remove("max_train_steps");
    job.toml("max_train_epochs", "4")
        .toml("save_every_n_epochs", "1")
        .toml("save_last_n_epochs", "1")
        .events();
    assert_eq!(
        job.outputs(),
        ["emoji-000003.safetensors", "emoji.safetensors"]
    );
}

#[test]
fn options_of_files_and_previews() {
    check(ROWS);
}
