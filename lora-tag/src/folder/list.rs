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
    from_scores: bool,
    metadata: Option<&MetadataFile>,
) -> Result<Listed> {
    let (listing, mut notices) =
        images::list(folder, options.recursive, &options.caption_extension)?;
    // Reported as errors of these images.
    notices.retain(|notice| !matches!(notice, Notice::SharedStem(_)));
    let uses_scores = options.scores || from_scores;
    let files = |image: &Path| -> Vec<PathBuf> {
        let scores = uses_scores.then(|| Scores::path_for(image));
        let caption = caption_file(image, folder, options);
        caption.into_iter().chain(scores).collect()
    };
    let mut by_file: HashMap<PathBuf, Vec<&Path>> = HashMap::new();
    for image in &listing.images {
        for file in files(image) {
            by_file.entry(file).or_default().push(image);
        }
    }
    let (mut tasks, mut failed) = (Vec::new(), Vec::new());
    for image in &listing.images {
        let shared = files(image).into_iter().find_map(|file| {
            let other = by_file[&file].iter().find(|other| *other != image)?;
            Some(Error::SharedCaption {
                image: image.clone(),
                other: other.to_path_buf(),
                file,
            })
        });
        let task = match shared {
            Some(error) => Err(error),
            None => task(
                image,
                caption_file(image, folder, options),
                options,
                metadata,
            ),
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
        images: listing.images.len(),
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
    image: &Path,
    file: Option<PathBuf>,
    options: &FolderOptions,
    metadata: Option<&MetadataFile>,
) -> Result<Option<Task>> {
    let found = match (&options.output, &file) {
        // A face crop may have the caption of its image, as in training.
        (Output::NextToImages, _) => caption::find_file(image, &options.caption_extension),
        (_, Some(file)) if file.symlink_metadata().is_ok() => Some(file.clone()),
        _ => None,
    };
    let listed = match metadata {
        Some(metadata) => metadata.caption(image)?,
        None => None,
    };
    let adds = matches!(
        options.on_conflict,
        OnConflict::Prepend | OnConflict::Append
    );
    let existing = match &found {
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
        None => listed.filter(|_| adds).map(Into::into),
    };
    let has_caption = found.is_some() || listed.is_some();
    let writes_caption = !(has_caption && options.on_conflict == OnConflict::Ignore);
    let needs_scores = options.scores && !Scores::path_for(image).is_file();
    Ok((writes_caption || needs_scores).then(|| Task {
        image: image.into(),
        file,
        existing,
        writes_caption,
    }))
}
