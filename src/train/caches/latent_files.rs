//! Latents in files next to the images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lora_data::bucket::letterbox_crop_ltrb;
use lora_data::cache::{
    CachedLatents, LatentsFamily, LatentsFile, LatentsName, LatentsRequest, Origin,
    RetainedEntries, SourceFingerprint, Validity, is_newer_than, latents_candidates, latents_path,
};
use lora_data::{Alpha, Dataset, Item, Mask, Size};
use lora_models::Family;

use super::files::{CacheEntry, CacheFiles, Lookup, refuse_shared, values};
use super::latent_encoding::EncodedImage;
use crate::config::Compat;
use crate::error::Result;
use crate::warning::{CacheContent, Warning};

/// Incremented when the same image and VAE give other latents than before.
const VERSION: u32 = 1;

/// The naming of cache files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LatentFilesPlan {
    family: LatentsFamily,
    name: LatentsName,
}

impl LatentFilesPlan {
    pub(super) fn new(family: Family, compat: Compat) -> Self {
        Self {
            family: match family {
                Family::Sd1 | Family::Sd2 => LatentsFamily::Sd,
                Family::Sdxl => LatentsFamily::Sdxl,
            },
            name: match compat {
                Compat::None => LatentsName::WithSize,
                Compat::SdScripts => LatentsName::Stem,
            },
        }
    }

    /// Refuses images that would share a file.
    pub(super) fn refuse_shared(self, dataset: &Dataset) -> Result<()> {
        refuse_shared(dataset.items().iter().map(|item| CacheEntry {
            // The shorter of the two names.
            cache: latents_path(&item.path, item.size, self.family, LatentsName::Stem),
            image: &item.path,
            slot: slot(item),
            // The same VAE encodes all images.
            key: key("", dataset, item),
        }))
    }
}

/// Finds usable files of latents and writes the others.
#[derive(Debug)]
pub(crate) struct LatentFiles {
    plan: LatentFilesPlan,
    /// A hash of the VAE.
    vae: String,
    files: CacheFiles,
    /// The files of other programs that this run uses.
    external: HashSet<PathBuf>,
    /// The file of each image that is done.
    paths: Vec<PathBuf>,
}

impl LatentFiles {
    pub(super) fn new(plan: LatentFilesPlan, vae: String) -> Self {
        Self {
            plan,
            vae,
            files: CacheFiles::new(CacheContent::Latents),
            external: HashSet::new(),
            paths: Vec::new(),
        }
    }

    /// The number of images that are done.
    pub(super) fn done(&self) -> usize {
        self.paths.len()
    }

    /// Looks for the latents of the next image.
    pub(super) fn find(&mut self, dataset: &Dataset) -> Result<Lookup> {
        let item = &dataset.items()[self.done()];
        let (key, slot) = (key(&self.vae, dataset, item), slot(item));
        let origin = Origin {
            slot: &slot,
            source: Some(&item.path),
            key: &key,
        };
        let mut found = Lookup::Missing;
        let LatentFilesPlan { family, name } = self.plan;
        for path in latents_candidates(&item.path, item.size, family, name) {
            let reason = match self.files.records(&item.path)?.check(&path, &origin)? {
                Validity::Valid => return Ok(Lookup::Usable(path)),
                Validity::Missing => continue,
                Validity::Stale(reason) => reason.to_string(),
                Validity::Unknown => match is_usable_external(dataset, item, &path) {
                    Ok(true) => {
                        self.files.count_external();
                        self.external.insert(path.clone());
                        return Ok(Lookup::Usable(path));
                    }
                    Ok(false) => "it is older than its image or was made in another way".into(),
                    Err(error) if error.is_bad_cache() => error.to_string(),
                    Err(error) => return Err(error.into()),
                },
            };
            if matches!(found, Lookup::Missing) {
                found = Lookup::Stale { path, reason };
            }
        }
        Ok(found)
    }

    /// Counts a file that is computed again. The first few give a warning each.
    pub(super) fn count_stale(&mut self, path: PathBuf, reason: String) -> Option<Warning> {
        self.files.count_stale(path, reason)
    }

    /// Uses a file for the next image.
    pub(super) fn use_file(&mut self, path: PathBuf) {
        self.paths.push(path);
    }

