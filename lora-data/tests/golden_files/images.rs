//! Decoded, resized and cropped pixels against `images.json` and `images.safetensors`.

use std::path::Path;

use lora_data::bucket::letterbox_crop_ltrb;
use lora_data::resize::{Interpolation, Window, resize_and_crop};
use lora_data::{
    Alpha, AugmentationParams, Buckets, DataConfig, Dataset, DatasetConfig, DatasetOptions,
    DecodeOptions, Error, ExifOrientation, Mask, Pixels, Size, Subset, decode, decode_with_alpha,
    read_size,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::{assert_near, config, dir, json, numbers, read, size};

/// The allowed difference of levels.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    worst: f64,
    mean: f64,
}

impl Tolerance {
    /// JPEG may differ by a level from another version of libjpeg, lossy WebP by a few, LANCZOS by
    /// one.
    fn for_file(file: &Path, interpolation: Option<Interpolation>) -> Self {
        let bytes = std::fs::read(file).expect("an image");
        // VP8 is lossy, VP8L is not.
        let is_lossy_webp = bytes.windows(4).take(64).any(|chunk| chunk == b"VP8 ");
        let is_jpeg = bytes.starts_with(&[0xFF, 0xD8]);
        match (is_lossy_webp, interpolation) {
            (true, _) => Self {
                worst: 3.0,
                mean: 0.5,
            },
            (false, None | Some(Interpolation::Area)) if is_jpeg => Self {
                worst: 1.0,
                mean: 0.02,
            },
            (false, Some(Interpolation::Lanczos)) => Self {
                worst: 1.0,
                mean: 1.0,
            },
            (false, _) => Self {
                worst: 0.0,
                mean: 0.0,
            },
        }
    }

    #[track_caller]
    fn check(self, what: &str, actual: &[u8], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len(), "{what}");
        let differences = actual
            .iter()
            .zip(expected)
            .map(|(a, b)| (f64::from(*a) - b).abs());
        let (worst, sum) = differences.fold((0.0, 0.0), |(worst, sum): (f64, f64), d| {
            (worst.max(d), sum + d)
        });
        let mean = sum / expected.len() as f64;
        println!("{what}: worst {worst}, mean {mean:.4}");
        // Network input is stored in f32, so that a level is only nearly a whole number.
        assert!(
            worst <= self.worst + 1e-3 && mean <= self.mean + 1e-3,
            "{what}: worst {worst}, mean {mean}, allowed {self:?}"
        );
    }
}

/// Shape and levels (0 to 255) of a stored image, which is bytes or network input.
fn levels(file: &SafeTensors<'_>, key: &str) -> (Vec<usize>, Vec<f64>) {
    let tensor = file.tensor(key).unwrap_or_else(|_| panic!("no `{key}`"));
    let values = match tensor.dtype() {
        Dtype::U8 => tensor
            .data()
            .iter()
            .map(|level| f64::from(*level))
            .collect(),
        Dtype::F32 => {
            let input = tensor
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
            input
                .map(|input| (f64::from(input) + 1.0) * 127.5)
                .collect()
        }
        other => panic!("`{key}` is stored as {other:?}"),
    };
    (tensor.shape().to_vec(), values)
}

/// `[h, w, 3]` to `[3, h, w]`.
fn planes(pixels: &Pixels) -> Vec<u8> {
    (0..3)
        .flat_map(|channel| pixels.as_bytes().iter().skip(channel).step_by(3).copied())
        .collect()
}

fn image_names(golden: &Value) -> Vec<String> {
    let rows = golden["rows"].as_array().expect("rows");
    let mut names: Vec<String> = rows
        .iter()
        .map(|row| row["file"].as_str().expect("file").to_owned())
        .collect();
    names.dedup();
    assert!(!names.is_empty());
    names
}

