//! Every augmentation has the size of the bucket.

use proptest::prelude::*;

use super::*;
use crate::bucket::{BucketConfig, Buckets};

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
        let params = augmentation.draw(&selection, size, face, &mut Generator(seed));
        let Window { left, top, size: kept } = params.window;
        prop_assert_eq!(kept, selection.bucket);
        prop_assert!(left + kept.width <= params.resized.width && top + kept.height <= params.resized.height);

        // The mask made of the image's own red channel stays its red channel.
        let mut source = image(size);
        let red: Plane = source.pixels.red();
        source.alpha = Some(red.clone());
        let cropped = AugmentationParams { colour: None, ..params }.apply(&source, interpolation);
        prop_assert_eq!(cropped.pixels.size(), selection.bucket);
        prop_assert_eq!(cropped.alpha.as_ref(), Some(&cropped.pixels.red()));
        prop_assert_eq!(params.apply_geometry(&red, interpolation), cropped.pixels.red());

        let mut twice = AugmentationParams { flipped: !params.flipped, colour: None, ..params }.apply(&source, interpolation).pixels;
        twice.flip();
        prop_assert_eq!(twice, cropped.pixels);
        prop_assert_eq!(params.apply(&source, interpolation).alpha, cropped.alpha);
    }
}
