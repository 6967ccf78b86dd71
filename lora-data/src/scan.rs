//! From subsets to images with captions: reads file names, captions and image headers, no pixels.

pub(crate) mod folder;
pub(crate) mod listing;
mod masks;
pub mod metadata_file;
pub(crate) mod size_index;
mod source;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DynamicImage;
use rayon::prelude::*;

use self::masks::Masks;
use self::size_index::SizeIndex;
use self::source::Candidate;
use crate::caption::{self, CaptionSource};
use crate::config::{DatasetOptions, Subset};
use crate::error::{Error, Result};
use crate::fingerprint::Stamp;
use crate::image::header::{HeaderSize, header_size};
use crate::image::options::ExifOrientation;
use crate::notice::{FileSummary, Notice};
use crate::size::Size;

/// An image with its caption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScannedImage {
    pub(crate) path: PathBuf,
    pub(crate) image: Option<Arc<DynamicImage>>,
    /// Upright if orientation is applied.
    pub(crate) size: Size,
    pub(crate) caption: String,
    pub(crate) caption_source: CaptionSource,
    /// The image with the weights of the loss.
    pub(crate) mask: Option<PathBuf>,
    /// The resolution in the metadata file.
    pub(crate) train_resolution: Option<Size>,
}

/// The contents of a subset.
#[derive(Debug, Default)]
pub(crate) struct SubsetScan {
    /// Sorted by path; images of a program in their own order.
    pub(crate) images: Vec<ScannedImage>,
    pub(crate) notices: Vec<Notice>,
    /// Files in the folder of masks that are the mask of no image.
    pub(crate) unused_masks: Vec<PathBuf>,
    /// Errors in the order of the paths.
    pub(crate) problems: Vec<Error>,
}

/// A header that the size index does not contain yet.
#[derive(Debug)]
struct NewHeader {
    stamp: Stamp,
    size: HeaderSize,
}

/// Reads a subset. Errors of single files are collected.
///
/// # Errors
/// The error of a folder or list that cannot be read at all.
pub(crate) fn scan(
    subset: &Subset,
    options: &DatasetOptions,
    index: &mut SizeIndex,
) -> Result<SubsetScan> {
    let mut scan = SubsetScan::default();
    let candidates = source::candidates(subset, options, &mut scan.notices, &mut scan.problems)?;
    let masks = match &subset.conditioning_data_dir {
        Some(dir) => {
            let paths = candidates.iter().map(|candidate| candidate.path.as_path());
            Some(Masks::read(
                dir,
                paths,
                &mut scan.unused_masks,
                &mut scan.problems,
            )?)
        }
        None => None,
    };
    if options.cache_info {
        let files = candidates.iter().filter(|image| image.image.is_none());
        index.load(files.map(|file| file.path.as_path()));
    }
    let reader = Reader {
        subset,
        options,
        masks,
        known: index,
    };
    let images: Vec<Result<(ScannedImage, Option<NewHeader>)>> = candidates
        .into_par_iter()
        .map(|candidate| reader.read(candidate))
        .collect();
    let mut without_caption = Vec::new();
    for image in images {
        match image {
            Ok((image, new)) => {
                if let Some(NewHeader { stamp, size }) = new
                    && options.cache_info
                {
                    index.remember(&image.path, stamp, size);
                }
                if image.caption_source == CaptionSource::Missing {
                    without_caption.push(image.path.clone());
                }
                scan.images.push(image);
            }
            Err(error) => scan.problems.push(error),
        }
    }
    scan.notices
        .extend(FileSummary::from_paths(without_caption).map(Notice::NoCaption));
    Ok(scan)
}

#[derive(Debug)]
struct Reader<'a> {
    subset: &'a Subset,
    options: &'a DatasetOptions,
    masks: Option<Masks<'a>>,
    known: &'a SizeIndex,
}

impl Reader<'_> {
    /// Reads one image's header and caption. Also returns the header if it was not in the index.
    fn read(&self, candidate: Candidate) -> Result<(ScannedImage, Option<NewHeader>)> {
        let Candidate {
            path,
            image,
            caption,
            train_resolution,
        } = candidate;
        let (header, new) = match &image {
            Some(image) => (HeaderSize::from_image(image), None),
            None => self.header(&path)?,
        };
        let size = self.effective(header);
        let mask = match &self.masks {
            Some(masks) => Some(masks.mask_path(&path)?),
            None => None,
        };
        if let Some(mask) = &mask {
            let found = self.effective(header_size(mask)?);
            if found != size {
                return Err(Error::MaskSize {
                    path: mask.clone(),
                    found,
                    image: path,
                    expected: size,
                });
            }
        }
        let (caption, caption_source) = match caption {
            Some(caption) if caption.is_empty() && self.subset.is_from_program() => {
                self.class_tokens()
            }
            Some(caption) => (caption, CaptionSource::Metadata),
            None => self.caption(&path)?,
        };
        let image = ScannedImage {
            path,
            image,
            size,
            caption,
            caption_source,
            mask,
            train_resolution,
        };
        Ok((image, new))
    }

    fn header(&self, path: &Path) -> Result<(HeaderSize, Option<NewHeader>)> {
        let stamp = Stamp::read(path).map_err(Error::for_image)?;
        if let Some(known) = self.known.size(path, stamp) {
            return Ok((known, None));
        }
        let size = header_size(path).map_err(Error::for_image)?;
        Ok((size, Some(NewHeader { stamp, size })))
    }

    fn effective(&self, header: HeaderSize) -> Size {
        match self.options.decode.exif_orientation {
            ExifOrientation::Apply => header.upright,
            ExifOrientation::Ignore => header.stored,
        }
    }

    fn caption(&self, image: &Path) -> Result<(String, CaptionSource)> {
        let extension = &self.subset.caption_extension;
        if let Some(file) = caption::find_file(image, extension) {
            let text = caption::read_file(&file, self.subset.captions.enable_wildcard)?;
            return Ok((text, CaptionSource::File));
        }
        if self.options.strict_captions {
            let expected = image.with_extension(OsStr::new(extension.trim_start_matches('.')));
            return Err(Error::ImageWithoutCaption {
                path: image.into(),
                expected,
            });
        }
        Ok(self.class_tokens())
    }

    fn class_tokens(&self) -> (String, CaptionSource) {
        match &self.subset.class_tokens {
            Some(words) => (words.clone(), CaptionSource::ClassTokens),
            None => (String::new(), CaptionSource::Missing),
        }
    }
}
