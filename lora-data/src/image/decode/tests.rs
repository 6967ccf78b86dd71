mod tiff_files;

use image::ImageBuffer;
use image::metadata::Orientation;
use proptest::prelude::*;

use self::tiff_files::tiff;
use super::*;
use crate::image::header::read_size;
use crate::image::raster::Plane;
use crate::size::Size;

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Tiff,
];

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn decode_rgb(file: &[u8], options: &DecodeOptions) -> Result<Pixels, String> {
    decode_bytes(file, options, Alpha::Drop).map(|image| image.pixels)
}

fn decoded(image: impl Into<DynamicImage>, options: &DecodeOptions) -> Vec<u8> {
    decode_rgb(&encoded(image, ImageFormat::Png), options)
        .unwrap()
        .into_bytes()
}

#[test]
fn transparency_is_dropped_without_blending() {
    let image = image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 200, 100, 50, 128]).unwrap();
    assert_eq!(
        decoded(image, &DecodeOptions::default()),
        [1, 2, 3, 200, 100, 50]
    );
}

#[test]
fn sixteen_bit_grey_is_scaled_or_clipped() {
    let image =
        ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![100, 0x8000, 65535]).unwrap();
    assert_eq!(
        decoded(image.clone(), &DecodeOptions::default()),
        [0, 0, 0, 128, 128, 128, 255, 255, 255]
    );
    assert_eq!(
        decoded(image, &DecodeOptions::SD_SCRIPTS),
        [100, 100, 100, 255, 255, 255, 255, 255, 255]
    );
}

#[test]
fn sixteen_bit_colours_are_scaled_or_cut() {
    let image =
        ImageBuffer::<image::Rgb<u16>, _>::from_raw(1, 1, vec![0x00FF, 0x1234, 0xFEFF]).unwrap();
    assert_eq!(
        decoded(image.clone(), &DecodeOptions::default()),
        [1, 18, 254]
    );
    assert_eq!(decoded(image, &DecodeOptions::SD_SCRIPTS), [0, 18, 254]);
}

#[test]
fn truncated_and_other_files_are_errors() {
    let image = image::RgbImage::from_fn(40, 30, |x, y| {
        image::Rgb([(x * y) as u8, (x * 37 + y * 11) as u8, (x ^ y) as u8])
    });
    for format in FORMATS {
        let file = encoded(image.clone(), format);
        assert!(
            decode_rgb(&file, &DecodeOptions::default()).is_ok(),
            "{format:?}"
        );
        for length in [0, 1, 10, file.len() / 2, file.len() * 9 / 10] {
            assert!(
                decode_rgb(&file[..length], &DecodeOptions::default()).is_err(),
                "{format:?}, {length} bytes"
            );
        }
    }
    let reason = decode_rgb(b"qoif then more", &DecodeOptions::default()).unwrap_err();
    assert_eq!(
        reason,
        "the format is Qoi; expected png, jpeg, webp, bmp, gif or tiff"
    );
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf";
    assert!(
        decode_rgb(avif, &DecodeOptions::default())
            .unwrap_err()
            .contains("Avif")
    );
    assert!(decode_rgb(b"some text", &DecodeOptions::default()).is_err());
}

#[test]
fn a_header_that_asks_for_too_much_is_an_error() {
    let mut file = encoded(image::RgbImage::new(8, 8), ImageFormat::Bmp);
    file[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    file[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    assert!(decode_rgb(&file, &DecodeOptions::default()).is_err());
}

/// Two pixels: one transparent, one half transparent.
fn translucent() -> image::RgbaImage {
    image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 200, 100, 50, 128]).unwrap()
}

fn with_alpha(
    image: impl Into<DynamicImage>,
    alpha: Alpha,
    options: &DecodeOptions,
) -> DecodedImage {
    decode_bytes(&encoded(image, ImageFormat::Png), options, alpha).unwrap()
}

