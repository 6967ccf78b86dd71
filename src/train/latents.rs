//! Latents of images, made once for all epochs: in memory or in files beside the images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::rng::{Purpose, Stream};
use lora_data::bucket::letterbox_crop_ltrb;
use lora_data::cache::{
    CachedLatents, LatentsFamily, LatentsFile, LatentsName, Origin, RetainedEntries,
    SourceFingerprint, Validity, is_newer_than, latents_candidates, latents_path,
};
use lora_data::{Alpha, Dataset, ImageSample, Item, Mask, Pixels, Size, mirror_rows};
use lora_models::{AutoencoderKl, Family};

use super::cache_files::{CacheFiles, Found, Wanted, refuse_shared, values};
use super::host_batch::{HostBatch, LatentPlace, network_input, wanted_latents};
use crate::config::{Compat, TrainConfig};
use crate::error::{Error, Result};

/// Counted up when the same image and VAE give other latents than before.
const VERSION: u32 = 1;

/// The latents of the data set.
#[derive(Debug)]
pub(super) enum LatentCache {
    /// On the device.
    Memory(Vec<InMemory>),
    /// In files.
    Disk(Box<OnDisk>),
    /// None: images are encoded in each step.
    Off,
}

/// The latents of an image, times the VAE's scaling factor. `[1, 4, h / 8, w / 8]`
#[derive(Debug)]
pub(super) struct InMemory {
    latents: Tensor<4>,
    /// Those of the mirrored image, where it is mirrored at times.
    flipped: Option<Tensor<4>>,
    /// What each place counts, `[h / 8, w / 8]`.
    mask: Option<Vec<f32>>,
}

impl LatentCache {
    /// The place that the configuration asks for.
    ///
    /// # Errors
    /// [`Error::SharedCache`].
    pub(super) fn new(config: &TrainConfig, dataset: &Dataset, family: Family) -> Result<Self> {
        let allowed = dataset
            .subsets()
            .iter()
            .all(|subset| subset.config.augmentation.allows_cached_latents());
        Ok(
            match (
                config.cache_latents_to_disk,
                config.cache_latents.unwrap_or(allowed),
            ) {
                (true, _) => {
                    let disk = OnDisk::new(family, config.compat);
                    // The shorter of the two names that are looked for.
                    refuse_shared(dataset.items().iter().map(|item| Wanted {
                        cache: latents_path(&item.path, item.size, disk.family, LatentsName::Stem),
                        image: &item.path,
                        slot: slot(item),
                        key: disk.key(dataset, item),
                    }))?;
                    Self::Disk(Box::new(disk))
                }
                (false, true) => Self::Memory(Vec::new()),
                (false, false) => Self::Off,
            },
        )
    }

    /// Bytes of the latents of all images and, on disk, of their masks.
    pub(super) fn bytes(&self, dataset: &Dataset) -> u64 {
        let bytes = |item: &Item| {
            let images = 1 + u64::from(dataset.subset_of(item).config.augmentation.flip_aug);
            // Four channels of four bytes for each 8x8 pixels.
            let latents = images * item.selection.bucket.area() / 64 * 16;
            let mask = wanted_latents(dataset, item)
                .alpha_mask
                .map_or(0, |size| 4 * size.area());
            match self {
                Self::Memory(_) => latents,
                Self::Disk(_) => latents + mask,
                Self::Off => 0,
            }
        };
        dataset.items().iter().map(bytes).sum()
    }

    /// Whether the VAE is needed in each step.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// How many images are done, of `total`; they are taken in the data set's order.
    pub(super) fn done(&self, total: usize) -> usize {
        match self {
            Self::Memory(latents) => latents.len(),
            Self::Disk(disk) => disk.count,
            Self::Off => total,
        }
    }

    /// Where batches find the latents.
    pub(super) fn place(&mut self) -> LatentPlace {
        match self {
            Self::Memory(_) => LatentPlace::Memory,
            Self::Disk(disk) => LatentPlace::Disk(std::mem::take(&mut disk.done)),
            Self::Off => LatentPlace::Pixels,
        }
    }

