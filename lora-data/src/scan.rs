//! From subsets to images with captions: file names, captions and image headers, no pixels.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DynamicImage;
use rayon::prelude::*;

use crate::bucket::Size;
use crate::caption::{self, CaptionSource};
use crate::config::{DatasetOptions, ImageSource, Source, Subset, TrainImage};
use crate::error::{Error, Result};
use crate::fingerprint::Stamp;
use crate::image::{ExifOrientation, header_size};
use crate::index::{HeaderSize, SizeIndex};
use crate::listing::Listing;
use crate::metadata_file;
use crate::notice::{Notice, Several};

/// An image with its caption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) image: Option<Arc<DynamicImage>>,
    /// Upright if orientation is applied.
    pub(crate) size: Size,
    pub(crate) caption: String,
    pub(crate) caption_source: CaptionSource,
    /// The image that weights its loss.
    pub(crate) mask: Option<PathBuf>,
    /// The resolution that a metadata file asks for.
    pub(crate) train_resolution: Option<Size>,
}

/// What a subset holds.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// Sorted by path.
    pub(crate) images: Vec<Image>,
    pub(crate) notices: Vec<Notice>,
    /// Masks in the folder of masks that none of the images has.
    pub(crate) unused_masks: Vec<PathBuf>,
    /// What is wrong, in the order of the paths.
    pub(crate) problems: Vec<Error>,
}

/// An image before its header is read.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    /// The image itself where a program gives it.
    image: Option<Arc<DynamicImage>>,
    /// The caption where a list gives it.
    caption: Option<String>,
    /// The resolution where a metadata file gives it.
    train_resolution: Option<Size>,
}

/// What was not known of an image before its header was read.
#[derive(Debug)]
struct New {
    stamp: Stamp,
    size: HeaderSize,
}

/// Reads a subset. What is wrong with single files is collected; only a folder or list that cannot
/// be read at all is an error.
pub(crate) fn scan(
    subset: &Subset,
    options: &DatasetOptions,
    index: &mut SizeIndex,
) -> Result<Scanned> {
    let mut scanned = Scanned::default();
    let found = find(subset, options, &mut scanned)?;
    let masks = match &subset.conditioning_data_dir {
        Some(dir) => Some(Masks::find(dir, &found, &mut scanned)?),
        None => None,
    };
    if options.cache_info {
        let files = found.iter().filter(|found| found.image.is_none());
        index.load(files.map(|found| found.path.as_path()));
    }
    let reader = Reader {
        subset,
        options,
        masks,
        known: index,
    };
    let read: Vec<Result<(Image, Option<New>)>> = found
        .into_par_iter()
        .map(|found| reader.read(found))
        .collect();
    let mut without_caption = Vec::new();
    for image in read {
        match image {
            Ok((image, new)) => {
                if let Some(New { stamp, size }) = new.filter(|_| options.cache_info) {
                    index.remember(&image.path, stamp, size);
                }
                if image.caption_source == CaptionSource::Missing {
                    without_caption.push(image.path.clone());
                }
                scanned.images.push(image);
            }
            Err(error) => scanned.problems.push(error),
        }
    }
    scanned
        .notices
        .extend(Several::of(without_caption).map(Notice::NoCaption));
    Ok(scanned)
}

fn find(subset: &Subset, options: &DatasetOptions, scanned: &mut Scanned) -> Result<Vec<Found>> {
    match &subset.source {
        Source::Folder { dir, recursive } => {
            let extension = &subset.caption_extension;
            let listing = Listing::read_all(dir, *recursive, extension, &mut scanned.notices)?;
            scanned.notices.extend(listing.notices());
            let orphans = listing.orphaned_captions(extension);
            if options.strict_captions {
                scanned.problems.extend(
                    orphans
                        .into_iter()
                        .map(|path| Error::CaptionWithoutImage { path }),
                );
            } else {
                scanned
                    .notices
                    .extend(Several::of(orphans).map(Notice::CaptionWithoutImage));
            }
            if listing.images.is_empty() {
                let beside = scanned.notices.iter().map(ToString::to_string).collect();
                return Err(Error::NoImages {
                    path: dir.clone(),
                    captions: listing.captions.len(),
                    beside,
                });
            }
            Ok(listing.images.into_iter().map(Found::file).collect())
        }
        Source::Metadata { file, image_dir } => {
            let entries = metadata_file::read(
                file,
                image_dir.as_deref(),
                &subset.captions.caption_separator,
            )?;
            if entries.is_empty() {
                return Err(Error::NoImages {
                    path: file.clone(),
                    captions: 0,
                    beside: Vec::new(),
                });
            }
            let found = entries.into_iter().map(|entry| Found {
                caption: Some(entry.caption),
                train_resolution: entry.train_resolution,
                ..Found::file(entry.path)
            });
            let mut found: Vec<Found> = found.collect();
            found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        }
        Source::Images { name, images } => {
            if images.is_empty() {
                return Err(Error::NoImages {
                    path: name.clone(),
                    captions: 0,
                    beside: Vec::new(),
                });
            }
            let found = images
                .iter()
                .enumerate()
                .map(|(index, image)| Found::given(image, name, index));
            Ok(found.collect())
        }
    }
}

