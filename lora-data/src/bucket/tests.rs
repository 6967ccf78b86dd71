use super::*;

fn buckets(resolution: u32, min: u32, max: u32, step: u32, no_upscale: bool) -> Buckets {
    Buckets::new(BucketConfig {
        resolution: Size::new(resolution, resolution),
        min_bucket_reso: min,
        max_bucket_reso: max,
        bucket_reso_steps: step,
        bucket_no_upscale: no_upscale,
    })
    .unwrap()
}

#[test]
fn the_list_at_512_px() {
    let buckets = buckets(512, 256, 1024, 64, false);
    let wide_and_square = [
        (256, 832),
        (256, 896),
        (256, 960),
        (256, 1024),
        (320, 704),
        (320, 768),
        (384, 640),
        (448, 576),
        (512, 512),
    ];
    let mut expected: Vec<Size> = wide_and_square
        .iter()
        .flat_map(|&(a, b)| [Size::new(a, b), Size::new(b, a)])
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(buckets.predefined(), Some(&expected[..]));
}

#[test]
fn the_number_of_buckets() {
    for (resolution, min, max, step, count) in [
        (768, 256, 1024, 64, 19),
        (1024, 256, 2048, 64, 41),
        (1024, 512, 2048, 64, 33),
        (1024, 256, 1024, 64, 25),
        (1024, 256, 2048, 32, 81),
    ] {
        let buckets = buckets(resolution, min, max, step, false);
        assert_eq!(
            buckets.predefined().map(<[Size]>::len),
            Some(count),
            "{resolution} {min}..{max}/{step}"
        );
    }
}

#[test]
fn selected_and_cropped_sizes() {
    let up = buckets(512, 256, 1024, 64, false);
    let no_upscale = buckets(512, 256, 1024, 64, true);
    // Image, then bucket <- resized size with and without upscaling.
    for (image, with, without) in [
        ((512, 512), [512, 512, 512, 512], [512, 512, 512, 512]),
        ((600, 800), [448, 576, 448, 597], [384, 512, 384, 512]),
        ((1920, 1080), [640, 384, 683, 384], [640, 384, 683, 384]),
        ((1000, 1500), [384, 640, 427, 640], [384, 576, 384, 576]),
        ((300, 300), [512, 512, 512, 512], [256, 256, 300, 300]),
        ((4000, 3000), [576, 448, 597, 448], [512, 384, 512, 384]),
        ((511, 513), [512, 512, 512, 514], [448, 512, 511, 513]),
        ((777, 1234), [384, 640, 403, 640], [384, 640, 403, 640]),
        ((832, 1216), [384, 640, 438, 640], [384, 576, 394, 576]),
        ((2048, 512), [1024, 256, 1024, 256], [1024, 256, 1024, 256]),
    ] {
        for (buckets, [bw, bh, rw, rh]) in [(&up, with), (&no_upscale, without)] {
            let selection = buckets.select(Size::new(image.0, image.1)).unwrap();
            assert_eq!(
                (selection.bucket, selection.resized),
                (Size::new(bw, bh), Size::new(rw, rh)),
                "{image:?}"
            );
        }
    }
}

#[test]
fn the_smaller_margin_is_at_left_and_top() {
    let selection = Selection {
        bucket: Size::new(64, 64),
        resized: Size::new(69, 64),
        ar_error: 0.0,
    };
    assert_eq!(selection.centre_crop(), [2, 0]);
}

#[test]
fn recorded_crops_are_letterbox_numbers() {
    let crop = letterbox_crop_ltrb(Size::new(832, 1216), Size::new(1000, 1500));
    assert_eq!(crop[..2], [10.0, 0.0]);
    assert!(
        (crop[2] - 820.6667).abs() < 1e-3 && crop[3] == 1216.0,
        "{crop:?}"
    );
}

#[test]
fn limits_are_rounded_to_the_step() {
    let config = *buckets(512, 300, 1000, 64, false).config();
    assert_eq!(
        (config.min_bucket_reso, config.max_bucket_reso),
        (256, 1024)
    );
}

#[test]
fn an_image_smaller_than_a_step_has_no_bucket_without_upscaling() {
    let no_upscale = buckets(512, 256, 1024, 64, true);
    for (width, height) in [
        (63, 500),
        (500, 63),
        (10, 10),
        (0, 5),
        (60_000, 100),
        (100, 60_000),
    ] {
        assert_eq!(
            no_upscale.select(Size::new(width, height)),
            None,
            "{width}x{height}"
        );
    }
    assert!(
        buckets(512, 256, 1024, 64, false)
            .select(Size::new(1, 1))
            .is_some()
    );
}

#[test]
fn one_size_for_all() {
    let single = Buckets::single(Size::new(512, 384)).unwrap();
    let selection = single.select(Size::new(1000, 1000)).unwrap();
    assert_eq!(
        (selection.bucket, selection.resized),
        (Size::new(512, 384), Size::new(512, 512))
    );
    assert!(!single.is_enabled());
}

#[test]
fn impossible_options_are_named() {
    let at = |resolution, min, max, step| {
        let resolution = Size::new(resolution, resolution);
        let config = BucketConfig {
            resolution,
            min_bucket_reso: min,
            max_bucket_reso: max,
            bucket_reso_steps: step,
            bucket_no_upscale: false,
        };
        Buckets::new(config).unwrap_err().to_string()
    };
    assert!(at(512, 256, 1024, 0).starts_with("`bucket_reso_steps = 0`"));
    assert!(at(512, 256, 1024, 20).starts_with("`bucket_reso_steps = 20`"));
    assert!(
        at(512, 576, 1024, 64)
            .contains("`resolution = 512x512`: expected sides of at least `min_bucket_reso` (576)")
    );
    assert!(at(2048, 256, 1024, 64).contains("sides of at most `max_bucket_reso` (1024)"));
    assert!(at(512, 32, 1024, 64).starts_with("`min_bucket_reso = 0`"));
    assert!(at(0, 256, 1024, 64).starts_with("`resolution = 0x0`"));
    assert!(at(512, 256, u32::MAX - 64, 64).starts_with("`max_bucket_reso = "));
    assert!(Buckets::single(Size::new(500, 512)).is_err());
}
