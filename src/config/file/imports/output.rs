//! Files that a run writes.

use super::external_key::{ExternalKey, ignored, only, unsupported};

const NO_STATE: &str =
    "only LoRA files are saved; `network_weights` continues from one, with a new optimizer";
const STATES: &str = "for `save_state`, which is off";
const ENTRIES: &str = "only title, author, description, licence and tags are written";
const WANDB: &str = "for Weights & Biases; logs are for TensorBoard";
const UPLOAD: &str = "nothing is uploaded";
const CONSOLE: &str = "messages are printed; redirect the output to keep them";

pub(super) static KEYS: &[ExternalKey] = &[
    only(
        "save_model_as",
        &["safetensors"],
        "LoRA files are .safetensors",
        "use `save_model_as = \"safetensors\"`, which every program reads",
    ),
    unsupported("save_state", NO_STATE),
    unsupported("save_state_on_train_end", NO_STATE),
    ignored("save_last_n_epochs_state", STATES),
    ignored("save_last_n_steps_state", STATES),
    unsupported(
        "resume",
        "a stopped run cannot be resumed; `network_weights` continues from its LoRA, with a new \
         optimizer",
    ),
    ignored("metadata_usage_hint", ENTRIES),
    ignored("metadata_thumbnail", ENTRIES),
    ignored("metadata_merged_from", ENTRIES),
    ignored("metadata_trigger_phrase", ENTRIES),
    ignored("metadata_preprocessor", ENTRIES),
    ignored("metadata_is_negative_embedding", ENTRIES),
    only(
        "log_with",
        &["tensorboard"],
        "logs are for TensorBoard",
        "use `log_with = \"tensorboard\"`, which logs to `logging_dir`",
    ),
    ignored(
        "log_tracker_name",
        "the folder in the logs is always `network_train`",
    ),
    ignored("log_tracker_config", WANDB),
    ignored(
        "log_config",
        "the metadata of the LoRA file contains the configuration",
    ),
    ignored("wandb_run_name", WANDB),
    ignored("wandb_api_key", WANDB),
    ignored("huggingface_repo_id", UPLOAD),
    ignored("huggingface_repo_type", UPLOAD),
    ignored("huggingface_path_in_repo", UPLOAD),
    ignored("huggingface_token", UPLOAD),
    ignored("huggingface_repo_visibility", UPLOAD),
    ignored("async_upload", UPLOAD),
    unsupported(
        "save_state_to_huggingface",
        "nothing is uploaded; remove it",
    ),
    unsupported(
        "resume_from_huggingface",
        "nothing is downloaded; remove it",
    ),
    ignored("config_file", "this is the file"),
    unsupported(
        "output_config",
        "`lora-trainer convert-config` writes a configuration file",
    ),
    ignored("console_log_level", CONSOLE),
    ignored("console_log_file", CONSOLE),
    ignored("console_log_simple", CONSOLE),
];
