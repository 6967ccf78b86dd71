use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::bucket::{BucketConfig, Buckets};
use crate::image::{Pixels, Plane};
use crate::random::tests::Generator;

fn image(size: Size) -> DecodedImage {
    let pixel = |x: u32, y: u32| {
        [
            (x * 7 + y * 13) as u8,
            (x * x + y * 5) as u8,
            (x * y * 3 + 11) as u8,
        ]
    };
    let data = (0..size.height)
        .flat_map(|y| (0..size.width).flat_map(move |x| pixel(x, y)))
        .collect();
    DecodedImage {
        pixels: Pixels::new(size, data).unwrap(),
        alpha: None,
    }
}

fn selection(image: Size, resized: Size, bucket: Size) -> Selection {
    Selection {
        bucket,
        resized,
        ar_error: bucket.aspect_ratio() - image.aspect_ratio(),
    }
}

/// As many draws as asked, of an image of 120 x 80 that is resized to 96 x 64 for a bucket of 64 x
/// 64.
fn draws(augmentation: Augmentation, count: usize) -> Vec<Draw> {
    let size = Size::new(120, 80);
    let selection = selection(size, Size::new(96, 64), Size::new(64, 64));
    let mut generator = Generator(3);
    (0..count)
        .map(|_| augmentation.draw(&selection, size, None, &mut generator))
        .collect()
}

#[test]
fn nothing_changes_without_augmentation() {
    let [draw] = draws(Augmentation::default(), 1)[..] else {
        panic!("one draw")
    };
    let window = Window {
        left: 16,
        top: 0,
        size: Size::new(64, 64),
    };
    assert_eq!(
        draw,
        Draw {
            resized: Size::new(96, 64),
            window,
            flipped: false,
            colour: None
        }
    );
    let source = image(Size::new(120, 80));
    let expected = resize_and_crop(&source.pixels, draw.resized, window, None);
    assert_eq!(draw.apply(&source, None).pixels, expected);
}

#[test]
fn half_are_flipped() {
    let flipped = draws(
        Augmentation {
            flip_aug: true,
            ..Augmentation::default()
        },
        10_000,
    );
    let count = flipped.iter().filter(|draw| draw.flipped).count();
    assert!((4_800..5_200).contains(&count), "{count}");
}

/// A run with cached latents, which knows no other augmentation, sees the same coins.
#[test]
fn the_coin_is_drawn_first() {
    let all = Augmentation {
        flip_aug: true,
        color_aug: true,
        random_crop: true,
        face_crop_aug_range: None,
    };
    let flip = Augmentation {
        flip_aug: true,
        ..Augmentation::default()
    };
    let size = Size::new(120, 80);
    let selection = selection(size, Size::new(96, 64), Size::new(64, 64));
    for seed in 0..50 {
        let [a, b] = [all, flip].map(|options| {
            options
                .draw(&selection, size, None, &mut Generator(seed))
                .flipped
        });
        assert_eq!(a, b);
    }
}

#[test]
fn random_crops_are_everywhere() {
    let cropped = draws(
        Augmentation {
            random_crop: true,
            ..Augmentation::default()
        },
        10_000,
    );
    let mut counts = [0; 33];
    cropped
        .iter()
        .for_each(|draw| counts[draw.window.left as usize] += 1);
    assert!(
        counts.iter().all(|count| (200..420).contains(count)),
        "{counts:?}"
    );
    assert!(cropped.iter().all(|draw| draw.window.top == 0));
}

#[test]
fn a_third_is_coloured() {
    let coloured = draws(
        Augmentation {
            color_aug: true,
            ..Augmentation::default()
        },
        30_000,
    );
    let hues: Vec<f64> = coloured
        .iter()
        .filter_map(|draw| {
            if let Some(ColourShift::Hue(degrees)) = draw.colour {
                Some(degrees)
            } else {
                None
            }
        })
        .collect();
    let gammas: Vec<f64> = coloured
        .iter()
        .filter_map(|draw| {
            if let Some(ColourShift::Gamma(gamma)) = draw.colour {
                Some(gamma)
            } else {
                None
            }
        })
        .collect();
    assert!((4_700..5_200).contains(&hues.len()) && (4_700..5_200).contains(&gammas.len()));
    let spread = |values: &[f64]| {
        values
            .iter()
            .fold([f64::MAX, f64::MIN], |[a, b], v| [a.min(*v), b.max(*v)])
    };
    let [least, most] = spread(&hues);
    assert!(
        (-16.0..-15.9).contains(&least) && (15.9..16.0).contains(&most),
        "{least}, {most}"
    );
    let [least, most] = spread(&gammas);
    assert!(
        (0.95..0.951).contains(&least) && (1.049..1.05).contains(&most),
        "{least}, {most}"
    );
}

