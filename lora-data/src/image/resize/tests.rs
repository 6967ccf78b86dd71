use super::*;
use crate::image::raster::{Pixels, Plane};

mod filters;

const INTERPOLATIONS: [Option<Interpolation>; 7] = [
    None,
    Some(Interpolation::Nearest),
    Some(Interpolation::Linear),
    Some(Interpolation::Cubic),
    Some(Interpolation::Area),
    Some(Interpolation::Lanczos),
    Some(Interpolation::PillowBicubic),
];

fn image(width: u32, height: u32) -> Pixels {
    let data = (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| {
                [
                    (x * 7 + y * 13) as u8,
                    (x * x + y * 5) as u8,
                    (x * y * 3 + 11) as u8,
                ]
            })
        })
        .collect();
    Pixels::new(Size::new(width, height), data).unwrap()
}

fn whole(size: Size) -> Window {
    Window {
        left: 0,
        top: 0,
        size,
    }
}

fn resized(from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    resized_with(from, to, None)
}

fn resized_with(from: (u32, u32), to: (u32, u32), interpolation: Option<Interpolation>) -> Vec<u8> {
    let to = Size::new(to.0, to.1);
    resize_and_crop(&image(from.0, from.1), to, whole(to), interpolation).into_bytes()
}

/// Expected values: `cv2.resize(image, to, interpolation=cv2.INTER_AREA)`, OpenCV 4.10.
#[test]
fn downscaling_is_inter_area() {
    // Blocks of 3 x 3.
    assert_eq!(
        resized((9, 6), (3, 2)),
        [
            20, 7, 14, 41, 22, 23, 62, 55, 32, 59, 22, 23, 80, 37, 59, 101, 70, 95
        ]
    );
    // Parts of pixels.
    assert_eq!(
        resized((7, 5), (4, 3)),
        [
            8, 2, 12, 20, 7, 14, 32, 17, 16, 44, 33, 18, 29, 10, 14, 41, 15, 24, 53, 25, 34, 65,
            41, 44, 50, 18, 16, 62, 23, 34, 74, 33, 53, 86, 49, 71
        ]
    );
    // One side stays.
    assert_eq!(
        resized((5, 4), (5, 3)),
        [
            3, 1, 11, 10, 2, 12, 17, 5, 12, 24, 10, 13, 31, 17, 14, 20, 8, 11, 26, 8, 16, 34, 12,
            20, 40, 16, 24, 48, 24, 29, 36, 14, 11, 43, 15, 19, 50, 18, 28, 57, 23, 36, 64, 30, 44
        ]
    );
}

/// Blocks of 2 x 2 round halves up, other blocks to even: [`resized`] of `cv2` as above.
#[test]
fn blocks_of_four_round_halves_up() {
    assert_eq!(
        resized((8, 8), (4, 4))[..24],
        [
            10, 3, 12, 24, 9, 15, 38, 23, 18, 52, 45, 21, 36, 13, 15, 50, 19, 30, 64, 33, 45, 78,
            55, 60
        ]
    );
    assert_eq!(
        resized((12, 6), (6, 6))[..12],
        [4, 0, 11, 18, 6, 11, 32, 20, 11, 46, 42, 11]
    );
}

/// Expected values: `Image.resize(to, LANCZOS)`, Pillow 13.
#[test]
fn upscaling_is_lanczos() {
    let expected = [
        0, 0, 11, 3, 0, 11, 11, 2, 11, 14, 4, 11, 13, 5, 11, 16, 5, 12, 24, 7, 16, 27, 9, 17, 26,
        10, 11, 29, 10, 14, 37, 12, 20, 40, 14, 23, 39, 15, 11, 42, 15, 15, 50, 17, 25, 53, 19, 29,
        52, 20, 10, 55, 20, 16, 63, 22, 30, 66, 24, 36,
    ];
    assert_eq!(resized((3, 5), (4, 5)), expected);
}

#[test]
fn a_window_is_a_part_of_the_whole() {
    let sizes = [
        ((40, 30), (20, 15)),
        ((40, 30), (17, 13)),
        ((40, 30), (40, 30)),
        ((40, 30), (77, 51)),
    ];
    for interpolation in INTERPOLATIONS {
        for (from, to) in sizes {
            let to = Size::new(to.0, to.1);
            let window = Window {
                left: 3,
                top: 2,
                size: Size::new(to.width - 5, to.height - 7),
            };
            let source = image(from.0, from.1);
            let all = resize_and_crop(&source, to, whole(to), interpolation);
            let windowed = resize_and_crop(&source, to, window, interpolation);
            assert_eq!(
                windowed.into_bytes(),
                crop(&all, window),
                "{interpolation:?}, {from:?} to {to}"
            );
        }
    }
}

#[test]
fn a_long_thin_image_needs_no_long_thin_copy() {
    // The resized image alone would be 12 GB.
    let window = Window {
        left: 8_000_000,
        top: 0,
        size: Size::new(256, 256),
    };
    let resized = resize_and_crop(
        &image(65_500, 1),
        Size::new(65_500 * 256, 256),
        window,
        None,
    );
    assert_eq!(resized.size(), Size::new(256, 256));
}

/// Width and height before, after, and the expected bytes.
type Case = ((u32, u32), (u32, u32), Vec<u8>);

#[test]
fn planes_are_resized_like_channels() {
    let source = image(40, 30);
    for interpolation in INTERPOLATIONS {
        for to in [
            Size::new(20, 15),
            Size::new(17, 13),
            Size::new(40, 30),
            Size::new(77, 51),
            Size::new(13, 60),
        ] {
            let window = Window {
                left: 1,
                top: 2,
                size: Size::new(to.width - 1, to.height - 3),
            };
            let pixels = resize_and_crop(&source, to, window, interpolation);
            let plane: Plane = resize_and_crop(&source.red(), to, window, interpolation);
            assert_eq!(plane, pixels.red(), "{interpolation:?} to {to}");
        }
    }
}

/// One row and column, far apart sizes: no index leaves the image.
#[test]
fn extreme_sizes() {
    for interpolation in INTERPOLATIONS {
        for (from, to) in [
            ((1, 1), (300, 2)),
            ((1, 500), (3, 1)),
            ((701, 1), (1, 1)),
            ((2, 3), (1000, 1)),
        ] {
            let resized = resized_with(from, to, interpolation);
            assert_eq!(
                resized.len() as u32,
                3 * to.0 * to.1,
                "{interpolation:?}, {from:?} to {to:?}"
            );
        }
        // Weights add up to one.
        let flat = Pixels::new(Size::new(7, 5), vec![201; 105]).unwrap();
        let to = Size::new(11, 3);
        assert!(
            resize_and_crop(&flat, to, whole(to), interpolation)
                .as_bytes()
                .iter()
                .all(|level| *level == 201)
        );
    }
}

#[test]
fn interpolations_have_names() {
    assert_eq!(
        "bicubic".parse::<Interpolation>().unwrap(),
        Interpolation::Cubic
    );
    assert_eq!(
        "cubic".parse::<Interpolation>().unwrap(),
        Interpolation::Cubic
    );
    assert_eq!(
        "lanczos".parse::<Interpolation>().unwrap(),
        Interpolation::Lanczos
    );
    let message = "box".parse::<Interpolation>().unwrap_err().to_string();
    assert_eq!(
        message,
        "`resize_interpolation = box`: expected one of lanczos, nearest, bilinear, linear, \
         bicubic, cubic, area"
    );
}
