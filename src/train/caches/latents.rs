//! Latents of images, encoded once for all epochs: in memory or in files next to the images.
//!
//! A [`LatentPlan`] becomes a [`LatentFiller`] when caching starts, and this a [`LatentSource`]
//! when every image is encoded.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Tensor;
use lora_data::cache::SourceFingerprint;
use lora_data::{Dataset, Item, mirror_rows};

use super::files::Lookup;
use super::fill_outcome::FillOutcome;
use super::latent_encoding::{EncodedImage, encode};
use super::latent_files::{LatentFiles, LatentFilesPlan, wanted_latents};
use crate::error::Result;
use crate::settings::{Caching, RunSettings};
use crate::train::model::base::Base;
use crate::warning::Warning;

/// The planned source of latents.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LatentPlan {
    Memory,
    Files(LatentFilesPlan),
    /// Every step encodes its images.
    Vae,
}

impl LatentPlan {
    /// The plan that the settings ask for, or that the augmentations allow.
    ///
    /// # Errors
    /// [`Error::SharedCache`](crate::Error::SharedCache) and
    /// [`Error::CacheUsedTwice`](crate::Error::CacheUsedTwice).
    pub(crate) fn new(settings: &RunSettings, dataset: &Dataset) -> Result<Self> {
        let mut subsets = dataset.subsets().iter();
        match settings.caches.latents {
            Caching::Files => {
                let plan = LatentFilesPlan::new(settings.family, settings.compat);
                plan.refuse_shared(dataset)?;
                Ok(Self::Files(plan))
            }
            Caching::Memory => Ok(Self::Memory),
            Caching::MemoryIfPossible
                if subsets.all(|subset| subset.config.augmentation.allows_cached_latents()) =>
            {
                Ok(Self::Memory)
            }
            Caching::MemoryIfPossible | Caching::Off => Ok(Self::Vae),
        }
    }

    /// True if latents are encoded once, before training.
    pub(crate) fn is_cached(self) -> bool {
        !matches!(self, Self::Vae)
    }

    /// Bytes of the latents of all images and, on disk, of their masks.
    pub(crate) fn bytes(self, dataset: &Dataset) -> u64 {
        let items = dataset.items().iter();
        match self {
            Self::Memory => items.map(|item| latent_bytes(dataset, item)).sum(),
            Self::Files(_) => items
                .map(|item| latent_bytes(dataset, item) + mask_bytes(dataset, item))
                .sum(),
            Self::Vae => 0,
        }
    }
}

fn latent_bytes(dataset: &Dataset, item: &Item) -> u64 {
    let images = 1 + u64::from(dataset.subset_of(item).config.augmentation.flip_aug);
    // Four channels of four bytes for each 8x8 pixels.
    images * item.selection.bucket.area() / 64 * 16
}

fn mask_bytes(dataset: &Dataset, item: &Item) -> u64 {
    let mask = wanted_latents(dataset, item).alpha_mask;
    mask.map_or(0, |size| 4 * size.area())
}

/// Encodes latents, or finds their files, image by image.
#[derive(Debug)]
pub(crate) enum LatentFiller {
    Memory(Vec<MemoryLatents>),
    Files(Box<LatentFiles>),
    Vae,
}

impl LatentFiller {
    pub(crate) fn new(plan: LatentPlan, base: &Base) -> Result<Self> {
        match plan {
            LatentPlan::Memory => Ok(Self::Memory(Vec::new())),
            LatentPlan::Files(plan) => {
                let vae = base.checkpoint().vae_digest()?;
                Ok(Self::Files(Box::new(LatentFiles::new(plan, vae))))
            }
            LatentPlan::Vae => Ok(Self::Vae),
        }
    }

    /// The number of images that are done; they come in the dataset's order.
    pub(crate) fn done(&self) -> usize {
        match self {
            Self::Memory(latents) => latents.len(),
            Self::Files(files) => files.done(),
            Self::Vae => 0,
        }
    }

    /// Encodes the next image, or finds its file. `None` if all are done. Warnings are added to
    /// `warnings`, even if encoding fails.
    pub(crate) fn fill_next(
        &mut self,
        dataset: &Dataset,
        seed: u64,
        base: &mut Base,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<FillOutcome>> {
        let index = self.done();
        let Some(item) = dataset.items().get(index) else {
            return Ok(None);
        };
        match self {
            Self::Vae => Ok(None),
            Self::Memory(latents) => {
                let encoded = encode(dataset, index, seed, base)?;
                let scaling_factor = base.checkpoint().scaling_factor();
                latents.push(MemoryLatents::new(encoded, scaling_factor));
                Ok(Some(FillOutcome::Encoded))
            }
            Self::Files(files) => {
                match files.find(dataset)? {
                    Lookup::Usable(path) => {
                        files.use_file(path);
                        return Ok(Some(FillOutcome::Reused));
                    }
                    Lookup::Stale { path, reason } => {
                        warnings.extend(files.count_stale(path, reason));
                    }
                    Lookup::Missing => {}
                }
                let seen = SourceFingerprint::read(&item.path)?;
                let encoded = encode(dataset, index, seed, base)?;
                files.write(dataset, encoded, seen)?;
                Ok(Some(FillOutcome::Encoded))
            }
        }
    }

    /// Warnings about all files.
    pub(crate) fn summary(&self) -> Vec<Warning> {
        match self {
            Self::Files(files) => files.summary(),
            Self::Memory(_) | Self::Vae => Vec::new(),
        }
    }

    /// The latents of all images.
    pub(crate) fn finish(self) -> LatentSource {
        match self {
            Self::Memory(latents) => LatentSource::Memory(Arc::new(latents)),
            Self::Files(files) => LatentSource::Files(files.into_paths()),
            Self::Vae => LatentSource::Vae,
        }
    }
}

/// The source of the latents of batches.
#[derive(Debug)]
pub(crate) enum LatentSource {
    /// On the device, by item.
    Memory(Arc<Vec<MemoryLatents>>),
    /// In these files, by item.
    Files(Vec<PathBuf>),
    /// From pixels, in every step.
    Vae,
}

impl LatentSource {
    /// True if every step needs the VAE.
    pub(crate) fn needs_vae(&self) -> bool {
        matches!(self, Self::Vae)
    }
}

/// The latents of an image, times the VAE's scaling factor. `[1, 4, h / 8, w / 8]`
#[derive(Debug)]
pub(crate) struct MemoryLatents {
    upright: Tensor<4>,
    /// The latents of the mirrored image, with `flip_aug`.
    mirrored: Option<Tensor<4>>,
    /// The loss weight of each latent pixel, `[h / 8, w / 8]`.
    mask: Option<Vec<f32>>,
}

impl MemoryLatents {
    fn new(encoded: EncodedImage, scaling_factor: f64) -> Self {
        Self {
            upright: encoded.upright * scaling_factor,
            mirrored: encoded.mirrored.map(|mirrored| mirrored * scaling_factor),
            mask: encoded.mask.map(|mask| mask.to_latents()),
        }
    }

    /// The latents of the image or, with `flip_aug`, of the mirrored image.
    pub(crate) fn latents(&self, flipped: bool) -> Tensor<4> {
        match &self.mirrored {
            Some(mirrored) if flipped => mirrored.clone(),
            _ => self.upright.clone(),
        }
    }

    /// The loss weights of the latent pixels.
    pub(crate) fn mask(&self, flipped: bool) -> Option<Vec<f32>> {
        let mut mask = self.mask.clone()?;
        if flipped {
            let [.., width] = self.upright.dims();
            mirror_rows(&mut mask, width);
        }
        Some(mask)
    }
}
