//! Options whose default differs in sd-scripts.

/// The option, and its default in sd-scripts.
pub(in crate::config::file) const DEFAULTS: &[(&str, &str)] = &[
    ("network_dim", "4"),
    ("network_alpha", "1"),
    ("enable_bucket", "false"),
    ("bucket_no_upscale", "false"),
    ("max_token_length", "75"),
    ("caption_extension", ".caption"),
    ("lr_scheduler", "constant"),
    ("save_precision", "float"),
];