    /// Writes the latents of the next image, next to those of other sizes that its file holds.
    /// `seen` is the state of the image before it was read.
    pub(super) fn write(
        &mut self,
        dataset: &Dataset,
        encoded: EncodedImage,
        seen: SourceFingerprint,
    ) -> Result<()> {
        let item = &dataset.items()[self.done()];
        let path = latents_path(&item.path, item.size, self.plan.family, self.plan.name);
        let (key, slot) = (key(&self.vae, dataset, item), slot(item));
        let latents = cached_latents(dataset, item, encoded);
        let kept = self.files.records(&item.path)?.retained_entries(&path)?;
        // Other arrays in the file stay if they are known to be good.
        let others = if !kept.is_empty() || self.external.contains(&path) {
            LatentsFile::open(&path).ok()
        } else {
            None
        };
        let kept = if others.is_some() {
            kept
        } else {
            RetainedEntries::default()
        };
        let origin = Origin {
            slot: &slot,
            source: Some(&item.path),
            key: &key,
        };
        self.files.write(
            &item.path,
            &path,
            &origin,
            Some(seen),
            kept,
            |file| match others {
                Some(others) => latents.write_merged(others, file),
                None => latents.write(file),
            },
        )?;
        self.use_file(path);
        Ok(())
    }

    /// Warnings about all files.
    pub(super) fn summary(&self) -> Vec<Warning> {
        self.files.summary()
    }

    /// The files of all images.
    pub(super) fn into_paths(self) -> Vec<PathBuf> {
        self.paths
    }
}

fn cached_latents(dataset: &Dataset, item: &Item, encoded: EncodedImage) -> CachedLatents {
    let wanted = wanted_latents(dataset, item);
    CachedLatents {
        size: wanted.size,
        latents: values(encoded.upright),
        flipped: encoded.mirrored.map(values),
        alpha_mask: wanted
            .alpha_mask
            .map(|size| (size, mask_weights(encoded.mask, size))),
        original_size: item.size,
        crop_ltrb: letterbox_crop_ltrb(item.selection.bucket, item.size),
    }
}

/// Everything that latents depend on besides the image itself; a file is stale if this differs.
fn key(vae: &str, dataset: &Dataset, item: &Item) -> String {
    let subset = &dataset.subset_of(item).config;
    let selection = &item.selection;
    let has_mask = wanted_latents(dataset, item).alpha_mask.is_some();
    format!(
        "version {VERSION}; vae {vae} f32; {} to {} crop {:?}; {:?}; flip {}; alpha {:?}, mask \
         {has_mask}; {:?}",
        selection.resized,
        selection.bucket,
        selection.centre_crop(),
        dataset.options().decode,
        subset.augmentation.flip_aug,
        subset.alpha,
        subset.resize_interpolation
    )
}

/// True if a file of another program can be used: it must be complete, fit, and be newer than its
/// image.
fn is_usable_external(dataset: &Dataset, item: &Item, path: &Path) -> lora_data::Result<bool> {
    // Shapes do not show the colour under transparency, or the resize filter.
    let subset = &dataset.subset_of(item).config;
    let is_plain =
        !matches!(subset.alpha, Alpha::Background(_)) && subset.resize_interpolation.is_none();
    let read = CachedLatents::read(path, &wanted_latents(dataset, item))?;
    // Other programs ignore the Exif orientation.
    let is_reoriented = lora_data::is_reoriented(&item.path, &dataset.options().decode)?;
    let is_same = read.original_size == item.size;
    let has_good_mask = read
        .alpha_mask
        .is_none_or(|(size, weights)| Mask::new(size, weights).is_some());
    Ok(is_plain && is_same && !is_reoriented && has_good_mask && is_newer_than(path, &item.path)?)
}

/// The size of the latents, which distinguishes them from others in their file.
fn slot(item: &Item) -> String {
    let Size { width, height } = item.selection.bucket;
    format!("latents {}x{}", width / 8, height / 8)
}

fn mask_weights(mask: Option<Mask>, size: Size) -> Vec<f32> {
    mask.map_or_else(|| vec![1.0; size.area() as usize], Mask::into_weights)
}

/// The arrays that the cache file of an image must hold.
pub(crate) fn wanted_latents(dataset: &Dataset, item: &Item) -> LatentsRequest {
    let subset = &dataset.subset_of(item).config;
    let Size { width, height } = item.selection.bucket;
    LatentsRequest {
        size: Size::new(width / 8, height / 8),
        flipped: subset.augmentation.flip_aug,
        alpha_mask: (subset.alpha == Alpha::Mask && item.mask.is_none())
            .then_some(item.selection.bucket),
    }
}
