//! Lists the buckets of a folder's images.
//!
//! ```text
//! cargo run -p lora-data --example buckets -- FOLDER [RESOLUTION] [--no-upscale]
//! ```
//!
//! FOLDER contains subfolders named `N_name`, or the images themselves.

use std::path::Path;
use std::process::ExitCode;

use lora_data::{
    BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, DatasetReport, Size, Subset,
    folder_subsets,
};

fn main() -> ExitCode {
    let (flags, values): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let resolution = values.get(1).map_or(Ok(512), |value| value.parse());
    let known = flags.iter().all(|flag| flag == "--no-upscale");
    let (Some(folder), Ok(resolution), true) = (values.first(), resolution, known) else {
        eprintln!("usage: buckets FOLDER [RESOLUTION] [--no-upscale]");
        return ExitCode::from(2);
    };
    match report(Path::new(folder), resolution, !flags.is_empty()) {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn report(
    folder: &Path,
    resolution: u32,
    bucket_no_upscale: bool,
) -> lora_data::Result<DatasetReport> {
    let options = DatasetOptions {
        skip_bad_images: true,
        ..DatasetOptions::default()
    };
    let folders = folder_subsets(folder, &Subset::new(folder))?;
    for notice in &folders.notices {
        println!("warning: {notice}");
    }
    let buckets = BucketConfig {
        max_bucket_reso: resolution.saturating_mul(2),
        min_bucket_reso: (resolution / 2).min(256),
        bucket_no_upscale,
        ..BucketConfig::new(Size::new(resolution, resolution))
    };
    let dataset = DatasetConfig {
        subsets: folders.subsets,
        ..DatasetConfig::new(buckets)
    };
    Ok(Dataset::open(DataConfig {
        datasets: vec![dataset],
        options,
    })?
    .report())
}

fn print(report: &DatasetReport) {
    println!(
        "{:<24} {:>8} {:>8} {:>9} {:>12} {:>10}",
        "folder", "images", "repeats", "captions", "class tokens", "no caption"
    );
    for folder in report.subsets() {
        let (name, images, repeats) = (&folder.name, folder.images, folder.repeats);
        let (files, words, missing) = (
            folder.captions_from_files,
            folder.captions_from_class_tokens,
            folder.captions_missing,
        );
        println!("{name:<24} {images:>8} {repeats:>8} {files:>9} {words:>12} {missing:>10}");
    }
    for info in report
        .parts
        .iter()
        .filter_map(|part| part.bucket_info.as_ref())
    {
        println!("\n{:<24} {:>8}", "bucket", "images");
        for bucket in &info.buckets {
            println!("{:<24} {:>8}", bucket.resolution.to_string(), bucket.count);
        }
        println!("\nmean aspect-ratio error: {:.4}", info.mean_img_ar_error);
    }
    println!("images per epoch: {}", report.num_train_images());
    for notice in &report.notices {
        println!("warning: {notice}");
    }
    for message in &report.skipped_images {
        println!("skipped: {message}");
    }
}