/// Expected values: 200 * 128 / 255 + 10 * 127 / 255 = 105.4, 50.2 + 10.0 = 60.2, 25.1 + 127 =
/// 152.1.
#[test]
fn transparency_shows_the_background() {
    let alpha = Alpha::Background([10, 20, 255]);
    let image = with_alpha(translucent(), alpha, &DecodeOptions::default());
    assert_eq!(image.pixels.as_bytes(), [10, 20, 255, 105, 60, 152]);
    assert_eq!(image.alpha, None);
    let opaque = image::RgbImage::from_raw(1, 1, vec![7, 8, 9]).unwrap();
    assert_eq!(
        with_alpha(opaque, alpha, &DecodeOptions::default())
            .pixels
            .as_bytes(),
        [7, 8, 9]
    );
}

#[test]
fn transparency_becomes_a_plane() {
    let image = with_alpha(translucent(), Alpha::Mask, &DecodeOptions::default());
    assert_eq!(image.pixels.as_bytes(), [1, 2, 3, 200, 100, 50]);
    assert_eq!(image.alpha, Plane::new(Size::new(2, 1), vec![0, 128]));
    assert_eq!(
        with_alpha(
            image::GrayImage::new(2, 1),
            Alpha::Mask,
            &DecodeOptions::default()
        )
        .alpha,
        None
    );
}

#[test]
fn grey_and_sixteen_bit_transparency() {
    let grey = ImageBuffer::<image::LumaA<u8>, _>::from_raw(1, 1, vec![9, 77]).unwrap();
    let image = with_alpha(grey, Alpha::Mask, &DecodeOptions::default());
    assert_eq!(
        (image.pixels.as_bytes(), image.alpha.unwrap().as_bytes()),
        (&[9, 9, 9][..], &[77][..])
    );
    let deep =
        ImageBuffer::<image::Rgba<u16>, _>::from_raw(1, 1, vec![0x00FF, 0x1234, 0xFEFF, 0x0FFF])
            .unwrap();
    for (options, rgb, alpha) in [
        (DecodeOptions::default(), [1, 18, 254], 16),
        (DecodeOptions::SD_SCRIPTS, [0, 18, 254], 15),
    ] {
        let image = with_alpha(deep.clone(), Alpha::Mask, &options);
        assert_eq!(
            (image.pixels.as_bytes(), image.alpha.unwrap().as_bytes()),
            (&rgb[..], &[alpha][..])
        );
        let dropped = with_alpha(deep.clone(), Alpha::Drop, &options);
        assert_eq!(dropped.pixels, image.pixels);
    }
}

#[test]
fn orientation_turns_the_plane_too() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    // Big-endian TIFF with one entry: orientation, a short, is 6 (turned to the left).
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
    translucent().write_with_encoder(encoder).unwrap();
    let file = file.into_inner();
    let image = decode_bytes(&file, &DecodeOptions::default(), Alpha::Mask).unwrap();
    assert_eq!(image.alpha, Plane::new(Size::new(1, 2), vec![0, 128]));
    assert_eq!(image.pixels.size(), Size::new(1, 2));
    let header = read_header(Cursor::new(&file)).unwrap();
    assert_eq!(header.size(ExifOrientation::Apply), Size::new(1, 2));
    assert_eq!(header.size(ExifOrientation::Ignore), Size::new(2, 1));
}