#[test]
fn decoded_images() {
    let bytes = read("images.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("images.safetensors");
    let mut compared = 0;
    for name in image_names(&json("images.json")) {
        let path = dir().join("images").join(&name);
        let upright = DecodeOptions {
            exif_orientation: ExifOrientation::Apply,
            ..DecodeOptions::SD_SCRIPTS
        };
        for (suffix, options) in [
            ("rgb_u8", DecodeOptions::SD_SCRIPTS),
            ("rgb_u8_exif_transposed", upright),
        ] {
            let pixels = decode(&path, &options).expect(&name);
            assert_eq!(
                read_size(&path, &options).expect(&name),
                pixels.size(),
                "{name}: size in the header"
            );
            let key = format!("{name}/{suffix}");
            // Plain RGB and grey files have no reference pixels.
            if !tensors.names().contains(&key.as_str()) {
                continue;
            }
            let (shape, expected) = levels(&tensors, &key);
            let Size { width, height } = pixels.size();
            assert_eq!(shape, [height as usize, width as usize, 3], "{key}");
            Tolerance::for_file(&path, None).check(&key, pixels.as_bytes(), &expected);
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn truncated_images() {
    for name in image_names(&json("images.json")) {
        let file = read(&format!("images/{name}"));
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(&name);
        for percent in [10, 50, 80] {
            std::fs::write(&path, &file[..file.len() * percent / 100]).expect("a copy");
            let error = decode(&path, &DecodeOptions::default())
                .expect_err(&format!("{percent} % of {name}"));
            assert!(
                matches!(&error, Error::UnreadableImage { path: named, .. } if *named == path),
                "{error}"
            );
        }
    }
}

#[test]
fn resized_and_cropped_images() {
    let golden = json("images.json");
    let bytes = read("images.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("images.safetensors");
    for row in golden["rows"].as_array().expect("rows") {
        let name = row["file"].as_str().expect("file");
        let path = dir().join("images").join(name);
        let buckets =
            Buckets::unrounded(config(&golden, &row["no_upscale"])).expect("a usable setting");
        let image = decode(&path, &DecodeOptions::SD_SCRIPTS).expect(name);
        if row.get("error").is_some() {
            assert_too_small(&path, image.size(), &buckets);
            continue;
        }
        assert_eq!(image.size(), size(&row["original"]), "{name}");
        let selection = buckets
            .select(image.size())
            .unwrap_or_else(|| panic!("{name}: no bucket"));
        assert_eq!(
            (selection.bucket, selection.resized),
            (size(&row["bucket"]), size(&row["resized"])),
            "{name}"
        );
        let crop = letterbox_crop_ltrb(selection.bucket, image.size());
        crop.iter()
            .zip(numbers(&row["crop_ltrb"]))
            .for_each(|(actual, expected)| assert_near(*actual, expected, name));

        let interpolation = Interpolation::between(image.size(), selection.resized);
        let expected_interpolation = match row["interpolation"].as_str() {
            Some("none") => None,
            Some("cv2.INTER_AREA") => Some(Interpolation::Area),
            Some("PIL.LANCZOS") => Some(Interpolation::Lanczos),
            other => panic!("interpolation {other:?}"),
        };
        assert_eq!(interpolation, expected_interpolation, "{name}");

        let key = row["tensor"].as_str().expect("tensor");
        let [left, top] = selection.centre_crop();
        let resized = resize_and_crop(
            &image,
            selection.resized,
            Window {
                left,
                top,
                size: selection.bucket,
            },
            None,
        );
        let (shape, expected) = levels(&tensors, key);
        assert_eq!(
            shape,
            [
                3,
                selection.bucket.height as usize,
                selection.bucket.width as usize
            ],
            "{key}"
        );
        Tolerance::for_file(&path, interpolation).check(key, &planes(&resized), &expected);
    }
}

#[test]
fn transparency_as_masks() {
    let golden = json("images.json");
    let bytes = read("images.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("images.safetensors");
    let mut compared = 0;
    for row in golden["rows"].as_array().expect("rows") {
        let Some(Ok(tensor)) = row["tensor"]
            .as_str()
            .map(|key| tensors.tensor(&format!("{key}/alpha_mask")))
        else {
            continue;
        };
        let name = row["file"].as_str().expect("file");
        let path = dir().join("images").join(name);
        let image = decode_with_alpha(&path, &DecodeOptions::SD_SCRIPTS, Alpha::Mask).expect(name);
        assert_eq!(
            image.pixels,
            decode(&path, &DecodeOptions::SD_SCRIPTS).expect(name),
            "{name}"
        );
        let buckets =
            Buckets::unrounded(config(&golden, &row["no_upscale"])).expect("a usable setting");
        let selection = buckets
            .select(image.pixels.size())
            .unwrap_or_else(|| panic!("{name}: no bucket"));

        let placed = AugmentationParams::centre_crop(&selection).apply(&image, None);
        let mask = Mask::from_plane(
            &placed
                .alpha
                .unwrap_or_else(|| panic!("{name}: no transparency")),
        );
        assert_eq!(
            tensor.shape(),
            [mask.size().height as usize, mask.size().width as usize],
            "{name}"
        );
        let expected = tensor
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes));
        let worst = mask
            .weights()
            .iter()
            .zip(expected)
            .map(|(actual, expected)| (actual - expected).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-6, "{name}");
        compared += 1;
    }
    assert!(compared > 0);
}

/// The error names an image for which sd-scripts would divide by zero.
fn assert_too_small(path: &Path, size: Size, buckets: &Buckets) {
    let name = path.file_name().expect("a name");
    let dir = tempfile::tempdir().expect("a folder");
    let copy = dir.path().join(name);
    std::fs::copy(path, &copy).expect("a copy");
    let dataset = DatasetConfig {
        subsets: vec![Subset::new(dir.path())],
        ..DatasetConfig::new(*buckets.config())
    };
    let options = DatasetOptions {
        decode: DecodeOptions::SD_SCRIPTS,
        ..DatasetOptions::default()
    };
    let error = Dataset::open(DataConfig {
        datasets: vec![dataset],
        options,
    })
    .expect_err("an image without a bucket");
    assert!(
        matches!(&error, Error::ImageTooSmall { path, size: named, .. } if *path == copy && *named == size),
        "{error}"
    );
}