fn coloured(shift: ColourShift, pixel: [u8; 3]) -> [u8; 3] {
    let mut pixels = Pixels::new(Size::new(1, 1), pixel.to_vec()).unwrap();
    shift.apply(&mut pixels);
    [
        pixels.as_bytes()[0],
        pixels.as_bytes()[1],
        pixels.as_bytes()[2],
    ]
}

/// Expected values: Python's `colorsys`.
#[test]
fn hues_turn() {
    for (pixel, degrees, expected) in [
        ([200, 50, 50], 16.0, [200, 90, 50]),
        ([200, 50, 50], -16.0, [200, 50, 90]),
        ([200, 50, 50], 90.0, [125, 200, 50]),
        ([10, 250, 30], 16.0, [10, 250, 94]),
        ([10, 250, 30], -16.0, [54, 250, 10]),
        ([17, 90, 180], 16.0, [17, 47, 180]),
        ([17, 90, 180], -16.0, [17, 133, 180]),
        ([255, 0, 255], -16.0, [187, 0, 255]),
        ([3, 2, 1], 90.0, [1, 3, 1]),
        ([128, 128, 128], 16.0, [128, 128, 128]),
    ] {
        assert_eq!(
            coloured(ColourShift::Hue(degrees), pixel),
            expected,
            "{pixel:?} by {degrees}"
        );
    }
    for pixel in [[0, 0, 0], [255, 254, 253], [1, 200, 77], [90, 3, 250]] {
        assert_eq!(coloured(ColourShift::Hue(0.0), pixel), pixel);
    }
}

/// Expected values: `np.clip(levels ** gamma, 0, 255).astype(np.uint8)`.
#[test]
fn gamma_is_that_of_raw_levels() {
    for (gamma, expected) in [
        (0.95, [0, 1, 1, 79, 100, 149, 193, 192, 150]),
        (1.05, [0, 1, 2, 125, 163, 253, 255, 255, 255]),
    ] {
        for (level, expected) in [0, 1, 2, 100, 128, 195, 255, 254, 196]
            .into_iter()
            .zip(expected)
        {
            assert_eq!(
                coloured(ColourShift::Gamma(gamma), [level; 3]),
                [expected; 3],
                "{level} to {gamma}"
            );
        }
    }
}

#[test]
fn faces_in_file_names() {
    let face = |name| Face::from_file_name(Path::new(name));
    let expected = Face {
        centre: [120, 80],
        size: Size::new(40, 50),
    };
    assert_eq!(face("folder/a_girl_0120_0080_40_50.png"), Some(expected));
    assert_eq!(face("_120_80_40_50"), Some(expected));
    for name in [
        "a.png",
        "120_80_40_50.png",
        "a_0_0_0_0.png",
        "a_1_2_3_x.png",
        "a_1_-2_3_4.png",
        "a_1_2_3_4294967296",
        "",
    ] {
        assert_eq!(face(name), None, "{name}");
    }
}

/// A face of 100 pixels in an image of 1000 x 800, cut for a bucket of 256 x 256.
fn face_draw(face: Face, augmentation: Augmentation, seed: u64) -> Draw {
    let size = Size::new(1000, 800);
    let selection = selection(size, Size::new(320, 256), Size::new(256, 256));
    augmentation.draw(&selection, size, Some(face), &mut Generator(seed))
}

#[test]
fn crops_are_around_the_face() {
    let face = Face {
        centre: [700, 300],
        size: Size::new(100, 90),
    };
    let range = |range| Augmentation {
        face_crop_aug_range: Some(range),
        ..Augmentation::default()
    };
    // The crop is four times the face: 256 / 400 of the image.
    let draw = face_draw(face, range([4.0, 4.0]), 1);
    assert_eq!(draw.resized, Size::new(640, 512));
    assert_eq!(
        draw.window,
        Window {
            left: 448 - 128,
            top: 192 - 128,
            size: Size::new(256, 256)
        }
    );

    for seed in 0..200 {
        let draw = face_draw(face, range([3.0, 5.0]), seed);
        let scale = f64::from(draw.resized.width) / 1000.0;
        assert!((0.511..=0.854).contains(&scale), "{scale}");
        let centre = (700.0 * scale) as i64 - i64::from(draw.window.left);
        assert!((128 - 6..=128 + 6).contains(&centre), "{centre}");
    }
    // Never enlarged, and never smaller than the bucket.
    assert_eq!(
        face_draw(face, range([0.5, 0.5]), 1).resized,
        Size::new(1000, 800)
    );
    assert_eq!(
        face_draw(face, range([90.0, 90.0]), 1).resized,
        Size::new(320, 256)
    );
    // At the border, the crop stays in the image.
    let corner = Face {
        centre: [u32::MAX, 0],
        ..face
    };
    let draw = face_draw(corner, range([4.0, 4.0]), 1);
    assert_eq!([draw.window.left, draw.window.top], [640 - 256, 0]);
}

