//! Options of images and captions.

use std::fs;

use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::options::aspect::Aspect::*;
use crate::options::{LATER, Row, TRAINED, check, permission, refusal, row};
use crate::program::Job;

/// Images larger than their bucket, with captions that contain something for each option.
fn rich(job: &mut Job) {
    let image = RgbImage::from_fn(150, 100, |x, y| {
        Rgb([(x * 3) as u8, (y * 4) as u8, (x * y) as u8])
    });
    for name in ["airplane", "banana", "bicycle"] {
        image
            .save(job.image(&format!("{name}.png")))
            .expect("an image");
        let caption = "blueprint, red;;;blue, {sky|sea} ||| white, (bold:1.3), thin\nsecond line";
        fs::write(job.image(&format!("{name}.txt")), caption).expect("a caption");
    }
    job.toml("max_train_steps", "6")
        .toml("bucket_reso_steps", "8");
}

/// More folders and metadata files in addition to the first folder.
fn folders(job: &mut Job) {
    for (folder, name) in [
        ("others/1_one", "banana"),
        ("images/2_emoji/more", "airplane"),
    ] {
        fs::create_dir_all(job.path(folder)).expect("a folder");
        let copy = job.path(folder).join(format!("{name}.png"));
        fs::copy(job.image(&format!("{name}.png")), copy).expect("an image");
    }
    let list = serde_json::json!({ "2_emoji/banana.png": { "caption": "a fruit" } });
    job.write("list.json", list.to_string());
    let others = job.path("others/1_one");
    let subsets = format!("[[datasets.subsets]]\nimage_dir = '{}'\n", others.display());
    job.write(
        "data.toml",
        format!("[[datasets]]\nresolution = 64\n{subsets}"),
    );
    job.toml("max_train_steps", "6");
}

/// A folder without subfolders: an image without a caption, and a file that is not an image.
fn flat(job: &mut Job) {
    fs::create_dir_all(job.path("flat")).expect("a folder");
    fs::copy(job.image("banana.png"), job.path("flat/banana.png")).expect("an image");
    job.toml("train_data_dir", "'flat'");
}

fn broken(job: &mut Job) {
    fs::write(job.image("broken.png"), "no image").expect("a file");
    fs::write(job.image("broken.txt"), "a caption").expect("a file");
}

/// Transparent images, and masks.
fn transparent(job: &mut Job) {
    fs::create_dir_all(job.path("masks")).expect("a folder");
    for name in ["airplane", "banana", "bicycle"] {
        let image = RgbaImage::from_fn(80, 80, |x, y| {
            Rgba([(x * 3) as u8, (y * 3) as u8, 9, (x * 3) as u8])
        });
        image
            .save(job.image(&format!("{name}.png")))
            .expect("an image");
        let mask = GrayImage::from_fn(80, 80, |x, _| Luma([(x * 3) as u8]));
        mask.save(job.path("masks").join(format!("{name}.png")))
            .expect("a mask");
    }
}

