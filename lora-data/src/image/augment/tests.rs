use super::*;
use crate::image::raster::{Pixels, Plane};
use crate::random::tests::Generator;

mod faces;
mod properties;

fn image(size: Size) -> DecodedImage {
    let data = (0..size.height)
        .flat_map(|y| {
            (0..size.width).flat_map(move |x| {
                [
                    (x * 7 + y * 13) as u8,
                    (x * x + y * 5) as u8,
                    (x * y * 3 + 11) as u8,
                ]
            })
        })
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

/// This many draws for an image of 120 x 80 that is resized to 96 x 64 for a bucket of 64 x
/// 64.
fn draws(augmentation: Augmentation, count: usize) -> Vec<AugmentationParams> {
    let size = Size::new(120, 80);
    let selection = selection(size, Size::new(96, 64), Size::new(64, 64));
    let mut generator = Generator(3);
    (0..count)
        .map(|_| augmentation.draw(&selection, size, None, &mut generator))
        .collect()
}

#[test]
fn nothing_changes_without_augmentation() {
    let [params] = draws(Augmentation::default(), 1)[..] else {
        panic!("one params")
    };
    let window = Window {
        left: 16,
        top: 0,
        size: Size::new(64, 64),
    };
    assert_eq!(
        params,
        AugmentationParams {
            resized: Size::new(96, 64),
            window,
            flipped: false,
            colour: None
        }
    );
    let source = image(Size::new(120, 80));
    let expected = resize_and_crop(&source.pixels, params.resized, window, None);
    assert_eq!(params.apply(&source, None).pixels, expected);
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
    let count = flipped.iter().filter(|params| params.flipped).count();
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
        .for_each(|params| counts[params.window.left as usize] += 1);
    assert!(
        counts.iter().all(|count| (200..420).contains(count)),
        "{counts:?}"
    );
    assert!(cropped.iter().all(|params| params.window.top == 0));
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
        .filter_map(|params| {
            if let Some(ColourShift::Hue(degrees)) = params.colour {
                Some(degrees)
            } else {
                None
            }
        })
        .collect();
    let gammas: Vec<f64> = coloured
        .iter()
        .filter_map(|params| {
            if let Some(ColourShift::Gamma(gamma)) = params.colour {
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
fn crop_offsets_are_those_of_the_flipped_image() {
    let window = Window {
        left: 10,
        top: 3,
        size: Size::new(64, 64),
    };
    let params = AugmentationParams {
        resized: Size::new(96, 70),
        window,
        flipped: false,
        colour: None,
    };
    assert_eq!(params.crop_offsets(), [10, 3]);
    assert_eq!(
        AugmentationParams {
            flipped: true,
            ..params
        }
        .crop_offsets(),
        [22, 3]
    );
}
