//! What is written, and where to.

use super::{ForeignKey, ignored, only, unsupported};

const NO_STATE: &str =
    "LoRA files alone are saved; `network_weights` continues from one, with a fresh optimizer";
const STATES: &str = "of `save_state`, which is off";
const ENTRIES: &str =
    "title, author, description, licence and tags are the entries that are written";
const WANDB: &str = "of Weights & Biases; logs are TensorBoard's";
const UPLOAD: &str = "nothing is uploaded";
const CONSOLE: &str = "what happens is printed; redirect the output to keep it";

pub(super) static KEYS: &[ForeignKey] = &[
    only(
        "save_model_as",
        &["safetensors"],
        "LoRA files are .safetensors",
        "`save_model_as = \"safetensors\"`, which every program reads",
    ),
    unsupported("save_state", NO_STATE),
    unsupported("save_state_on_train_end", NO_STATE),
    ignored("save_last_n_epochs_state", STATES),
    ignored("save_last_n_steps_state", STATES),
    unsupported(
        "resume",
        "a stopped run cannot be gone on with; `network_weights` continues from its LoRA, with a \
         fresh optimizer",
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
        "logs are TensorBoard's",
        "`log_with = \"tensorboard\"`, whose logs are written into `logging_dir`",
    ),
    ignored(
        "log_tracker_name",
        "the folder in the logs is always network_train",
    ),
    ignored("log_tracker_config", WANDB),
    ignored(
        "log_config",
        "the LoRA file's metadata has the configuration",
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
        "nothing is uploaded: leave it out",
    ),
    unsupported(
        "resume_from_huggingface",
        "nothing is downloaded: leave it out",
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
