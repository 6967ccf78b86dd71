//! Images and captions.

use super::external_key::{ExternalKey, ignored, implied, only, unsupported};

pub(super) static KEYS: &[ExternalKey] = &[
    unsupported(
        "dataset_class",
        "`dataset_config` describes datasets of several folders",
    ),
    unsupported("datasets", "set `dataset_config = \"FILE\"`"),
    unsupported(
        "debug_dataset",
        "`lora-trainer check` shows folders, buckets and captions",
    ),
    ignored("vae_batch_size", "images are encoded one at a time"),
    ignored(
        "skip_cache_check",
        "cache files are always checked against the images, which takes no time",
    ),
    implied(
        "max_data_loader_n_workers",
        "images are loaded on all cores, one update ahead",
    ),
    implied(
        "persistent_data_loader_workers",
        "the loader keeps running between epochs",
    ),
    unsupported(
        "validate_every_n_steps",
        "the loss on held-out images is measured after each epoch",
    ),
    only(
        "validate_every_n_epochs",
        &["1"],
        "the loss on held-out images is measured after each epoch",
        "the loss on held-out images is measured after each epoch",
    ),
    unsupported(
        "max_validation_steps",
        "a lower `validation_split` holds out fewer images",
    ),
    unsupported(
        "no_token_padding",
        "captions are padded to windows of 77 tokens",
    ),
];