fn faces(job: &mut Job) {
    for name in ["airplane", "banana", "bicycle"] {
        fs::remove_file(job.image(&format!("{name}.png"))).expect("removed");
        let image = RgbImage::from_fn(256, 256, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        image
            .save(job.image(&format!("{name}_60_70_50_50.png")))
            .expect("an image");
    }
}

pub(super) const IMAGES: &[Row] = &[
    row(
        "train_data_dir",
        "'others'",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &[
            "ss_bucket_info",
            "ss_dataset_dirs",
            "ss_epoch",
            "ss_num_batches_per_epoch",
            "ss_num_epochs",
            "ss_num_train_images",
            "ss_tag_frequency",
        ],
    )
    .prepared(folders),
    row(
        "reg_data_dir",
        "'others'",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &[
            "ss_bucket_info",
            "ss_num_batches_per_epoch",
            "ss_num_reg_images",
            "ss_reg_dataset_dirs",
            "ss_tag_frequency",
        ],
    )
    .prepared(folders),
    row(
        "in_json",
        "'list.json'",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &[
            "ss_bucket_info",
            "ss_dataset_dirs",
            "ss_epoch",
            "ss_num_batches_per_epoch",
            "ss_num_epochs",
            "ss_num_train_images",
            "ss_tag_frequency",
        ],
    )
    .prepared(folders),
    row(
        "dataset_config",
        "'data.toml'",
        &[Plan, Memory, Warnings, Cached, FirstLoss, Losses, Weights],
        &["ss_*"],
    )
    .prepared(folders),
    row(
        "dataset_repeats",
        "3",
        &[Plan],
        &[
            "ss_bucket_info",
            "ss_dataset_dirs",
            "ss_epoch",
            "ss_num_batches_per_epoch",
            "ss_num_epochs",
            "ss_num_train_images",
        ],
    )
    .prepared(flat),
    row(
        "recursive",
        "true",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &[
            "ss_bucket_info",
            "ss_dataset_dirs",
            "ss_num_batches_per_epoch",
            "ss_num_train_images",
            "ss_tag_frequency",
        ],
    )
    .prepared(folders),
    row(
        "resolution",
        "'96,96'",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &["modelspec.resolution", "ss_bucket_info", "ss_resolution"],
    )
    .prepared(rich),
    row(
        "enable_bucket",
        "false",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &[
            "ss_bucket_info",
            "ss_bucket_no_upscale",
            "ss_enable_bucket",
            "ss_max_bucket_reso",
            "ss_min_bucket_reso",
        ],
    )
    .prepared(rich),
    row(
        "min_bucket_reso",
        "64",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &["ss_bucket_info", "ss_min_bucket_reso"],
    )
    .prepared(rich)
    .with(&[("bucket_no_upscale", "false"), ("resolution", "'256,256'")]),
    row(
        "max_bucket_reso",
        "256",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &["ss_bucket_info", "ss_max_bucket_reso"],
    )
    .prepared(rich)
    .with(&[
        ("bucket_no_upscale", "false"),
        ("resolution", "'256,256'"),
        ("min_bucket_reso", "64"),
    ]),
    row(
        "bucket_reso_steps",
        "16",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &["ss_bucket_info"],
    )
    .prepared(rich),
    row(
        "bucket_no_upscale",
        "false",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &["ss_bucket_info", "ss_bucket_no_upscale"],
    )
    .prepared(rich)
    .with(&[("resolution", "'256,256'")]),
    row(
        "resize_interpolation",
        "'nearest'",
        &TRAINED,
        &["ss_resize_interpolation"],
    )
    .prepared(rich),
    row(
        "flip_aug",
        "true",
        &[Memory, Losses, Weights],
        &["ss_flip_aug"],
    )
    .prepared(rich),
    row("color_aug", "true", &LATER, &["ss_color_aug"])
        .prepared(rich)
        .with(&[("cache_latents", "false")]),
    row("random_crop", "true", &TRAINED, &["ss_random_crop"])
        .prepared(rich)
        .with(&[("cache_latents", "false"), ("enable_bucket", "false")]),
    row(
        "face_crop_aug_range",
        "'1.5,3'",
        &TRAINED,
        &["ss_face_crop_aug_range"],
    )
    .prepared(faces)
    .with(&[("cache_latents", "false")]),
    row("alpha_mask", "true", &TRAINED, &[]).prepared(transparent),
    row("alpha_background", "'#ff0000'", &TRAINED, &[]).prepared(transparent),
    row("conditioning_data_dir", "'masks'", &TRAINED, &[]).prepared(transparent),
    refusal(
        "masked_loss",
        "true",
        "needs `conditioning_data_dir` or `alpha_mask`",
    ),
    row(
        "prior_loss_weight",
        "0.5",
        &TRAINED,
        &["ss_prior_loss_weight"],
    )
    .prepared(folders)
    .with(&[("reg_data_dir", "'others'")]),
    permission("skip_bad_images", "true", "broken.png").prepared(broken),
    row(
        "validation_split",
        "0.5",
        &[Plan, FirstLoss, Losses, Validation, Weights],
        &[
            "ss_bucket_info",
            "ss_dataset_dirs",
            "ss_epoch",
            "ss_num_batches_per_epoch",
            "ss_num_epochs",
            "ss_num_train_images",
            "ss_num_validation_images",
            "ss_tag_frequency",
            "ss_validation_seed",
            "ss_validation_split",
        ],
    ),
    row(
        "validation_seed",
        "5",
        &[Plan, FirstLoss, Losses, Validation, Weights],
        &["ss_tag_frequency", "ss_validation_seed"],
    )
    .with(&[("validation_split", "0.5")]),
];

pub(super) const CAPTIONS: &[Row] = &[
    row(
        "caption_extension",
        "'.caption'",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_tag_frequency"],
    ),
    row(
        "class_tokens",
        "'a yellow fruit'",
        &[Plan, FirstLoss, Losses, Weights],
        &["ss_tag_frequency"],
    )
    .prepared(flat),
    refusal("strict_captions", "true", "no caption").prepared(flat),
    row("caption_separator", "';;;'", &TRAINED, &[])
        .prepared(rich)
        .with(&[("shuffle_caption", "true")]),
    row(
        "shuffle_caption",
        "true",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_shuffle_caption"],
    )
    .prepared(rich),
    row("keep_tokens", "2", &TRAINED, &["ss_keep_tokens"])
        .prepared(rich)
        .with(&[("shuffle_caption", "true")]),
    row("keep_tokens_separator", "'|||'", &TRAINED, &[])
        .prepared(rich)
        .with(&[("shuffle_caption", "true")]),
    row("secondary_separator", "';;;'", &TRAINED, &[]).prepared(rich),
    row(
        "enable_wildcard",
        "true",
        &[Plan, Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_tag_frequency"],
    )
    .prepared(rich),
    row("caption_prefix", "'a'", &TRAINED, &[]),
    row("caption_suffix", "'a'", &TRAINED, &[]),
    row(
        "caption_dropout_rate",
        "1",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_caption_dropout_rate"],
    ),
    row(
        "caption_dropout_every_n_epochs",
        "1",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_caption_dropout_every_n_epochs"],
    ),
    row(
        "caption_tag_dropout_rate",
        "1",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_caption_tag_dropout_rate"],
    )
    .prepared(rich),
    row("token_warmup_min", "3", &TRAINED, &[])
        .prepared(rich)
        .with(&[("token_warmup_step", "100")]),
    row(
        "token_warmup_step",
        "100",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &[],
    )
    .prepared(rich),
    row("weighted_captions", "true", &TRAINED, &[]).prepared(rich),
];

pub(super) const CACHES: &[Row] = &[
    row(
        "cache_latents",
        "false",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &["ss_cache_latents"],
    ),
    row("cache_latents_to_disk", "true", &[Memory, Files], &[]),
    row(
        "cache_text_encoder_outputs",
        "false",
        &[Memory, Cached],
        &[],
    ),
    refusal(
        "cache_text_encoder_outputs_to_disk",
        "true",
        "is for SDXL only",
    ),
    row("cache_info", "true", &[Files], &[]),
];

#[test]
fn options_of_images() {
    check(IMAGES);
}

#[test]
fn options_of_captions() {
    check(CAPTIONS);
}

#[test]
fn options_of_caches() {
    check(CACHES);
}
