//! Cache files of latents.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use super::npz::{Npz, NpzWriter};
use crate::error::{Error, Result};
use crate::image::mask::mirror_rows;
use crate::size::Size;

/// Channels of the latents of every Stable Diffusion VAE.
const CHANNELS: usize = 4;

/// The names of the arrays in a file, without the suffix of their size.
const LATENTS: &str = "latents";
const FLIPPED: &str = "latents_flipped";
const ALPHA_MASK: &str = "alpha_mask";
const ORIGINAL_SIZE: &str = "original_size";
const CROP_LTRB: &str = "crop_ltrb";

/// The latents of one image, with the other values that sd-scripts stores.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedLatents {
    /// Width and height of the latents: an eighth of the bucket's.
    pub size: Size,
    /// A sample of the posterior, before the VAE's scaling factor. `[4, h, w]`
    pub latents: Vec<f32>,
    /// The latents of the flipped image; only with `flip_aug`. `[4, h, w]`
    pub flipped: Option<Vec<f32>>,
    /// Size and weights (0 to 1) of the loss mask in pixels; only with `alpha_mask`.
    /// `[height, width]`
    pub alpha_mask: Option<(Size, Vec<f32>)>,
    /// The size of the image before it was resized.
    pub original_size: Size,
    /// sd-scripts' `crop_ltrb` in pixels: left, top, right, bottom.
    pub crop_ltrb: [f64; 4],
}

/// The required contents of a file of latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatentsRequest {
    /// Width and height of the latents: an eighth of the bucket's.
    pub size: Size,
    /// Require the latents of the flipped image.
    pub flipped: bool,
    /// Require a mask of this size, the bucket.
    pub alpha_mask: Option<Size>,
}

/// The contents of a file of latents for one training step.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentsSample {
    /// Latents of the image or the flipped image. `[4, h, w]`
    pub latents: Vec<f32>,
    /// The mask, flipped like the latents. `[height, width]`
    pub alpha_mask: Option<Vec<f32>>,
}

impl CachedLatents {
    /// Reads the latents. Flipped latents and the mask are read only if `request` requires them.
    ///
    /// In a file with several sizes, the arrays whose names end in the required size are read
    /// (`latents_64x48` is 64 high); without these, the arrays with plain names.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`]; an error with [`is_bad_cache`](Error::is_bad_cache) if the file is
    /// damaged, or an array is missing or has another shape, type or impossible numbers;
    /// [`Error::Io`] if it can't be read.
    pub fn read(path: &Path, request: &LatentsRequest) -> Result<Self> {
        let mut arrays = Arrays::with_size(path, Npz::open(path)?, request.size)?;
        Ok(Self {
            size: request.size,
            latents: arrays.latents(LATENTS)?,
            flipped: if request.flipped {
                Some(arrays.latents(FLIPPED)?)
            } else {
                None
            },
            alpha_mask: match request.alpha_mask {
                Some(size) => Some((size, arrays.alpha_mask(size)?)),
                None => None,
            },
            original_size: arrays.original_size()?,
            crop_ltrb: arrays.crop_ltrb()?,
        })
    }

    /// Writes a file with this size only, under names that every version of sd-scripts reads.
    ///
    /// # Errors
    /// The errors of `out`, and [`io::ErrorKind::InvalidInput`] if lengths and sizes do not match.
    pub fn write(&self, out: impl Write + Seek) -> io::Result<()> {
        let mut npz = NpzWriter::new(out);
        self.write_arrays(&mut npz, "")?;
        npz.finish()
    }

    /// Writes a file with the contents of `others`, byte for byte, and this size. The names of its
    /// arrays end in the size, unless the plain names already have this size. Arrays of this size
    /// in `others` are replaced.
    ///
    /// `others` is closed when this returns, so that the new file can replace it.
    ///
    /// # Errors
    /// Those of [`write`](Self::write), and the errors of `others`.
    pub fn write_merged(&self, mut others: LatentsFile, out: impl Write + Seek) -> io::Result<()> {
        let suffix = others.suffix_for(self.size);
        let replaced = [LATENTS, FLIPPED, ALPHA_MASK, ORIGINAL_SIZE, CROP_LTRB]
            .map(|key| format!("{key}{suffix}"));
        let mut npz = NpzWriter::new(out);
        npz.copy_from(&mut others.npz, &replaced)?;
        self.write_arrays(&mut npz, &suffix)?;
        npz.finish()
    }

