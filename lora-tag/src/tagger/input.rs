//! From an image to the pixels that a tagger sees.

use lora_data::resize::{Interpolation, Window, resize_and_crop};
use lora_data::{DecodeOptions, Pixels, Size};

use crate::kind::TaggerKind;
use crate::options::{Style, TagOptions};

/// How images are decoded: upright and scaled from 16 bits, but not with `compat`.
pub(super) fn decode_options(options: &TagOptions) -> DecodeOptions {
    if options.compat {
        DecodeOptions::SD_SCRIPTS
    } else {
        DecodeOptions::default()
    }
}

/// The image in the middle of a white square, resized to `side`. Red, green, blue.
pub(super) fn square(image: &Pixels, side: u32, kind: TaggerKind, style: Style) -> Pixels {
    let Size { width, height } = image.size();
    let longest = width.max(height);
    let padded = match (kind, style) {
        // SD-Trainer pads small images for WD taggers instead of upscaling them.
        (TaggerKind::Wd, Style::SdTrainer) => longest.max(side),
        _ => longest,
    };
    let image = padded_to(image, padded);
    let interpolation = match (kind, style) {
        (TaggerKind::Cl, Style::SdTrainer) => Some(Interpolation::PillowBicubic),
        // Area for downscaling and Lanczos for upscaling, as sd-scripts resizes training images.
        _ => None,
    };
    let target = Size::new(side, side);
    let whole = Window {
        left: 0,
        top: 0,
        size: target,
    };
    resize_and_crop(&image, target, whole, interpolation)
}

/// The image in the middle of a white square; an odd column or row of white is right or below.
fn padded_to(image: &Pixels, side: u32) -> Pixels {
    let Size { width, height } = image.size();
    if (width, height) == (side, side) {
        return image.clone();
    }
    let row_bytes = 3 * side as usize;
    let mut data = vec![255; row_bytes * side as usize];
    let left = 3 * ((side - width) / 2) as usize;
    let top = ((side - height) / 2) as usize;
    let rows = image.as_bytes().chunks_exact(3 * width as usize);
    for (target, row) in data.chunks_exact_mut(row_bytes).skip(top).zip(rows) {
        target[left..left + row.len()].copy_from_slice(row);
    }
    Pixels::new(Size::new(side, side), data).expect("three bytes per pixel")
}

/// The axes of a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[batch, height, width, 3]`
    ChannelsLast,
    /// `[batch, 3, height, width]`
    ChannelsFirst,
}

/// Appends an image to a batch: blue, green, red, from 0 to 255 for WD and from -1 to 1 for CL
/// taggers.
pub(super) fn append(batch: &mut Vec<f32>, image: &Pixels, layout: Layout, kind: TaggerKind) {
    let value = |level: u8| match kind {
        TaggerKind::Wd => f32::from(level),
        TaggerKind::Cl => (f32::from(level) / 255.0 - 0.5) / 0.5,
    };
    let (pixels, _) = image.as_bytes().as_chunks::<3>();
    match layout {
        Layout::ChannelsLast => batch.extend(
            pixels
                .iter()
                .flat_map(|[red, green, blue]| [value(*blue), value(*green), value(*red)]),
        ),
        Layout::ChannelsFirst => {
            for channel in [2, 1, 0] {
                batch.extend(pixels.iter().map(|pixel| value(pixel[channel])));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, height: u32) -> Pixels {
        let bytes = (0..3 * width * height).map(|byte| byte as u8).collect();
        Pixels::new(Size::new(width, height), bytes).unwrap()
    }

    #[test]
    fn odd_padding_is_right_and_below() {
        let padded = padded_to(&image(2, 1), 3);
        let rows: Vec<&[u8]> = padded.as_bytes().chunks(9).collect();
        assert_eq!(rows[0], [255; 9]);
        assert_eq!(rows[1], [0, 1, 2, 3, 4, 5, 255, 255, 255]);
        assert_eq!(rows[2], [255; 9]);
    }

    #[test]
    fn small_images_are_padded_or_upscaled() {
        let padded = square(&image(2, 2), 4, TaggerKind::Wd, Style::SdTrainer);
        assert_eq!(padded.as_bytes()[..12], [255; 12]);
        let upscaled = square(&image(2, 2), 4, TaggerKind::Wd, Style::SdScripts);
        assert!(upscaled.as_bytes().iter().all(|level| *level < 20));
        let upscaled = square(&image(2, 2), 4, TaggerKind::Cl, Style::SdTrainer);
        assert!(upscaled.as_bytes().iter().all(|level| *level < 20));
    }

    #[test]
    fn channels_are_blue_green_red() {
        let pixels = Pixels::new(Size::new(2, 1), vec![0, 51, 255, 1, 2, 3]).unwrap();
        let mut batch = Vec::new();
        append(&mut batch, &pixels, Layout::ChannelsLast, TaggerKind::Wd);
        assert_eq!(batch, [255.0, 51.0, 0.0, 3.0, 2.0, 1.0]);
        batch.clear();
        append(&mut batch, &pixels, Layout::ChannelsFirst, TaggerKind::Cl);
        assert_eq!(batch[0], 1.0);
        assert_eq!(batch[4], -1.0);
        assert!((batch[2] + 0.6).abs() < 1e-6);
    }
}
