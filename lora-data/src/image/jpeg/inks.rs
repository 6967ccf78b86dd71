//! CMYK and YCCK to RGB, as in Pillow.

/// The colour of a pixel of inks: channel = (255 - K) (1 - ink).
pub(super) fn to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - i32::from(k);
    [c, m, y].map(|ink| (light - divided_by_255(i32::from(ink) * light)) as u8)
}

/// Rounded to the nearest whole number.
fn divided_by_255(value: i32) -> i32 {
    let value = value + 128;
    ((value >> 8) + value) >> 8
}

/// The red, green and blue of brightness and two colour differences, in libjpeg's whole numbers.
pub(super) fn from_ycc([y, blue, red]: [u8; 3]) -> [u8; 3] {
    /// One half, in 1/65536.
    const HALF: i32 = 1 << 15;
    let fixed = |factor: f64| (factor * 65536.0 + 0.5) as i32;
    let (y, blue, red) = (i32::from(y), i32::from(blue) - 128, i32::from(red) - 128);
    let level = |difference: i32| (y + difference).clamp(0, 255) as u8;
    [
        level((fixed(1.402) * red + HALF) >> 16),
        level((-fixed(0.344_14) * blue - fixed(0.714_14) * red + HALF) >> 16),
        level((fixed(1.772) * blue + HALF) >> 16),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_to_light() {
        for (inks, light) in [
            ([0, 0, 0, 0], [255, 255, 255]),
            ([255, 0, 0, 0], [0, 255, 255]),
            ([0, 128, 255, 0], [255, 127, 0]),
            ([10, 20, 30, 100], [149, 143, 137]),
            ([7, 7, 7, 255], [0, 0, 0]),
        ] {
            assert_eq!(to_rgb(inks), light);
        }
    }

    /// Expected values: Pillow's `YCbCr` to `RGB` differs by one level; these are libjpeg's.
    #[test]
    fn colour_differences() {
        assert_eq!(from_ycc([100, 128, 128]), [100, 100, 100]);
        assert_eq!(from_ycc([76, 85, 255]), [254, 0, 0]);
        assert_eq!(from_ycc([255, 0, 128]), [255, 255, 28]);
    }
}
