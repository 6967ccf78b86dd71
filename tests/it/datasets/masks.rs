//! Masks and transparency.

use std::fs;

use image::{GrayImage, Luma, Rgba, RgbaImage};

use crate::program::{Job, refused};

#[test]
fn masks_weight_latent_pixels() {
    let mut job = Job::new();
    job.toml("max_train_steps", "2");
    fs::create_dir(job.path("masks")).expect("a folder");
    let masks = |job: &Job, level: fn(u32) -> u8| {
        for name in ["airplane", "banana", "bicycle"] {
            let size =
                image::image_dimensions(job.image(&format!("{name}.png"))).expect("an image");
            let mask = GrayImage::from_fn(size.0, size.1, |x, _| Luma([level(x)]));
            mask.save(job.path(&format!("masks/{name}.png")))
                .expect("a mask");
        }
    };
    let plain = job.losses();
    job.set("conditioning_data_dir", "masks");
    masks(&job, |_| 255);
    assert_eq!(job.losses(), plain);
    masks(&job, |_| 0);
    assert_eq!(job.losses(), [0.0, 0.0]);
    masks(&job, |x| if x < 64 { 255 } else { 0 });
    let left = job.losses();
    assert!(
        left.iter()
            .zip(&plain)
            .all(|(left, plain)| *left > 0.0 && left < plain),
        "{left:?} of {plain:?}"
    );
    // The same with caches on disk, and with images encoded in each step.
    job.toml("cache_latents_to_disk", "true");
    assert_eq!(job.losses(), left);
    assert_eq!(job.losses(), left);
    job.remove("cache_latents_to_disk")
        .toml("cache_latents", "false");
    masks(&job, |_| 0);
    assert_eq!(job.losses(), [0.0, 0.0]);
    job.toml("masked_loss", "false");
    refused(
        &job.run(),
        &[
            "`masked_loss`",
            "is false, but there is a `conditioning_data_dir`",
        ],
    );
    job.remove("masked_loss");

    GrayImage::new(3, 3)
        .save(job.path("masks/banana.png"))
        .expect("a mask");
    refused(
        &job.run(),
        &[
            "masks/banana.png` is 3x3; expected ",
            "the size of its image `images/2_emoji/banana.png`",
        ],
    );
    fs::remove_file(job.path("masks/banana.png")).expect("removed");
    refused(
        &job.run(),
        &["2_emoji/banana.png`: no mask; expected an image with the same name in `masks`"],
    );
}

#[test]
fn transparency() {
    let mut job = Job::new();
    job.toml("max_train_steps", "1");
    let save = |job: &Job, alpha: u8| {
        for name in ["airplane", "banana", "bicycle"] {
            let image =
                RgbaImage::from_fn(64, 64, |x, y| Rgba([x as u8 * 4, y as u8 * 4, 99, alpha]));
            image
                .save(job.image(&format!("{name}.png")))
                .expect("an image");
        }
    };
    save(&job, 255);
    let opaque = job.losses();
    save(&job, 0);
    // The alpha channel is dropped: the colours under it are trained on.
    assert_eq!(job.losses(), opaque);
    assert_eq!(job.toml("alpha_mask", "true").losses(), [0.0]);
    job.toml("cache_latents_to_disk", "true");
    assert_eq!(job.losses(), [0.0]);
    job.remove("alpha_mask").remove("cache_latents_to_disk");
    assert_ne!(job.toml("alpha_background", "'#ffffff'").losses(), opaque);
}

#[test]
fn one_folder_of_masks_serves_several_folders() {
    let mut job = Job::new();
    fs::create_dir_all(job.path("images/3_more")).expect("a folder");
    fs::rename(
        job.image("banana.png"),
        job.path("images/3_more/banana.png"),
    )
    .expect("moved");
    fs::create_dir(job.path("masks")).expect("a folder");
    for path in [
        "2_emoji/airplane.png",
        "2_emoji/bicycle.png",
        "3_more/banana.png",
    ] {
        let image = job.path("images").join(path);
        let size = image::image_dimensions(&image).expect("an image");
        let mask = GrayImage::from_pixel(size.0, size.1, Luma([128]));
        mask.save(job.path("masks").join(image.file_name().expect("a name")))
            .expect("a mask");
    }
    job.set("conditioning_data_dir", "masks").run().succeeded();
    GrayImage::new(8, 8)
        .save(job.path("masks/cherry.png"))
        .expect("a mask");
    refused(
        &job.run(),
        &["masks without an image of the same name: `masks/cherry.png`"],
    );
    // A truncated mask is found before training.
    fs::remove_file(job.path("masks/cherry.png")).expect("removed");
    let whole = fs::read(job.path("masks/banana.png")).expect("a mask");
    fs::write(job.path("masks/banana.png"), &whole[..whole.len() / 2]).expect("written");
    refused(&job.run(), &["masks/banana.png`: unreadable image"]);
}