    fn write_arrays<W: Write + Seek>(
        &self,
        npz: &mut NpzWriter<W>,
        suffix: &str,
    ) -> io::Result<()> {
        let key = |key: &str| format!("{key}{suffix}");
        let shape = [
            CHANNELS,
            self.size.height as usize,
            self.size.width as usize,
        ];
        npz.f32(&key(LATENTS), &shape, &self.latents)?;
        let original = self.original_size;
        npz.i64(
            &key(ORIGINAL_SIZE),
            &[2],
            &[original.width.into(), original.height.into()],
        )?;
        npz.f64(&key(CROP_LTRB), &[4], &self.crop_ltrb)?;
        if let Some(flipped) = &self.flipped {
            npz.f32(&key(FLIPPED), &shape, flipped)?;
        }
        if let Some((size, mask)) = &self.alpha_mask {
            npz.f32(
                &key(ALPHA_MASK),
                &[size.height as usize, size.width as usize],
                mask,
            )?;
        }
        Ok(())
    }
}

impl LatentsSample {
    /// Reads either the flipped latents, if `request.flipped`, or the others.
    ///
    /// # Errors
    /// Those of [`CachedLatents::read`].
    pub fn read(path: &Path, request: &LatentsRequest) -> Result<Self> {
        let mut arrays = Arrays::with_size(path, Npz::open(path)?, request.size)?;
        let latents = arrays.latents(if request.flipped { FLIPPED } else { LATENTS })?;
        let alpha_mask = match request.alpha_mask {
            Some(size) => {
                let mut mask = arrays.alpha_mask(size)?;
                if request.flipped {
                    mirror_rows(&mut mask, size.width as usize);
                }
                Some(mask)
            }
            None => None,
        };
        Ok(Self {
            latents,
            alpha_mask,
        })
    }
}

/// A cache file to which latents of another size are added.
#[derive(Debug)]
pub struct LatentsFile {
    npz: Npz<BufReader<File>>,
}

impl LatentsFile {
    /// Opens the file.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`], [`Error::CacheDamaged`], and [`Error::Io`] if it is missing or
    /// can't be read.
    pub fn open(path: &Path) -> Result<Self> {
        Npz::open(path).map(|npz| Self { npz })
    }

    /// The suffix of the names of arrays of this size in this file, as [`Arrays::with_size`]
    /// expects it.
    fn suffix_for(&mut self, size: Size) -> String {
        let suffix = suffix(size);
        let has_own = self.npz.contains(&format!("{LATENTS}{suffix}"));
        let plain_is_ours = !has_own
            && self
                .npz
                .shape(LATENTS)
                .is_ok_and(|shape| shape == latents_shape(size));
        if plain_is_ours { String::new() } else { suffix }
    }
}

/// The arrays of one size in a file.
struct Arrays<'a, R> {
    path: &'a Path,
    npz: Npz<R>,
    size: Size,
    suffix: String,
}

impl<'a, R: Read + Seek> Arrays<'a, R> {
    fn with_size(path: &'a Path, npz: Npz<R>, size: Size) -> Result<Self> {
        let own = suffix(size);
        let suffix = if npz.contains(&format!("{LATENTS}{own}")) {
            own
        } else {
            String::new()
        };
        Ok(Self {
            path,
            npz,
            size,
            suffix,
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{key}{}", self.suffix)
    }

    fn latents(&mut self, key: &str) -> Result<Vec<f32>> {
        self.npz.floats(&self.key(key), &latents_shape(self.size))
    }

    fn alpha_mask(&mut self, size: Size) -> Result<Vec<f32>> {
        self.npz.floats(
            &self.key(ALPHA_MASK),
            &[size.height.into(), size.width.into()],
        )
    }

    fn original_size(&mut self) -> Result<Size> {
        let key = self.key(ORIGINAL_SIZE);
        let [width, height] = self.npz.numbers(&key)?;
        let is_side = |side: f64| side >= 1.0 && side <= f64::from(u32::MAX) && side.fract() == 0.0;
        if is_side(width) && is_side(height) {
            return Ok(Size::new(width as u32, height as u32));
        }
        let found = format!("[{width}, {height}]");
        Err(Error::CacheValue {
            path: self.path.into(),
            key,
            found,
            expected: "width and height in pixels",
        })
    }

    fn crop_ltrb(&mut self) -> Result<[f64; 4]> {
        let key = self.key(CROP_LTRB);
        let crop = self.npz.numbers(&key)?;
        if crop.iter().all(|side| side.is_finite()) {
            return Ok(crop);
        }
        Err(Error::CacheValue {
            path: self.path.into(),
            key,
            found: format!("{crop:?}"),
            expected: "finite numbers",
        })
    }
}

/// The suffix of array names in newer versions of sd-scripts: height and width of the latents.
fn suffix(size: Size) -> String {
    format!("_{}x{}", size.height, size.width)
}

fn latents_shape(size: Size) -> [u64; 3] {
    [CHANNELS as u64, size.height.into(), size.width.into()]
}

#[cfg(test)]
mod tests;
