//! What changes captions from time to time.

/// How captions change from time to time. The names are sd-scripts'.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionOptions {
    /// The tags behind the kept ones take another order each time.
    pub shuffle_caption: bool,
    /// What stands between tags.
    pub caption_separator: String,
    /// How many tags keep their place at the start.
    pub keep_tokens: usize,
    /// The text in a caption behind which shuffling begins and, where it stands twice, before which it ends. Empty: none.
    pub keep_tokens_separator: String,
    /// What joins tags that stay together; becomes `caption_separator` at last. Empty: none.
    pub secondary_separator: String,
    /// One of `{a|b}` is chosen each time, and one line of a caption with several.
    pub enable_wildcard: bool,
    /// Text before each caption.
    pub caption_prefix: String,
    /// Text behind each caption.
    pub caption_suffix: String,
    /// How often, 0 to 1, the caption is empty.
    pub caption_dropout_rate: f64,
    /// All captions are empty in each n-th epoch; 0: in none.
    pub caption_dropout_every_n_epochs: u32,
    /// How often, 0 to 1, each tag behind the kept ones is left out.
    pub caption_tag_dropout_rate: f64,
    /// How many tags behind the kept ones there are at the first step of the warm-up.
    pub token_warmup_min: usize,
    /// The step from which on all tags are there; below 1: a part of the run. 0: no warm-up.
    pub token_warmup_step: f64,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self {
            shuffle_caption: false,
            caption_separator: ",".into(),
            keep_tokens: 0,
            keep_tokens_separator: String::new(),
            secondary_separator: String::new(),
            enable_wildcard: false,
            caption_prefix: String::new(),
            caption_suffix: String::new(),
            caption_dropout_rate: 0.0,
            caption_dropout_every_n_epochs: 0,
            caption_tag_dropout_rate: 0.0,
            token_warmup_min: 1,
            token_warmup_step: 0.0,
        }
    }
}

impl CaptionOptions {
    pub(crate) fn validate(&self) -> crate::error::Result<()> {
        Ok(())
    }
}
