//! Buckets and pixels against sd-scripts' own (`buckets.json`, `images.json`,
//! `images.safetensors`).
//!
//! `LORA_TRAINER_GOLDEN` names another directory of the same format; everything that is compared is
//! read from there.

use std::path::{Path, PathBuf};

use lora_data::bucket::letterbox_crop_ltrb;
use lora_data::resize::{Interpolation, Window, resize_and_crop};
use lora_data::{
    Alpha, BucketConfig, Buckets, DataConfig, Dataset, DatasetConfig, DatasetOptions,
    DecodeOptions, Draw, Error, ExifOrientation, Mask, Pixels, Selection, Size, Subset, decode,
    decode_with_alpha, read_size,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

fn dir() -> PathBuf {
    match std::env::var_os("LORA_TRAINER_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
    }
}

fn read(name: &str) -> Vec<u8> {
    let path = dir().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).expect(name)
}

fn uint(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|value| value.try_into().ok())
        .unwrap_or_else(|| panic!("{value}: a whole number expected"))
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value
        .as_array()
        .unwrap_or_else(|| panic!("{value}: a list expected"));
    values
        .iter()
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}

fn size(value: &Value) -> Size {
    assert_eq!(
        value.as_array().map(Vec::len),
        Some(2),
        "{value}: a size expected"
    );
    Size::new(uint(&value[0]), uint(&value[1]))
}

fn config(setting: &Value, bucket_no_upscale: &Value) -> BucketConfig {
    BucketConfig {
        resolution: size(&setting["resolution"]),
        min_bucket_reso: uint(&setting["min_bucket_reso"]),
        max_bucket_reso: uint(&setting["max_bucket_reso"]),
        bucket_reso_steps: uint(&setting["bucket_reso_steps"]),
        bucket_no_upscale: bucket_no_upscale.as_bool().expect("bucket_no_upscale"),
    }
}

#[track_caller]
fn assert_near(actual: f64, expected: f64, what: &str) {
    assert!(
        (actual - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {actual}, expected {expected}"
    );
}

#[test]
fn buckets() {
    let golden = json("buckets.json");
    let sizes: Vec<Size> = golden["sizes"]
        .as_array()
        .expect("sizes")
        .iter()
        .map(size)
        .collect();
    let settings = golden["settings"].as_array().expect("settings");
    assert!(!sizes.is_empty() && !settings.is_empty());
    for setting in settings {
        let config = config(setting, &setting["bucket_no_upscale"]);
        let buckets = Buckets::unrounded(config).expect("a usable setting");
        let predefined = setting["predefined"]
            .as_array()
            .map(|sizes| sizes.iter().map(size).collect::<Vec<_>>());
        assert_eq!(buckets.predefined(), predefined.as_deref(), "{config:?}");

        let rows = setting["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), sizes.len());
        for (image, row) in sizes.iter().zip(rows) {
            let what = format!("{image} with {config:?}");
            check_bucket(buckets.select(*image), *image, row, &what);
        }
    }
}

fn check_bucket(selection: Option<Selection>, image: Size, row: &Value, what: &str) {
    // sd-scripts fails at a bucket of size 0, or only later in the run.
    let Some(row) = row
        .as_array()
        .filter(|row| uint(&row[0]) > 0 && uint(&row[1]) > 0)
    else {
        assert_eq!(selection, None, "{what}");
        return;
    };
    assert_eq!(row.len(), 9, "{what}");
    let selection = selection.unwrap_or_else(|| panic!("{what}: no bucket"));
    assert_eq!(selection.bucket, size(&row[..2].into()), "{what}: bucket");
    assert_eq!(
        selection.resized,
        size(&row[2..4].into()),
        "{what}: resized"
    );
    assert_near(selection.ar_error, row[4].as_f64().expect("a number"), what);
    let crop = letterbox_crop_ltrb(selection.bucket, image);
    crop.iter().zip(&row[5..]).for_each(|(actual, expected)| {
        assert_near(*actual, expected.as_f64().expect("a number"), what)
    });
}

/// How far pixels may be off.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    worst: f64,
    mean: f64,
}

impl Tolerance {
    /// Lossy decoders may differ by a few levels, LANCZOS by one.
    fn of(file: &Path, interpolation: Option<Interpolation>) -> Self {
        let bytes = std::fs::read(file).expect("an image");
        // VP8 is lossy, VP8L is not.
        let lossy = bytes.starts_with(&[0xFF, 0xD8])
            || bytes.windows(4).take(64).any(|chunk| chunk == b"VP8 ");
        match (lossy, interpolation) {
            (true, _) => Self {
                worst: 3.0,
                mean: 0.5,
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
            Tolerance::of(&path, None).check(&key, pixels.as_bytes(), &expected);
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
        Tolerance::of(&path, interpolation).check(key, &planes(&resized), &expected);
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

        let placed = Draw::centred(&selection).apply(&image, None);
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

/// Where sd-scripts divides by zero, the image is named.
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
