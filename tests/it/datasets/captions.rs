//! Captions.

use std::fs;

use crate::families;
use crate::program::{Job, refused};

#[test]
fn each_option_of_captions_changes_what_is_trained() {
    let mut job = Job::new();
    for name in ["airplane", "banana", "bicycle"] {
        fs::write(
            job.image(&format!("{name}.txt")),
            "blueprint, red;;;blue, {sky|sea} ||| white, (bold:1.3), thin\nsecond line",
        )
        .expect("a caption");
    }
    job.toml("max_train_steps", "6");
    let expected = job.losses();
    for (key, value, also) in [
        ("shuffle_caption", "true", None),
        ("secondary_separator", "';;;'", None),
        ("enable_wildcard", "true", None),
        ("caption_prefix", "'a'", None),
        ("caption_suffix", "'z'", None),
        ("caption_dropout_rate", "0.5", None),
        ("caption_dropout_every_n_epochs", "1", None),
        ("caption_tag_dropout_rate", "0.5", None),
        ("token_warmup_step", "5", None),
        ("weighted_captions", "true", None),
        ("keep_tokens", "3", Some(("shuffle_caption", "true"))),
        (
            "keep_tokens_separator",
            "'|||'",
            Some(("shuffle_caption", "true")),
        ),
        (
            "caption_separator",
            "' '",
            Some(("shuffle_caption", "true")),
        ),
        ("token_warmup_min", "3", Some(("token_warmup_step", "5"))),
    ] {
        let without = match also {
            Some((key, value)) => job.toml(key, value).losses(),
            None => expected.clone(),
        };
        assert_ne!(job.toml(key, value).losses(), without, "{key}");
        job.remove(key);
        also.iter().for_each(|(key, _)| _ = job.remove(key));
    }
    assert_eq!(job.losses(), expected);
}

/// Encoding captions in each step gives the same result as encoding them before training.
#[test]
fn captions_encoded_before_or_in_each_step() {
    for family in ["sd1", "sdxl"] {
        let mut job = families::job(family);
        job.toml("max_train_steps", "3");
        let before = job.losses();
        assert_eq!(
            job.toml("cache_text_encoder_outputs", "false").losses(),
            before,
            "{family}"
        );
    }
}

#[test]
fn captions_without_a_file() {
    let mut job = Job::new();
    fs::remove_file(job.image("banana.txt")).expect("removed");
    job.set("train_data_dir", "images/2_emoji")
        .toml("max_train_steps", "3");
    let without = job.losses();
    assert_ne!(job.set("class_tokens", "a yellow fruit").losses(), without);
    job.toml("strict_captions", "true");
    refused(
        &job.run(),
        &["2_emoji/banana.png`: no caption file; expected `images/2_emoji/banana.txt`"],
    );
}