#[test]
fn crops_near_the_face_are_likelier() {
    let face = Face {
        centre: [500, 400],
        size: Size::new(100, 100),
    };
    let options = Augmentation {
        random_crop: true,
        face_crop_aug_range: Some([4.0, 4.0]),
        ..Augmentation::default()
    };
    let near = (0..1000)
        .filter(|seed| {
            face_draw(face, options, *seed)
                .window
                .left
                .abs_diff(320 - 128)
                < 96
        })
        .count();
    // Of the triangle of 320 to either side, 1 - 0.7^2 lie within 96.
    assert!((460..570).contains(&near), "{near}");
}

#[test]
fn crop_offsets_are_those_of_the_flipped_image() {
    let window = Window {
        left: 10,
        top: 3,
        size: Size::new(64, 64),
    };
    let draw = Draw {
        resized: Size::new(96, 70),
        window,
        flipped: false,
        colour: None,
    };
    assert_eq!(draw.crop_offsets(), [10, 3]);
    assert_eq!(
        Draw {
            flipped: true,
            ..draw
        }
        .crop_offsets(),
        [22, 3]
    );
}

fn augmentations() -> impl Strategy<Value = Augmentation> {
    let number = prop_oneof![
        0.0..5.0,
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0)
    ];
    let range = proptest::option::of([number.clone(), number]);
    (any::<bool>(), any::<bool>(), any::<bool>(), range).prop_map(
        |(flip_aug, color_aug, random_crop, face_crop_aug_range)| Augmentation {
            flip_aug,
            color_aug,
            random_crop,
            face_crop_aug_range,
        },
    )
}

fn faces() -> impl Strategy<Value = Option<Face>> {
    let face = |(x, y, width, height)| Face {
        centre: [x, y],
        size: Size::new(width, height),
    };
    let inside = (0..400_u32, 0..400_u32, 1..400_u32, 1..400_u32).prop_map(face);
    let anywhere = (any::<u32>(), any::<u32>(), 1..u32::MAX, 1..u32::MAX).prop_map(face);
    proptest::option::of(prop_oneof![inside, anywhere])
}

fn buckets() -> impl Strategy<Value = Buckets> {
    let enabled =
        (1..5_u32, 1..5_u32, any::<bool>()).prop_map(|(width, height, bucket_no_upscale)| {
            let config = BucketConfig {
                min_bucket_reso: 16,
                max_bucket_reso: 128,
                bucket_reso_steps: 16,
                bucket_no_upscale,
                ..BucketConfig::new(Size::new(16 * width, 16 * height))
            };
            Buckets::new(config).unwrap()
        });
    prop_oneof![
        enabled,
        (1..9_u32, 1..9_u32).prop_map(|(w, h)| Buckets::single(Size::new(8 * w, 8 * h)).unwrap())
    ]
}

const INTERPOLATIONS: [Option<Interpolation>; 6] = [
    None,
    Some(Interpolation::Nearest),
    Some(Interpolation::Linear),
    Some(Interpolation::Cubic),
    Some(Interpolation::Area),
    Some(Interpolation::Lanczos),
];

proptest! {
    #[test]
    fn every_draw_gives_the_buckets_size(
        (width, height) in (1..300_u32, 1..300_u32),
        buckets in buckets(),
        augmentation in augmentations(),
        face in faces(),
        interpolation in proptest::sample::select(&INTERPOLATIONS[..]),
        seed in any::<u64>(),
    ) {
        let size = Size::new(width, height);
        let Some(selection) = buckets.select(size) else { return Ok(()) };
        let draw = augmentation.draw(&selection, size, face, &mut Generator(seed));
        let Window { left, top, size: kept } = draw.window;
        prop_assert_eq!(kept, selection.bucket);
        prop_assert!(left + kept.width <= draw.resized.width && top + kept.height <= draw.resized.height);

        // The mask made of the image's own red channel stays its red channel.
        let mut source = image(size);
        let red: Plane = source.pixels.red();
        source.alpha = Some(red.clone());
        let placed = Draw { colour: None, ..draw }.apply(&source, interpolation);
        prop_assert_eq!(placed.pixels.size(), selection.bucket);
        prop_assert_eq!(placed.alpha.as_ref(), Some(&placed.pixels.red()));
        prop_assert_eq!(draw.place(&red, interpolation), placed.pixels.red());

        let mut twice = Draw { flipped: !draw.flipped, colour: None, ..draw }.apply(&source, interpolation).pixels;
        twice.flip();
        prop_assert_eq!(twice, placed.pixels);
        prop_assert_eq!(draw.apply(&source, interpolation).alpha, placed.alpha);
    }
}
