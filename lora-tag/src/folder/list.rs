//! The images of a folder that are to be tagged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lora_data::{Notice, caption};

use super::TagEvent;
use super::conflict::OnConflict;
use super::metadata::MetadataFile;
use super::options::{FolderOptions, Output};
use crate::error::{Error, Result};
use crate::images;
use crate::scores::Scores;

/// An image to be tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) image: PathBuf,
    /// Its caption file; `None` if captions go into one file.
    pub(super) file: Option<PathBuf>,
    /// Its caption, if new tags are added to it.
    pub(super) existing: Option<String>,
    /// False if only its scores are missing.
    pub(super) writes_caption: bool,
}

#[derive(Debug)]
pub(super) struct Listed {
    /// The number of all images.
    pub(super) images: usize,
    pub(super) tasks: Vec<Task>,
    /// Images that cannot be tagged.
    pub(super) failed: Vec<TagEvent>,
    pub(super) notices: Vec<Notice>,
}

/// Lists the images of a folder that are to be tagged, sorted by path.
pub(super) fn list(
    folder: &Path,
    options: &FolderOptions,
    metadata: Option<&MetadataFile>,
) -> Result<Listed> {
    let (listing, mut notices) =
        images::list(folder, options.recursive, &options.caption_extension)?;
    // Reported as errors of these images.
    notices.retain(|notice| !matches!(notice, Notice::SharedStem(_)));
    let files: Vec<Option<PathBuf>> = listing
        .images
        .iter()
        .map(|image| caption_file(image, folder, options))
        .collect();
    let mut by_file: HashMap<&Path, Vec<&Path>> = HashMap::new();
    for (file, image) in files.iter().zip(&listing.images) {
        if let Some(file) = file {
            by_file.entry(file).or_default().push(image);
        }
    }
    let images = listing.images.len();
    let (mut tasks, mut failed) = (Vec::new(), Vec::new());
    for (image, file) in listing.images.iter().zip(&files) {
        let others = file.as_deref().map_or(&[][..], |file| &by_file[file]);
        let task = match (others.iter().find(|other| **other != image), file) {
            (Some(other), Some(file)) => Err(Error::SharedCaption {
                image: image.clone(),
                other: other.to_path_buf(),
                file: file.clone(),
            }),
            _ => task(image.clone(), file.clone(), options, metadata),
        };
        match task {
            Ok(task) => tasks.extend(task),
            Err(error) => failed.push(TagEvent::Failed {
                image: image.clone(),
                error,
            }),
        }
    }
    Ok(Listed {
        images,
        tasks,
        failed,
        notices,
    })
}

/// The caption file of an image.
fn caption_file(image: &Path, folder: &Path, options: &FolderOptions) -> Option<PathBuf> {
    let stem = image.file_stem().unwrap_or_default();
    let name = caption::file_name(stem, &options.caption_extension);
    match &options.output {
        Output::NextToImages => Some(image.with_file_name(name)),
        Output::Folder(target) => {
            let inner = image.strip_prefix(folder).unwrap_or(image);
            Some(target.join(inner).with_file_name(name))
        }
        Output::Metadata(_) => None,
    }
}

/// The task of an image; `None` if it is done.
fn task(
    image: PathBuf,
    file: Option<PathBuf>,
    options: &FolderOptions,
    metadata: Option<&MetadataFile>,
) -> Result<Option<Task>> {
    let existing = match (&file, metadata) {
        (Some(file), _) if file.symlink_metadata().is_ok() => Some(file),
        _ => None,
    };
    let has_caption =
        existing.is_some() || metadata.is_some_and(|metadata| metadata.contains(&image));
    let adds = matches!(
        options.on_conflict,
        OnConflict::Prepend | OnConflict::Append
    );
    let existing = match existing {
        // Also finds folders and files that are not text.
        Some(file) if adds => Some(caption::read_text(file)?),
        Some(file) if file.is_dir() => {
            return Err(lora_data::Error::NotACaptionFile {
                path: file.clone(),
                found: "a folder",
            }
            .into());
        }
        Some(_) => None,
        None if adds => metadata
            .and_then(|metadata| metadata.caption(&image))
            .map(Into::into),
        None => None,
    };
    let writes_caption = !(has_caption && options.on_conflict == OnConflict::Ignore);
    let needs_scores = options.scores && !Scores::path_for(&image).is_file();
    Ok((writes_caption || needs_scores).then_some(Task {
        image,
        file,
        existing,
        writes_caption,
    }))
}
