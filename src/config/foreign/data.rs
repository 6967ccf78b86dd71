//! Images and captions.

use super::{ForeignKey, ignored, implied, only, unsupported};

pub(super) static KEYS: &[ForeignKey] = &[
    unsupported(
        "dataset_class",
        "`dataset_config` describes data sets of several folders",
    ),
    unsupported(
        "datasets",
        "a file of data sets is given by its name, `dataset_config = \"FILE\"`",
    ),
    unsupported(
        "debug_dataset",
        "`lora-trainer check` shows folders, buckets and captions",
    ),
    ignored("vae_batch_size", "images are encoded one by one"),
    ignored(
        "skip_cache_check",
        "cached files are checked against the images, which takes no time",
    ),
    implied(
        "max_data_loader_n_workers",
        "images are loaded on all cores, one update ahead",
    ),
    implied(
        "persistent_data_loader_workers",
        "what loads images goes on from epoch to epoch",
    ),
    unsupported(
        "validate_every_n_steps",
        "the loss on images that are kept out is told after each epoch",
    ),
    only(
        "validate_every_n_epochs",
        &["1"],
        "the loss on images that are kept out is told after each epoch",
        "the loss on images that are kept out is told after each epoch",
    ),
    unsupported(
        "max_validation_steps",
        "a lower `validation_split` keeps fewer images out",
    ),
    unsupported(
        "no_token_padding",
        "captions are padded to windows of 77 tokens",
    ),
];