impl Found {
    fn file(path: PathBuf) -> Self {
        Self {
            path,
            image: None,
            caption: None,
            train_resolution: None,
        }
    }

    fn given(given: &TrainImage, list: &Path, index: usize) -> Self {
        let caption = Some(given.caption.clone());
        match &given.image {
            ImageSource::File(path) => Self {
                caption,
                ..Self::file(path.clone())
            },
            ImageSource::Memory(image) => {
                let path = format!("{}[{index}]", list.display()).into();
                Self {
                    image: Some(Arc::clone(image)),
                    caption,
                    ..Self::file(path)
                }
            }
        }
    }
}

/// The masks of a folder, by their names without extension.
#[derive(Debug)]
struct Masks<'a> {
    dir: &'a Path,
    by_stem: HashMap<OsString, PathBuf>,
}

impl<'a> Masks<'a> {
    fn find(dir: &'a Path, images: &[Found], scanned: &mut Scanned) -> Result<Self> {
        let listing = Listing::read(dir, "")?;
        let stem = |path: &Path| path.file_stem().unwrap_or_default().to_os_string();
        let mut by_stem: HashMap<OsString, PathBuf> = HashMap::new();
        for path in listing.images {
            if let Some(other) = by_stem.insert(stem(&path), path.clone()) {
                scanned.problems.push(Error::AmbiguousMask {
                    first: other,
                    second: path,
                });
            }
        }
        // Folders below may hold images of one name, for which there is one mask only.
        let mut masked: HashMap<OsString, &Path> = HashMap::new();
        for Found { path, .. } in images {
            if let Some(other) = masked.insert(stem(path), path) {
                scanned.problems.push(Error::SharedMask {
                    first: other.into(),
                    second: path.clone(),
                    dir: dir.into(),
                });
            }
        }
        let unused = by_stem
            .iter()
            .filter(|(stem, _)| !masked.contains_key(*stem))
            .map(|(_, path)| path.clone());
        scanned.unused_masks.extend(unused);
        Ok(Self { dir, by_stem })
    }

    fn of(&self, image: &Path) -> Result<PathBuf> {
        let mask = image.file_stem().and_then(|stem| self.by_stem.get(stem));
        mask.cloned().ok_or_else(|| Error::MaskMissing {
            path: image.into(),
            dir: self.dir.into(),
        })
    }
}

#[derive(Debug)]
struct Reader<'a> {
    subset: &'a Subset,
    options: &'a DatasetOptions,
    masks: Option<Masks<'a>>,
    known: &'a SizeIndex,
}

impl Reader<'_> {
    /// Reads one image's header and caption. The second part is what was not known of it before.
    fn read(&self, found: Found) -> Result<(Image, Option<New>)> {
        let Found {
            path,
            image,
            caption,
            train_resolution,
        } = found;
        let (header, new) = match &image {
            Some(image) => (HeaderSize::of(image), None),
            None => self.header(&path)?,
        };
        let size = self.effective(header);
        let mask = self
            .masks
            .as_ref()
            .map(|masks| masks.of(&path))
            .transpose()?;
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
            Some(caption) if caption.is_empty() && self.subset.is_given() => self.class_tokens(),
            Some(caption) => (caption, CaptionSource::Metadata),
            None => self.caption(&path)?,
        };
        Ok((
            Image {
                path,
                image,
                size,
                caption,
                caption_source,
                mask,
                train_resolution,
            },
            new,
        ))
    }

    fn header(&self, path: &Path) -> Result<(HeaderSize, Option<New>)> {
        let stamp = Stamp::of(path).map_err(Error::of_image)?;
        match self.known.size(path, stamp) {
            Some(known) => Ok((known, None)),
            None => {
                let size = header_size(path).map_err(Error::of_image)?;
                Ok((size, Some(New { stamp, size })))
            }
        }
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
            Some(words) => (words.clone(), CaptionSource::ClassWords),
            None => (String::new(), CaptionSource::Missing),
        }
    }
}
