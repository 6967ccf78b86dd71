//! Crops around faces.

use std::path::Path;

use super::*;

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
fn face_draw(face: Face, augmentation: Augmentation, seed: u64) -> AugmentationParams {
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
    let params = face_draw(face, range([4.0, 4.0]), 1);
    assert_eq!(params.resized, Size::new(640, 512));
    assert_eq!(
        params.window,
        Window {
            left: 448 - 128,
            top: 192 - 128,
            size: Size::new(256, 256)
        }
    );

    for seed in 0..200 {
        let params = face_draw(face, range([3.0, 5.0]), seed);
        let scale = f64::from(params.resized.width) / 1000.0;
        assert!((0.511..=0.854).contains(&scale), "{scale}");
        let centre = (700.0 * scale) as i64 - i64::from(params.window.left);
        assert!((128 - 6..=128 + 6).contains(&centre), "{centre}");
    }
    // Never upscaled, and never smaller than the bucket.
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
    let params = face_draw(corner, range([4.0, 4.0]), 1);
    assert_eq!([params.window.left, params.window.top], [640 - 256, 0]);
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
