//! Options for decoding images.

/// The treatment of the orientation that cameras write into an image's Exif data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExifOrientation {
    /// Turn the image upright, as viewers show it.
    #[default]
    Apply,
    /// Use the pixels as they are stored, as sd-scripts does.
    Ignore,
}

/// The conversion of 16-bit samples to 8-bit ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SixteenBit {
    /// Scale to the 8-bit range and round.
    #[default]
    Scale,
    /// Convert as Pillow does: grey is clipped at 255, which makes most images white; of colours
    /// only the high byte is used.
    Pillow,
}

/// Options for decoding image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// The treatment of Exif orientation.
    pub exif_orientation: ExifOrientation,
    /// The conversion of 16-bit images.
    pub sixteen_bit: SixteenBit,
}

impl DecodeOptions {
    /// The pixels that sd-scripts trains on.
    pub const SD_SCRIPTS: Self = Self {
        exif_orientation: ExifOrientation::Ignore,
        sixteen_bit: SixteenBit::Pillow,
    };
}

/// The treatment of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// Drop it: transparent pixels have the colour that is stored for them, as in sd-scripts.
    #[default]
    Drop,
    /// Blend the image over this colour (red, green, blue).
    Background([u8; 3]),
    /// Drop it from the image and use it as the weight of the loss (`alpha_mask`).
    Mask,
}
