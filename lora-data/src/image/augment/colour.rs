//! Small shifts of hue and gamma (`color_aug`).

use rand_core::Rng;

use crate::image::raster::Pixels;
use crate::random::unit;

/// The probability of a colour shift.
const RATE: f64 = 0.33;

/// A change of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColourShift {
    /// Rotates all hues by this angle in degrees.
    ///
    /// sd-scripts rounds to steps of two degrees and swaps red and blue, which reverses the
    /// rotation. Since both signs are equally likely, this makes no difference to training.
    Hue(f64),
    /// Raises each level, 0 to 255, to this power; clips it at 255 and drops the fraction, as in
    /// sd-scripts.
    Gamma(f64),
}

impl ColourShift {
    /// With a probability of one third, either hue by up to 16 degrees or gamma from 0.95 to 1.05.
    pub(super) fn draw(generator: &mut impl Rng) -> Option<Self> {
        if unit(generator) >= RATE {
            return None;
        }
        let is_hue = unit(generator) < 0.5;
        let amount = unit(generator);
        Some(if is_hue {
            Self::Hue(32.0 * amount - 16.0)
        } else {
            Self::Gamma(0.95 + 0.1 * amount)
        })
    }

    /// Shifts the colours of an image.
    pub fn apply(self, pixels: &mut Pixels) {
        match self {
            Self::Hue(degrees) => {
                let sextants = (degrees / 60.0).rem_euclid(6.0) as f32;
                let (pixels, _) = pixels.as_bytes_mut().as_chunks_mut::<3>();
                pixels
                    .iter_mut()
                    .for_each(|pixel| *pixel = turn_hue(*pixel, sextants));
            }
            Self::Gamma(gamma) => {
                let mut level = 0.0_f64;
                let levels = [0_u8; 256].map(|_| {
                    let shifted = level.powf(gamma) as u8;
                    level += 1.0;
                    shifted
                });
                pixels
                    .as_bytes_mut()
                    .iter_mut()
                    .for_each(|sample| *sample = levels[usize::from(*sample)]);
            }
        }
    }
}

/// Rotates the hue by sixths of the circle; the largest and the smallest level stay the same.
fn turn_hue(pixel: [u8; 3], sextants: f32) -> [u8; 3] {
    let [r, g, b] = pixel.map(f32::from);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = most - least;
    if chroma == 0.0 {
        return pixel;
    }
    let hue = if most == r {
        (g - b) / chroma
    } else if most == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    let hue = hue + sextants + 6.0;
    // Each channel falls from its largest to its smallest level within two sextants, a third of the
    // circle after the previous channel.
    [5.0, 3.0, 1.0].map(|offset| {
        let place = (hue + offset) % 6.0;
        let fall = place.min(4.0 - place).clamp(0.0, 1.0);
        (most - chroma * fall).round() as u8
    })
}
