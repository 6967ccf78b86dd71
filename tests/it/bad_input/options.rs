//! Unknown options and values that do not fit.

use std::process::Command;

use crate::program::{Job, PROGRAM, Run, refused};

#[test]
fn unknown_options_and_values_of_the_wrong_type() {
    for (key, value, parts) in [
        (
            "network_dimm",
            "4",
            &[
                "job.toml",
                "line ",
                "`network_dimm`: no such option",
                "did you mean `network_dim`?",
            ][..],
        ),
        (
            "network_dim",
            "'big'",
            &[
                "`network_dim`",
                "found \"big\"",
                "expected an integer from 1 to",
            ],
        ),
        (
            "network_dim",
            "4294967295",
            &[
                "`network_dim`",
                "found 4294967295",
                "expected an integer from 1 to",
            ],
        ),
        ("network_dim", "-4", &["`network_dim`", "found -4"]),
        (
            "unet_lr",
            "nan",
            &["`unet_lr`", "found \"nan\"", "expected a number ≥ 0"],
        ),
        (
            "unet_lr",
            "1e300",
            &["`unet_lr`", "expected a number ≥ 0 and ≤ 1e30"],
        ),
        (
            "unet_lr",
            "[1, 2]",
            &["`unet_lr`", "found the list [1,2]", "expected a number"],
        ),
    ] {
        is_refused_with(key, value, parts);
    }
}

#[test]
fn values_out_of_range() {
    for (key, value, parts) in [
        (
            "max_train_steps",
            "99999999999999999999999",
            &["`max_train_steps`", "expected an integer ≥ 1"][..],
        ),
        (
            "max_bucket_reso",
            "4294967295",
            &["`max_bucket_reso = 4294967295`", "expected at most"],
        ),
        (
            "optimizer_args",
            "['eps=0']",
            &[
                "`optimizer_args`",
                "found `eps=0`",
                "expected a number from 1e-30",
            ],
        ),
        (
            "network_train_unet_only",
            "3",
            &[
                "`network_train_unet_only`",
                "found 3",
                "expected true or false",
            ],
        ),
    ] {
        is_refused_with(key, value, parts);
    }
}

#[test]
fn choices_devices_and_prompts() {
    for (key, value, parts) in [
        (
            "optimizer_type",
            "'Adamm'",
            &["`optimizer_type`", "found \"Adamm\"", "expected AdamW"][..],
        ),
        (
            "device",
            "'tpu'",
            &["`device`", "\"tpu\"", "expected auto, cpu, cuda"],
        ),
        (
            "device",
            "'rocm'",
            &[
                "`device`",
                "this build does not support rocm",
                "--features rocm",
            ],
        ),
        (
            "clip_skip",
            "13",
            &[
                "`clip_skip`",
                "found 13",
                "expected 1 to ",
                "the number of text encoder layers",
            ],
        ),
        (
            "sample_prompts",
            "'a cat --w 4294967295'",
            &["`sample_prompts`", "`--w 4294967295`", "64 to 4096"],
        ),
        (
            "sample_prompts",
            "'nowhere.txt'",
            &[
                "`sample_prompts`",
                "no file at `nowhere.txt`",
                "expected a text file",
            ],
        ),
        ("train_data_dir", "", &["job.toml", "line ", "TOML"]),
    ] {
        is_refused_with(key, value, parts);
    }
}

fn is_refused_with(key: &str, value: &str, parts: &[&str]) {
    let mut job = Job::new();
    if key == "max_bucket_reso" {
        job.toml("bucket_no_upscale", "false")
            .toml("min_bucket_reso", "64");
    }
    job.toml(key, value).is_refused(parts);
}

#[test]
fn all_problems_of_a_configuration_are_reported_at_once() {
    let mut job = Job::new();
    job.toml("train_batch_size", "0")
        .toml("outputdir", "1")
        .toml("seed", "'x'")
        .remove("train_data_dir");
    job.is_refused(&[
        "job.toml: 4 problems",
        "`train_batch_size`",
        "`outputdir`",
        "`seed`",
        "`train_data_dir`: not set",
    ]);

    let mut job = Job::new();
    job.set("train_data_dir", "nowhere")
        .set("network_weights", "absent")
        .set("logging_dir", "job.toml");
    job.is_refused(&[
        "3 problems",
        "`train_data_dir`",
        "`network_weights`",
        "`logging_dir`",
    ]);
}

#[test]
fn problems_of_the_command_line() {
    let job = Job::new();
    let command = || {
        let mut command = job.command();
        command.arg("--set");
        command
    };
    refused(
        &Run::from_command(command().arg("network_dim")),
        &["`--set`", "found `network_dim`", "expected KEY=VALUE"],
    );
    refused(
        &Run::from_command(command().arg("netwrk_dim=3")),
        &["`netwrk_dim`: no such option; did you mean `network_dim`?"],
    );
    refused(
        &Run::from_command(command().arg("network_dim=x")),
        &["`network_dim`", "found \"x\"", "expected an integer"],
    );
}

#[test]
fn configurations_that_cannot_be_used() {
    let job = Job::new();
    job.write("empty.toml", "");
    let train = |file: &str| {
        Run::from_command(
            Command::new(PROGRAM)
                .args(["train", file])
                .current_dir(job.path("")),
        )
    };
    refused(
        &train("empty.toml"),
        &[
            "empty.toml: 2 problems",
            "`pretrained_model_name_or_path`: not set",
        ],
    );
    refused(
        &train("nowhere.toml"),
        &["nowhere.toml: cannot read: No such file"],
    );
    refused(&train("images"), &["images: cannot read"]);
}
