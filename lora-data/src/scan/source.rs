//! The images of a subset's source, before their headers are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DynamicImage;

use super::listing::Listing;
use super::metadata_file;
use crate::config::{DatasetOptions, ImageSource, Source, Subset, TrainImage};
use crate::error::{Error, Result};
use crate::notice::{FileSummary, Notice};
use crate::size::Size;

/// An image before its header is read.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// The image of a program, if it is in memory.
    pub(super) image: Option<Arc<DynamicImage>>,
    /// The caption from a list.
    pub(super) caption: Option<String>,
    /// The resolution from a metadata file.
    pub(super) train_resolution: Option<Size>,
}

impl Candidate {
    fn from_file(path: PathBuf) -> Self {
        Self {
            path,
            image: None,
            caption: None,
            train_resolution: None,
        }
    }

    fn from_program(image: &TrainImage, list: &Path, index: usize) -> Self {
        let caption = Some(image.caption.clone());
        match &image.image {
            ImageSource::File(path) => Self {
                caption,
                ..Self::from_file(path.clone())
            },
            ImageSource::Memory(image) => Self {
                image: Some(Arc::clone(image)),
                caption,
                ..Self::from_file(format!("{}[{index}]", list.display()).into())
            },
        }
    }
}

/// Lists the images of a subset. Adds notices, and problems of single files.
///
/// # Errors
/// The error of a folder or list that cannot be read, and [`Error::NoImages`].
pub(super) fn candidates(
    subset: &Subset,
    options: &DatasetOptions,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Error>,
) -> Result<Vec<Candidate>> {
    match &subset.source {
        Source::Folder { dir, recursive } => {
            let extension = &subset.caption_extension;
            let listing = Listing::read_all(dir, *recursive, extension, notices)?;
            notices.extend(listing.notices());
            let orphans = listing.orphaned_captions(extension);
            if options.strict_captions {
                let errors = orphans
                    .into_iter()
                    .map(|path| Error::CaptionWithoutImage { path });
                problems.extend(errors);
            } else {
                notices.extend(FileSummary::from_paths(orphans).map(Notice::CaptionWithoutImage));
            }
            if listing.images.is_empty() {
                return Err(Error::NoImages {
                    path: dir.clone(),
                    captions: listing.captions.len(),
                    notices: notices.clone(),
                });
            }
            Ok(listing
                .images
                .into_iter()
                .map(Candidate::from_file)
                .collect())
        }
        Source::Metadata { file, image_dir } => listed(file, image_dir.as_deref(), subset),
        Source::Images { name, images } => {
            if images.is_empty() {
                return Err(no_images(name));
            }
            Ok(images
                .iter()
                .enumerate()
                .map(|(index, image)| Candidate::from_program(image, name, index))
                .collect())
        }
    }
}

/// The images of a metadata file, sorted by path.
fn listed(file: &Path, image_dir: Option<&Path>, subset: &Subset) -> Result<Vec<Candidate>> {
    let entries = metadata_file::read(file, image_dir, &subset.captions.caption_separator)?;
    if entries.is_empty() {
        return Err(no_images(file));
    }
    let mut candidates: Vec<Candidate> = entries
        .into_iter()
        .map(|entry| Candidate {
            caption: Some(entry.caption),
            train_resolution: entry.train_resolution,
            ..Candidate::from_file(entry.path)
        })
        .collect();
    candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(candidates)
}

fn no_images(list: &Path) -> Error {
    Error::NoImages {
        path: list.into(),
        captions: 0,
        notices: Vec::new(),
    }
}
