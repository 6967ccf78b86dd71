//! Options that stand for something else in sd-scripts where they are not given.

/// The option, and what sd-scripts takes.
pub(in crate::config) const DEFAULTS: &[(&str, &str)] = &[
    ("network_dim", "4"),
    ("network_alpha", "1"),
    ("enable_bucket", "false"),
    ("bucket_no_upscale", "false"),
    ("max_token_length", "75"),
    ("caption_extension", ".caption"),
    ("lr_scheduler", "constant"),
    ("save_precision", "float"),
];