    /// The latents of a batch and what their places count, where they are in memory.
    pub(super) fn batch(&self, batch: &HostBatch) -> (Tensor<4>, Option<Vec<f32>>) {
        let Self::Memory(latents) = self else {
            unreachable!("the batch says where its latents are")
        };
        let images = || {
            batch
                .items
                .iter()
                .map(|item| &latents[*item])
                .zip(&batch.flipped)
        };
        let tensors = images().map(|(image, flipped)| match (&image.flipped, flipped) {
            (_, false) => image.latents.clone(),
            (Some(mirrored), true) => mirrored.clone(),
            (None, true) => unreachable!("an image that is mirrored at times has a mirror image"),
        });
        let tensors: Vec<Tensor<4>> = tensors.collect();
        let width = batch.size.width as usize / 8;
        let places = batch.size.area() as usize / 64;
        let mask = |(image, flipped): (&InMemory, &bool)| {
            let mut mask = image.mask.clone().unwrap_or_else(|| vec![1.0; places]);
            if *flipped {
                mirror_rows(&mut mask, width);
            }
            mask
        };
        let has_masks = images().any(|(image, _)| image.mask.is_some());
        (
            Tensor::cat(tensors, 0),
            has_masks.then(|| images().flat_map(mask).collect()),
        )
    }
}

/// An image's latents before scaling.
#[derive(Debug)]
pub(super) struct EncodedImage {
    latents: Tensor<4>,
    flipped: Option<Tensor<4>>,
    mask: Option<Mask>,
}

/// Encodes an image and, where it is mirrored at times, its mirror image. One draw from the
/// posterior of each serves all epochs, as in sd-scripts.
pub(super) fn encode(
    dataset: &Dataset,
    index: usize,
    vae: &AutoencoderKl,
    seed: u64,
    device: &Device,
) -> Result<EncodedImage> {
    let item = &dataset.items()[index];
    let ImageSample { mut pixels, mask } = dataset.load(item, &dataset.centre_crop(item))?;
    let latents = |pixels: &Pixels, mirrored: bool| -> Result<Tensor<4>> {
        let Size { width, height } = pixels.size();
        let shape = [1, 3, height as usize, width as usize];
        let input = TensorData::new(network_input(pixels.as_bytes()), shape);
        let posterior = vae.encode(Tensor::from_data(input, device));
        let mut stream = Stream::new(seed, Purpose::Posterior, mirrored.into(), index as u64);
        let noise = stream.normal_tensor(posterior.mean.dims(), device);
        let latents = posterior.sample(noise);
        if !latents.clone().sum().into_scalar::<f32>().is_finite() {
            return Err(Error::LatentsNotFinite {
                path: item.path.clone(),
            });
        }
        Ok(latents)
    };
    let upright = latents(&pixels, false)?;
    let flipped = match dataset.subset_of(item).config.augmentation.flip_aug {
        true => {
            pixels.flip();
            Some(latents(&pixels, true)?)
        }
        false => None,
    };
    Ok(EncodedImage {
        latents: upright,
        flipped,
        mask,
    })
}

impl EncodedImage {
    pub(super) fn into_memory(self, scaling_factor: f64) -> InMemory {
        InMemory {
            latents: self.latents * scaling_factor,
            flipped: self.flipped.map(|flipped| flipped * scaling_factor),
            mask: self.mask.map(|mask| mask.to_latents()),
        }
    }
}

/// The files of latents beside the images.
#[derive(Debug)]
pub(super) struct OnDisk {
    family: LatentsFamily,
    name: LatentsName,
    /// A hash of the VAE.
    vae: String,
    files: CacheFiles,
    /// Files of another program that are used in this run.
    foreign: HashSet<PathBuf>,
    /// The file of each image that is done, until batches take them.
    done: Vec<PathBuf>,
    /// How many images are done.
    count: usize,
}

impl OnDisk {
    fn new(family: Family, compat: Compat) -> Self {
        Self {
            family: if family == Family::Sdxl {
                LatentsFamily::Sdxl
            } else {
                LatentsFamily::Sd
            },
            name: if compat == Compat::SdScripts {
                LatentsName::Stem
            } else {
                LatentsName::WithSize
            },
            vae: String::new(),
            files: CacheFiles::default(),
            foreign: HashSet::new(),
            done: Vec::new(),
            count: 0,
        }
    }

    /// Says which VAE the latents must be of, unless it is said.
    pub(super) fn set_vae(&mut self, digest: impl FnOnce() -> Result<String>) -> Result<()> {
        if self.vae.is_empty() {
            self.vae = digest()?;
        }
        Ok(())
    }

    /// The file that is written for an image.
    fn path(&self, item: &Item) -> PathBuf {
        latents_path(&item.path, item.size, self.family, self.name)
    }

