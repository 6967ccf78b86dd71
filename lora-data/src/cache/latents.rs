//! Latents of an image in a file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use super::npz::{Npz, NpzWriter};
use crate::bucket::Size;
use crate::error::{Error, Result};
use crate::mask::mirror_rows;

/// Channels of the latents of every Stable Diffusion VAE.
const CHANNELS: usize = 4;

/// The names of a file's arrays, without what tells several sizes apart.
const LATENTS: &str = "latents";
const FLIPPED: &str = "latents_flipped";
const ALPHA_MASK: &str = "alpha_mask";
const ORIGINAL_SIZE: &str = "original_size";
const CROP_LTRB: &str = "crop_ltrb";

/// What the VAE made of one image, and what else sd-scripts keeps with it.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedLatents {
    /// Width and height of the latents: an eighth of the bucket's.
    pub size: Size,
    /// A sample of the posterior, before the VAE's scaling factor. `[4, h, w]`
    pub latents: Vec<f32>,
    /// The same of the mirrored image; only with `flip_aug`. `[4, h, w]`
    pub flipped: Option<Vec<f32>>,
    /// Size and weights (0 to 1) of the pixels that were encoded; only with `alpha_mask`. `[height,
    /// width]`
    pub alpha_mask: Option<(Size, Vec<f32>)>,
    /// The image's size before it was resized.
    pub original_size: Size,
    /// sd-scripts' `crop_ltrb` in pixels: left, top, right, bottom.
    pub crop_ltrb: [f64; 4],
}

/// What a file of latents must hold to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedLatents {
    /// Width and height of the latents: an eighth of the bucket's.
    pub size: Size,
    /// Whether the latents of the mirrored image are needed.
    pub flipped: bool,
    /// The bucket, where a mask of its size is needed.
    pub alpha_mask: Option<Size>,
}

/// What one step of training takes from a file of latents.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentsSample {
    /// Latents of the image or of its mirror image. `[4, h, w]`
    pub latents: Vec<f32>,
    /// The mask, mirrored where the latents are. `[height, width]`
    pub alpha_mask: Option<Vec<f32>>,
}

impl CachedLatents {
    /// Reads everything that is `wanted`, and the mirrored latents and the mask only where they
    /// are.
    ///
    /// Of a file with several sizes, the arrays whose names end in the wanted one are taken
    /// (`latents_64x48` is 64 high); without these, those with plain names.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`]; an error that [`is_bad_cache`](Error::is_bad_cache) where the file
    /// is damaged, an array is missing, or has another shape, type or impossible numbers;
    /// [`Error::Io`] where it can't be read.
    pub fn read(path: &Path, wanted: &WantedLatents) -> Result<Self> {
        let mut arrays = Arrays::of_size(path, Npz::open(path)?, wanted.size)?;
        Ok(Self {
            size: wanted.size,
            latents: arrays.latents(LATENTS)?,
            flipped: if wanted.flipped {
                Some(arrays.latents(FLIPPED)?)
            } else {
                None
            },
            alpha_mask: match wanted.alpha_mask {
                Some(size) => Some((size, arrays.alpha_mask(size)?)),
                None => None,
            },
            original_size: arrays.original_size()?,
            crop_ltrb: arrays.crop_ltrb()?,
        })
    }

    /// Writes a file with this size only, under the names that every sd-scripts reads.
    ///
    /// # Errors
    /// What `out` fails with, and [`io::ErrorKind::InvalidInput`] where lengths and sizes do not
    /// agree.
    pub fn write(&self, out: impl Write + Seek) -> io::Result<()> {
        let mut npz = NpzWriter::new(out);
        self.write_arrays(&mut npz, "")?;
        npz.finish()
    }

    /// Writes a file with all that `others` holds, byte for byte, and this size: under names that
    /// end in it, unless the plain ones are of this size already. What `others` holds of this size
    /// is replaced.
    ///
    /// `others` is closed when this returns, so that the new file can take its name.
    ///
    /// # Errors
    /// Those of [`write`](Self::write), and what `others` fails with.
    pub fn write_beside(&self, mut others: OtherLatents, out: impl Write + Seek) -> io::Result<()> {
        let suffix = others.slot(self.size);
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
    /// Reads the mirrored latents where `wanted.flipped`, otherwise the others, and not both.
    ///
    /// # Errors
    /// Those of [`CachedLatents::read`].
    pub fn read(path: &Path, wanted: &WantedLatents) -> Result<Self> {
        let mut arrays = Arrays::of_size(path, Npz::open(path)?, wanted.size)?;
        let latents = arrays.latents(if wanted.flipped { FLIPPED } else { LATENTS })?;
        let mut alpha_mask = wanted
            .alpha_mask
            .map(|size| arrays.alpha_mask(size))
            .transpose()?;
        if let (true, Some(size), Some(mask)) = (wanted.flipped, wanted.alpha_mask, &mut alpha_mask)
        {
            mirror_rows(mask, size.width as usize);
        }
        Ok(Self {
            latents,
            alpha_mask,
        })
    }
}

/// A file with latents of other sizes, to which one is added.
#[derive(Debug)]
pub struct OtherLatents {
    npz: Npz<BufReader<File>>,
}

impl OtherLatents {
    /// Opens the file.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`], [`Error::CacheDamaged`], and [`Error::Io`] where it is missing or
    /// can't be read.
    pub fn open(path: &Path) -> Result<Self> {
        Npz::open(path).map(|npz| Self { npz })
    }

    /// The ending of the names that latents of this size get in this file: where
    /// [`Arrays::of_size`] finds them.
    fn slot(&mut self, size: Size) -> String {
        let suffix = suffix(size);
        let has_own = self.npz.contains(&format!("{LATENTS}{suffix}"));
        let plain_is_ours = !has_own
            && self
                .npz
                .shape(LATENTS)
                .is_ok_and(|shape| shape == shape_of(size));
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
    fn of_size(path: &'a Path, npz: Npz<R>, size: Size) -> Result<Self> {
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
        self.npz.floats(&self.key(key), &shape_of(self.size))
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

/// What newer versions of sd-scripts append to the names of arrays: height and width of the
/// latents.
fn suffix(size: Size) -> String {
    format!("_{}x{}", size.height, size.width)
}

fn shape_of(size: Size) -> [u64; 3] {
    [CHANNELS as u64, size.height.into(), size.width.into()]
}

#[cfg(test)]
mod tests;
