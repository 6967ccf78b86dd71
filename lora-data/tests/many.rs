//! Datasets of many images, and of many threads.

use std::convert::Infallible;
use std::path::Path;

use lora_data::{
    Augmentation, BucketConfig, CaptionContext, CaptionOptions, DataConfig, Dataset, DatasetConfig,
    DatasetOptions, Shard, Size, Subset,
};
use rand_core::TryRng;
use rayon::prelude::*;

fn open(dir: &Path, options: DatasetOptions) -> Dataset {
    let buckets = BucketConfig {
        min_bucket_reso: 64,
        ..BucketConfig::new(Size::new(64, 64))
    };
    let captions = CaptionOptions {
        shuffle_caption: true,
        caption_tag_dropout_rate: 0.3,
        ..CaptionOptions::default()
    };
    let augmentation = Augmentation {
        flip_aug: true,
        color_aug: true,
        random_crop: true,
        ..Augmentation::default()
    };
    let subset = Subset {
        num_repeats: 2,
        captions,
        augmentation,
        ..Subset::new(dir)
    };
    let dataset = DatasetConfig {
        batch_size: 3,
        subsets: vec![subset],
        ..DatasetConfig::new(buckets)
    };
    Dataset::open(DataConfig {
        datasets: vec![dataset],
        options,
    })
    .expect("a dataset")
}

#[test]
fn a_broken_image_among_ten_thousand_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = dir.path().join("p00000.png");
    image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 3]))
        .save(&first)
        .expect("an image");
    let bytes = std::fs::read(&first).expect("a file");
    for number in 1..10_000 {
        let bytes = if number == 5000 {
            &bytes[..bytes.len() / 2]
        } else {
            &bytes[..]
        };
        std::fs::write(dir.path().join(format!("p{number:05}.png")), bytes).expect("an image");
    }
    let error = open(dir.path(), DatasetOptions::default())
        .verify(|| {})
        .expect_err("a broken image");
    assert!(
        error.to_string().contains("p05000.png`: unreadable image"),
        "{error}"
    );

    let options = DatasetOptions {
        skip_bad_images: true,
        ..DatasetOptions::default()
    };
    let mut dataset = open(dir.path(), options);
    dataset.verify(|| {}).expect("the others are good");
    assert_eq!((dataset.items().len(), dataset.skipped().len()), (9_999, 1));
}

/// SplitMix64.
struct Generator(u64);

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|value| (value >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("not used")
    }
}

/// Everything that an epoch shows, with this many threads.
fn epoch(dir: &Path, threads: usize) -> Vec<(Vec<u8>, [u32; 2], String)> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads");
    pool.install(|| {
        let mut dataset = open(dir, DatasetOptions::default());
        dataset.verify(|| {}).expect("good images");
        let batches = dataset
            .plan()
            .expect("a plan")
            .epoch(&mut Generator(7), Shard::WHOLE);
        let samples: Vec<usize> = batches.into_iter().flat_map(|batch| batch.items).collect();
        let load = |(number, index): (usize, usize)| {
            let (item, mut generator) = (&dataset.items()[index], Generator(number as u64));
            let params = dataset.draw_augmentation(item, &mut generator);
            let at = CaptionContext {
                epoch: 1,
                step: number as u64,
                total_steps: 100,
            };
            let caption = dataset.caption(item, &at, &mut generator);
            let pixels = dataset
                .load(item, &params)
                .expect("an image")
                .pixels
                .into_bytes();
            (pixels, params.crop_offsets(), caption)
        };
        samples.into_par_iter().enumerate().map(load).collect()
    })
}

#[test]
fn one_thread_and_eight_give_the_same_epoch() {
    let dir = tempfile::tempdir().expect("a folder");
    for number in 0..20_u32 {
        let path = dir.path().join(format!("{number}.png"));
        let image = image::RgbImage::from_fn(64 + 5 * number, 90, |x, y| {
            image::Rgb([(x * number) as u8, (y * 3) as u8, (x ^ y) as u8])
        });
        image.save(&path).expect("an image");
        std::fs::write(
            path.with_extension("txt"),
            format!("a, b, c, d{number}, e, f"),
        )
        .expect("a caption");
    }
    let one = epoch(dir.path(), 1);
    assert_eq!(one.len(), 40);
    assert!(one == epoch(dir.path(), 8), "the epochs differ");
}
