//! TIFF files.

use super::*;

/// A TIFF file of 2 x 1 pixels of four bytes: little-endian, one strip, then the tags.
pub(super) fn tiff(photometric: u16, orientation: u16, samples: [u8; 8]) -> Vec<u8> {
    let tags: [(u16, u16, u32); 10] = [
        (256, 3, 2),                      // width
        (257, 3, 1),                      // height
        (258, 3, 8),                      // bits; one value for all samples
        (259, 3, 1),                      // not compressed
        (262, 3, u32::from(photometric)), // kind of colours
        (273, 4, 8),                      // offset of the strip
        (274, 3, u32::from(orientation)),
        (277, 3, 4), // samples a pixel
        (278, 3, 1), // rows a strip
        (279, 4, 8), // bytes of the strip
    ];
    let mut file = [
        &b"II\x2a\0\x10\0\0\0"[..],
        &samples,
        &(tags.len() as u16).to_le_bytes(),
    ]
    .concat();
    for (tag, kind, value) in tags {
        let count: u32 = if tag == 258 { 4 } else { 1 };
        // Four shorts do not fit into the entry.
        let value = if tag == 258 {
            16 + 2 + 12 * tags.len() as u32 + 4
        } else {
            value
        };
        file.extend(
            [
                &tag.to_le_bytes()[..],
                &kind.to_le_bytes(),
                &count.to_le_bytes(),
                &value.to_le_bytes(),
            ]
            .concat(),
        );
    }
    file.extend([0, 0, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]);
    file
}

#[test]
fn inks_and_orientation_of_a_tiff() {
    const CMYK: u16 = 5;
    let file = tiff(CMYK, 6, [0, 0, 0, 0, 255, 0, 0, 0]);
    let upright = decode_rgb(&file, &DecodeOptions::default()).unwrap();
    assert_eq!(
        (upright.size(), upright.as_bytes()),
        (Size::new(1, 2), &[255, 255, 255, 0, 255, 255][..])
    );
    assert_eq!(
        read_header(Cursor::new(&file)).unwrap().orientation,
        Orientation::Rotate90
    );
    assert_eq!(
        decode_rgb(&file, &DecodeOptions::SD_SCRIPTS)
            .unwrap()
            .size(),
        Size::new(2, 1)
    );
}

#[test]
fn floats_of_a_tiff_are_scaled_and_clipped() {
    let image = image::Rgb32FImage::from_raw(1, 1, vec![-1.0, 0.5, 7.0]).unwrap();
    let file = encoded(image, ImageFormat::Tiff);
    assert_eq!(
        decode_rgb(&file, &DecodeOptions::default())
            .unwrap()
            .as_bytes(),
        [0, 128, 255]
    );
}