    /// Looks for the latents of the next image.
    pub(super) fn find(&mut self, dataset: &Dataset) -> Result<Found> {
        let item = &dataset.items()[self.count];
        let (key, slot) = (self.key(dataset, item), slot(item));
        let origin = Origin {
            slot: &slot,
            source: Some(&item.path),
            key: &key,
        };
        let mut found = Found::Nothing;
        for path in latents_candidates(&item.path, item.size, self.family, self.name) {
            let reason = match self.files.records(&item.path)?.check(&path, &origin)? {
                Validity::Valid => return Ok(Found::Usable(path)),
                Validity::Missing => continue,
                Validity::Stale(reason) => reason.to_string(),
                Validity::Unknown => match foreign(dataset, item, &path) {
                    Ok(true) => {
                        self.files.use_foreign();
                        self.foreign.insert(path.clone());
                        return Ok(Found::Usable(path));
                    }
                    Ok(false) => "it is older than its image, or made in another way".into(),
                    Err(error) if error.is_bad_cache() => error.to_string(),
                    Err(error) => return Err(error.into()),
                },
            };
            if matches!(found, Found::Nothing) {
                found = Found::Outdated(format!("`{}` is made again: {reason}", path.display()));
            }
        }
        Ok(found)
    }

    /// Takes a usable file for the next image.
    pub(super) fn take(&mut self, path: PathBuf) {
        self.done.push(path);
        self.count += 1;
    }

    /// Writes the latents of the next image, beside those of other sizes that its file holds.
    /// `seen` is what the image was before it was read.
    pub(super) fn write(
        &mut self,
        dataset: &Dataset,
        encoded: EncodedImage,
        seen: SourceFingerprint,
    ) -> Result<()> {
        let item = &dataset.items()[self.count];
        let path = self.path(item);
        let (key, slot) = (self.key(dataset, item), slot(item));
        let wanted = wanted_latents(dataset, item);
        let latents = CachedLatents {
            size: wanted.size,
            latents: values(encoded.latents),
            flipped: encoded.flipped.map(values),
            alpha_mask: wanted
                .alpha_mask
                .map(|size| (size, weights(encoded.mask, size))),
            original_size: item.size,
            crop_ltrb: letterbox_crop_ltrb(item.selection.bucket, item.size),
        };
        let kept = self.files.records(&item.path)?.retained_entries(&path)?;
        // What else is in the file stays there, if it is known to be good.
        let is_kept = !kept.is_empty() || self.foreign.contains(&path);
        let others = if is_kept {
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
        self.take(path);
        Ok(())
    }

    pub(super) fn files(&mut self) -> &mut CacheFiles {
        &mut self.files
    }

    /// Everything that the latents depend on besides the image itself.
    fn key(&self, dataset: &Dataset, item: &Item) -> String {
        let subset = &dataset.subset_of(item).config;
        let selection = &item.selection;
        let has_mask = wanted_latents(dataset, item).alpha_mask.is_some();
        format!(
            "version {VERSION}; vae {} f32; {} to {} crop {:?}; {:?}; flip {}; alpha {:?}, mask \
             {has_mask}; {:?}",
            self.vae,
            selection.resized,
            selection.bucket,
            selection.centre_crop(),
            dataset.options().decode,
            subset.augmentation.flip_aug,
            subset.alpha,
            subset.resize_interpolation
        )
    }
}

/// Whether a file of another program can be used: it must be complete and fit, and be newer than
/// its image.
fn foreign(dataset: &Dataset, item: &Item, path: &Path) -> lora_data::Result<bool> {
    // What lies under transparency, or a filter, is nothing that a shape shows.
    let subset = &dataset.subset_of(item).config;
    let is_plain =
        !matches!(subset.alpha, Alpha::Background(_)) && subset.resize_interpolation.is_none();
    let read = CachedLatents::read(path, &wanted_latents(dataset, item))?;
    let is_mask = |(size, weights)| Mask::new(size, weights).is_some();
    // Other programs take photographs as they are stored.
    let is_turned = lora_data::is_reoriented(&item.path, &dataset.options().decode)?;
    let is_same = read.original_size == item.size;
    Ok(is_plain
        && is_same
        && !is_turned
        && read.alpha_mask.is_none_or(is_mask)
        && is_newer_than(path, &item.path)?)
}

/// The latents' size, which tells them from others in their file.
fn slot(item: &Item) -> String {
    let Size { width, height } = item.selection.bucket;
    format!("latents {}x{}", width / 8, height / 8)
}

fn weights(mask: Option<Mask>, size: Size) -> Vec<f32> {
    mask.map_or_else(|| vec![1.0; size.area() as usize], Mask::into_weights)
}
