//! Options of pictures and captions.

use std::fs;

use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::options::{Row, check, permission, refusal, row};
use crate::program::Job;

/// Pictures that are larger than their bucket, with captions that have something for each option.
fn rich(job: &mut Job) {
    let picture = RgbImage::from_fn(150, 100, |x, y| Rgb([(x * 3) as u8, (y * 4) as u8, (x * y) as u8]));
    for name in ["airplane", "banana", "bicycle"] {
        picture.save(job.picture(&format!("{name}.png"))).expect("a picture");
        let caption = "blueprint, red;;;blue, {sky|sea} ||| white, (bold:1.3), thin\nsecond line";
        fs::write(job.picture(&format!("{name}.txt")), caption).expect("a caption");
    }
    job.toml("max_train_steps", "6").toml("bucket_reso_steps", "8");
}

/// Further folders and lists beside the first.
fn folders(job: &mut Job) {
    for (folder, name) in [("others/1_one", "banana"), ("pictures/2_emoji/more", "airplane")] {
        fs::create_dir_all(job.path(folder)).expect("a folder");
        let copy = job.path(folder).join(format!("{name}.png"));
        fs::copy(job.picture(&format!("{name}.png")), copy).expect("a picture");
    }
    let list = serde_json::json!({ "2_emoji/banana.png": { "caption": "a fruit" } });
    job.write("list.json", list.to_string());
    let others = job.path("others/1_one");
    let subsets = format!("[[datasets.subsets]]\nimage_dir = '{}'\n", others.display());
    job.write("data.toml", format!("[[datasets]]\nresolution = 64\n{subsets}"));
    job.toml("max_train_steps", "6");
}

/// A picture without caption, lying directly in its folder, and one that is no picture.
fn flat(job: &mut Job) {
    fs::create_dir_all(job.path("flat")).expect("a folder");
    fs::copy(job.picture("banana.png"), job.path("flat/banana.png")).expect("a picture");
    job.toml("train_data_dir", "'flat'");
}

fn broken(job: &mut Job) {
    fs::write(job.picture("broken.png"), "no picture").expect("a file");
    fs::write(job.picture("broken.txt"), "a caption").expect("a file");
}

/// Transparent pictures, and masks.
fn transparent(job: &mut Job) {
    fs::create_dir_all(job.path("masks")).expect("a folder");
    for name in ["airplane", "banana", "bicycle"] {
        let picture = RgbaImage::from_fn(80, 80, |x, y| Rgba([(x * 3) as u8, (y * 3) as u8, 9, (x * 3) as u8]));
        picture.save(job.picture(&format!("{name}.png"))).expect("a picture");
        let mask = GrayImage::from_fn(80, 80, |x, _| Luma([(x * 3) as u8]));
        mask.save(job.path("masks").join(format!("{name}.png"))).expect("a mask");
    }
}

fn faces(job: &mut Job) {
    for name in ["airplane", "banana", "bicycle"] {
        fs::remove_file(job.picture(&format!("{name}.png"))).expect("removed");
        let picture = RgbImage::from_fn(256, 256, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        picture.save(job.picture(&format!("{name}_60_70_50_50.png"))).expect("a picture");
    }
}

pub(super) const PICTURES: &[Row] = &[
    row("train_data_dir", "'others'", &[], &[]).prepared(folders),
    row("reg_data_dir", "'others'", &[], &[]).prepared(folders),
    row("in_json", "'list.json'", &[], &[]).prepared(folders),
    row("dataset_config", "'data.toml'", &[], &[]).prepared(folders),
    row("dataset_repeats", "3", &[], &[]).prepared(flat),
    row("recursive", "true", &[], &[]).prepared(folders),
    row("resolution", "'96,96'", &[], &[]).prepared(rich),
    row("enable_bucket", "false", &[], &[]).prepared(rich),
    row("min_bucket_reso", "64", &[], &[])
        .prepared(rich)
        .with(&[("bucket_no_upscale", "false"), ("resolution", "'256,256'")]),
    row("max_bucket_reso", "256", &[], &[]).prepared(rich).with(&[
        ("bucket_no_upscale", "false"),
        ("resolution", "'256,256'"),
        ("min_bucket_reso", "64"),
    ]),
    row("bucket_reso_steps", "16", &[], &[]).prepared(rich),
    row("bucket_no_upscale", "false", &[], &[]).prepared(rich).with(&[("resolution", "'256,256'")]),
    row("resize_interpolation", "'nearest'", &[], &[]).prepared(rich),
    row("flip_aug", "true", &[], &[]).prepared(rich),
    row("color_aug", "true", &[], &[]).prepared(rich).with(&[("cache_latents", "false")]),
    row("random_crop", "true", &[], &[]).prepared(rich).with(&[("cache_latents", "false"), ("enable_bucket", "false")]),
    row("face_crop_aug_range", "'1.5,3'", &[], &[]).prepared(faces).with(&[("cache_latents", "false")]),
    row("alpha_mask", "true", &[], &[]).prepared(transparent),
    row("alpha_background", "'#ff0000'", &[], &[]).prepared(transparent),
    row("conditioning_data_dir", "'masks'", &[], &[]).prepared(transparent),
    refusal("masked_loss", "true", "needs `conditioning_data_dir` or `alpha_mask`"),
    row("prior_loss_weight", "0.5", &[], &[]).prepared(folders).with(&[("reg_data_dir", "'others'")]),
    permission("skip_bad_images", "true", "broken.png").prepared(broken),
    row("validation_split", "0.5", &[], &[]),
    row("validation_seed", "5", &[], &[]).with(&[("validation_split", "0.5")]),
];

pub(super) const CAPTIONS: &[Row] = &[
    row("caption_extension", "'.caption'", &[], &[]),
    row("class_tokens", "'a yellow fruit'", &[], &[]).prepared(flat),
    refusal("strict_captions", "true", "no caption").prepared(flat),
    row("caption_separator", "';;;'", &[], &[]).prepared(rich).with(&[("shuffle_caption", "true")]),
    row("shuffle_caption", "true", &[], &[]).prepared(rich),
    row("keep_tokens", "2", &[], &[]).prepared(rich).with(&[("shuffle_caption", "true")]),
    row("keep_tokens_separator", "'|||'", &[], &[]).prepared(rich).with(&[("shuffle_caption", "true")]),
    row("secondary_separator", "';;;'", &[], &[]).prepared(rich),
    row("enable_wildcard", "true", &[], &[]).prepared(rich),
    row("caption_prefix", "'a'", &[], &[]),
    row("caption_suffix", "'a'", &[], &[]),
    row("caption_dropout_rate", "1", &[], &[]),
    row("caption_dropout_every_n_epochs", "1", &[], &[]),
    row("caption_tag_dropout_rate", "1", &[], &[]).prepared(rich),
    row("token_warmup_min", "3", &[], &[]).prepared(rich).with(&[("token_warmup_step", "100")]),
    row("token_warmup_step", "100", &[], &[]).prepared(rich),
    row("weighted_captions", "true", &[], &[]).prepared(rich),
];

pub(super) const CACHES: &[Row] = &[
    row("cache_latents", "false", &[], &[]),
    row("cache_latents_to_disk", "true", &[], &[]),
    row("cache_text_encoder_outputs", "false", &[], &[]),
    refusal("cache_text_encoder_outputs_to_disk", "true", "is for SDXL only"),
    row("cache_info", "true", &[], &[]),
];

#[test]
fn options_of_pictures() {
    check(PICTURES);
}

#[test]
fn options_of_captions() {
    check(CAPTIONS);
}

#[test]
fn options_of_caches() {
    check(CACHES);
}
