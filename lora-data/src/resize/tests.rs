use super::*;
use crate::image::{Pixels, Plane};

const INTERPOLATIONS: [Option<Interpolation>; 6] = [
    None,
    Some(Interpolation::Nearest),
    Some(Interpolation::Linear),
    Some(Interpolation::Cubic),
    Some(Interpolation::Area),
    Some(Interpolation::Lanczos),
];

fn image(width: u32, height: u32) -> Pixels {
    let pixel = |x: u32, y: u32| {
        [
            (x * 7 + y * 13) as u8,
            (x * x + y * 5) as u8,
            (x * y * 3 + 11) as u8,
        ]
    };
    let data = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)))
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
fn reduction_is_inter_area() {
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
fn enlargement_is_lanczos() {
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

/// Compares with values that may be one level off, because OpenCV rounds weights and Pillow chooses
/// an order of passes.
#[track_caller]
fn assert_resized(interpolation: Interpolation, cases: &[Case]) {
    for (from, to, expected) in cases {
        let actual = resized_with(*from, *to, Some(interpolation));
        assert_eq!(actual.len(), expected.len());
        let near = actual
            .iter()
            .zip(expected)
            .all(|(actual, expected)| actual.abs_diff(*expected) <= 1);
        assert!(
            near,
            "{interpolation:?}, {from:?} to {to:?}: {actual:?}, expected {expected:?}"
        );
    }
}

/// Expected values: `cv2.resize(image, to, interpolation=cv2.INTER_NEAREST)`, OpenCV 5.0.
#[test]
fn nearest_is_opencvs() {
    assert_resized(
        Interpolation::Nearest,
        &[
            (
                (9, 7),
                (4, 5),
                vec![
                    0, 0, 11, 14, 4, 11, 28, 16, 11, 42, 36, 11, 13, 5, 11, 27, 9, 17, 41, 21, 23,
                    55, 41, 29, 26, 10, 11, 40, 14, 23, 54, 26, 35, 68, 46, 47, 52, 20, 11, 66, 24,
                    35, 80, 36, 59, 94, 56, 83, 65, 25, 11, 79, 29, 41, 93, 41, 71, 107, 61, 101,
                ],
            ),
            (
                (30, 20),
                (4, 3),
                vec![
                    0, 0, 11, 49, 49, 11, 105, 225, 11, 154, 228, 11, 78, 30, 11, 127, 79, 137,
                    183, 255, 25, 232, 2, 151, 169, 65, 11, 218, 114, 28, 18, 34, 84, 67, 37, 101,
                ],
            ),
            (
                (2, 5),
                (5, 3),
                vec![
                    0, 0, 11, 0, 0, 11, 0, 0, 11, 7, 1, 11, 7, 1, 11, 13, 5, 11, 13, 5, 11, 13, 5,
                    11, 20, 6, 14, 20, 6, 14, 39, 15, 11, 39, 15, 11, 39, 15, 11, 46, 16, 20, 46,
                    16, 20,
                ],
            ),
        ],
    );
}

/// Expected values: `cv2.resize(image, to, interpolation=cv2.INTER_LINEAR)`, OpenCV 5.0.
#[test]
fn linear_is_opencvs() {
    assert_resized(
        Interpolation::Linear,
        &[
            (
                (9, 7),
                (4, 5),
                vec![
                    7, 1, 11, 23, 9, 13, 38, 27, 14, 54, 55, 15, 25, 8, 14, 41, 16, 25, 57, 34, 36,
                    72, 63, 46, 43, 16, 17, 59, 23, 37, 75, 41, 57, 91, 70, 77, 61, 22, 19, 77, 30,
                    49, 93, 48, 79, 109, 77, 108, 80, 29, 22, 95, 37, 61, 111, 55, 100, 127, 83,
                    139,
                ],
            ),
            (
                (30, 20),
                (4, 3),
                vec![
                    59, 25, 39, 112, 130, 102, 164, 91, 166, 217, 165, 230, 146, 58, 104, 199, 163,
                    61, 123, 125, 115, 48, 199, 137, 233, 91, 168, 29, 196, 74, 82, 158, 128, 134,
                    232, 193,
                ],
            ),
            (
                (2, 5),
                (5, 3),
                vec![
                    4, 2, 11, 5, 2, 11, 8, 2, 11, 10, 2, 12, 11, 3, 12, 26, 10, 11, 27, 10, 12, 30,
                    11, 14, 32, 11, 16, 33, 11, 17, 48, 18, 11, 48, 18, 12, 51, 19, 16, 54, 19, 21,
                    55, 19, 22,
                ],
            ),
        ],
    );
}

/// Expected values: `cv2.resize(image, to, interpolation=cv2.INTER_CUBIC)`, OpenCV 5.0.
#[test]
fn cubic_is_opencvs() {
    assert_resized(
        Interpolation::Cubic,
        &[
            (
                (9, 7),
                (4, 5),
                vec![
                    6, 1, 11, 22, 9, 12, 38, 27, 13, 54, 57, 14, 24, 8, 14, 40, 16, 24, 57, 35, 35,
                    73, 64, 46, 43, 15, 16, 59, 23, 37, 75, 42, 57, 91, 71, 78, 61, 22, 18, 77, 30,
                    49, 94, 49, 80, 110, 78, 110, 80, 30, 20, 96, 37, 61, 112, 56, 102, 128, 85,
                    142,
                ],
            ),
            (
                (30, 20),
                (4, 3),
                vec![
                    59, 25, 39, 111, 128, 100, 164, 93, 164, 216, 163, 248, 147, 58, 105, 198, 162,
                    49, 113, 126, 114, 47, 223, 138, 236, 92, 173, 30, 196, 48, 83, 160, 135, 135,
                    255, 224,
                ],
            ),
            (
                (2, 5),
                (5, 3),
                vec![
                    3, 1, 11, 4, 1, 11, 7, 2, 11, 10, 2, 12, 11, 2, 12, 25, 10, 10, 27, 10, 11, 30,
                    10, 14, 32, 11, 17, 34, 11, 18, 48, 19, 10, 49, 19, 12, 52, 19, 17, 55, 20, 21,
                    56, 20, 23,
                ],
            ),
        ],
    );
}

/// Expected values: `cv2.resize(image, to, interpolation=cv2.INTER_AREA)`, OpenCV 5.0.
#[test]
fn enlarging_area_is_opencvs() {
    assert_resized(
        Interpolation::Area,
        &[
            (
                (5, 4),
                (7, 6),
                vec![
                    0, 0, 11, 4, 1, 11, 8, 2, 11, 14, 4, 11, 20, 8, 11, 24, 12, 11, 28, 16, 11, 7,
                    3, 11, 11, 3, 12, 15, 4, 13, 21, 7, 14, 26, 10, 15, 30, 14, 16, 35, 19, 17, 13,
                    5, 11, 17, 6, 13, 21, 7, 15, 27, 9, 17, 33, 13, 19, 37, 17, 21, 41, 21, 23, 26,
                    10, 11, 30, 11, 15, 34, 12, 18, 40, 14, 23, 46, 18, 28, 50, 22, 31, 54, 26, 35,
                    33, 13, 11, 37, 13, 15, 41, 14, 20, 47, 17, 26, 52, 20, 32, 56, 24, 36, 61, 29,
                    41, 39, 15, 11, 43, 16, 16, 47, 17, 22, 53, 19, 29, 59, 23, 36, 63, 27, 42, 67,
                    31, 47,
                ],
            ),
            (
                (2, 5),
                (5, 3),
                vec![
                    5, 2, 11, 5, 2, 11, 9, 2, 11, 12, 3, 12, 12, 3, 12, 23, 9, 11, 23, 9, 11, 27,
                    9, 14, 30, 10, 16, 30, 10, 16, 47, 18, 11, 47, 18, 11, 50, 18, 16, 54, 19, 22,
                    54, 19, 22,
                ],
            ),
        ],
    );
}

/// Expected values: `Image.resize(to, LANCZOS)`, Pillow 13.
#[test]
fn lanczos_also_reduces() {
    assert_resized(
        Interpolation::Lanczos,
        &[
            (
                (9, 7),
                (4, 3),
                vec![
                    12, 4, 12, 28, 11, 16, 44, 30, 21, 60, 57, 25, 43, 16, 17, 59, 23, 36, 75, 42,
                    58, 91, 69, 77, 74, 28, 21, 90, 35, 56, 106, 54, 94, 122, 81, 130,
                ],
            ),
            (
                (9, 4),
                (4, 6),
                vec![
                    3, 1, 11, 19, 8, 11, 35, 27, 10, 51, 54, 10, 9, 3, 12, 25, 10, 14, 41, 29, 17,
                    57, 56, 19, 20, 7, 13, 36, 14, 21, 52, 33, 30, 68, 60, 37, 27, 10, 15, 43, 17,
                    26, 59, 36, 39, 75, 63, 51, 38, 14, 16, 54, 21, 33, 70, 40, 52, 86, 67, 69, 44,
                    16, 17, 60, 23, 36, 76, 42, 59, 92, 69, 78,
                ],
            ),
            (
                (4, 9),
                (6, 4),
                vec![
                    8, 3, 11, 11, 3, 12, 16, 4, 13, 21, 6, 15, 26, 10, 16, 29, 12, 17, 37, 14, 11,
                    40, 14, 14, 45, 15, 21, 50, 17, 26, 55, 21, 33, 58, 23, 36, 67, 26, 10, 70, 26,
                    17, 75, 27, 30, 80, 29, 39, 85, 33, 52, 88, 35, 59, 96, 37, 10, 99, 37, 19,
                    104, 38, 37, 109, 40, 51, 114, 44, 69, 117, 46, 78,
                ],
            ),
        ],
    );
}

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