#[test]
fn every_format_gives_its_pixels() {
    let image = image::RgbImage::from_fn(24, 16, |x, y| {
        image::Rgb([(x / 8 * 60) as u8, (y / 8 * 60) as u8, 128])
    });
    for format in FORMATS {
        let file = encoded(image.clone(), format);
        let decoded = decode_rgb(&file, &DecodeOptions::default()).unwrap();
        let header = read_header(Cursor::new(&file)).unwrap();
        assert_eq!(
            (header.size(ExifOrientation::Apply), decoded.size()),
            (Size::new(24, 16), Size::new(24, 16))
        );
        let far = decoded
            .as_bytes()
            .iter()
            .zip(image.as_raw())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        let most = if format == ImageFormat::Jpeg { 12 } else { 0 };
        assert!(far <= Some(most), "{format:?}: {far:?}");
        let one = decode_rgb(
            &encoded(image::RgbImage::new(1, 1), format),
            &DecodeOptions::default(),
        )
        .unwrap();
        assert_eq!(
            (one.size(), one.as_bytes()),
            (Size::new(1, 1), &[0, 0, 0][..]),
            "{format:?}"
        );
    }
}

#[test]
fn an_animation_is_its_first_frame() {
    let frame = |level| {
        image::Frame::new(image::RgbaImage::from_pixel(
            3,
            2,
            image::Rgba([level, 0, 0, 255]),
        ))
    };
    let mut file = Vec::new();
    image::codecs::gif::GifEncoder::new(&mut file)
        .encode_frames([frame(50), frame(200)])
        .unwrap();
    let image = decode_rgb(&file, &DecodeOptions::default()).unwrap();
    assert_eq!(image.as_bytes(), [50, 0, 0].repeat(6));
}

#[test]
fn transparent_colours_of_a_gif() {
    let mut file = Vec::new();
    let image = image::RgbaImage::from_raw(2, 1, vec![0, 0, 0, 0, 255, 255, 255, 255]).unwrap();
    image::codecs::gif::GifEncoder::new(&mut file)
        .encode_frames([image::Frame::new(image)])
        .unwrap();
    let image = decode_bytes(&file, &DecodeOptions::default(), Alpha::Mask).unwrap();
    assert_eq!(image.alpha.unwrap().as_bytes(), [0, 255]);
    let white = Alpha::Background([255; 3]);
    assert_eq!(
        decode_bytes(&file, &DecodeOptions::default(), white)
            .unwrap()
            .pixels
            .as_bytes(),
        [255; 6]
    );
}

#[test]
fn huge_headers_of_other_formats_are_errors() {
    let mut gif = encoded(image::RgbImage::new(8, 8), ImageFormat::Gif);
    gif[6..10].fill(0xFF);
    assert!(decode_rgb(&gif, &DecodeOptions::default()).is_err());
    let mut tiff = tiff(5, 1, [0; 8]);
    for entry in [0, 1] {
        // Width and height become longs of 2^31.
        let start = 18 + 12 * entry;
        tiff[start + 2] = 4;
        tiff[start + 8..start + 12].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    }
    assert!(decode_rgb(&tiff, &DecodeOptions::default()).is_err());
}

#[test]
fn paths_without_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, empty) = (dir.path().join("a.png"), dir.path().join("b.png"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&empty, "").unwrap();
    let options = DecodeOptions::default();
    for path in [&folder, &empty] {
        for error in [
            decode(path, &options).unwrap_err(),
            read_size(path, &options).unwrap_err(),
        ] {
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{}`: ", path.display())),
                "{error}"
            );
        }
    }
    assert!(matches!(
        decode(&dir.path().join("c.png"), &options),
        Err(Error::Io { .. })
    ));
}

proptest! {
    /// Whatever is damaged: pixels of the header's size, or an error.
    #[test]
    fn damaged_files(
        format in proptest::sample::select(&FORMATS[..]),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let image = image::RgbImage::from_fn(19, 13, |x, y| image::Rgb([(x * 13) as u8, (y * 19) as u8, 7]));
        let mut file = encoded(image, format);
        for (index, byte) in damages {
            let index = index.index(file.len());
            file[index] = byte;
        }
        if let Ok(image) = decode_bytes(&file, &DecodeOptions::default(), Alpha::Mask) {
            let size = read_header(Cursor::new(&file)).unwrap().size(ExifOrientation::Apply);
            prop_assert_eq!(image.pixels.size(), size);
        }
    }
}
