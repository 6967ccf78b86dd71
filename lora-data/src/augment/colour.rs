//! Small shifts of hue and gamma (`color_aug`).

use rand_core::Rng;

use crate::image::Pixels;
use crate::random::unit;

/// How often colours are shifted at all.
const RATE: f64 = 0.33;

/// What becomes of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColourShift {
    /// All hues turn by this angle in degrees.
    ///
    /// sd-scripts keeps whole steps of two degrees and takes red for blue, which turns them the
    /// other way round; as angles of both signs are equally likely, that makes no difference to
    /// training.
    Hue(f64),
    /// Each level, 0 to 255, is raised to this power and cut at 255, fractions dropped, as in
    /// sd-scripts.
    Gamma(f64),
}

impl ColourShift {
    /// One time in three: half of the times hue by up to 16 degrees, else gamma from 0.95 to 1.05.
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

/// Turns the hue by a part of the circle, 0 to 6; the largest and the smallest channel keep their
/// levels.
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
    // Each channel falls from its largest to its smallest level over two sextants, a third of the
    // circle behind the last.
    [5.0, 3.0, 1.0].map(|offset| {
        let place = (hue + offset) % 6.0;
        let fall = place.min(4.0 - place).clamp(0.0, 1.0);
        (most - chroma * fall).round() as u8
    })
}
