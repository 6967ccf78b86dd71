//! The captions of a folder of images.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lora_data::Notice;
use lora_data::caption::{file_name, find_file, read_text};
use rayon::prelude::*;

use super::caption_text::CaptionText;
use crate::error::{Error, Result};
use crate::images;

/// The folders, files and tags that [`Captions::open`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionsOptions {
    /// Whether subfolders are read, too.
    pub recursive: bool,
    /// The extension of caption files, `.txt` by default.
    pub caption_extension: String,
    /// The text between tags, `,` by default.
    pub caption_separator: String,
}

impl Default for CaptionsOptions {
    fn default() -> Self {
        Self {
            recursive: false,
            caption_extension: ".txt".into(),
            caption_separator: ",".into(),
        }
    }
}

/// An image with its caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The image.
    pub image: PathBuf,
    /// Its caption file, which does not exist if there is no `text`. Images with the same name and
    /// different extensions have the same file.
    pub file: PathBuf,
    /// The whole text of the caption file.
    pub text: Option<String>,
}

/// The captions of a folder of images.
#[derive(Debug)]
pub struct Captions {
    folder: PathBuf,
    options: CaptionsOptions,
    entries: Vec<Entry>,
    problems: Vec<Error>,
    notices: Vec<Notice>,
    orphaned_captions: Vec<PathBuf>,
}

impl Captions {
    /// Reads the captions of a folder. No image is opened.
    ///
    /// # Errors
    /// [`Error::Data`] if the folder cannot be listed or has no images, [`Error::OnlySubfolders`]
    /// if it has only subfolders, and [`Error::Option`] for an unusable extension or separator.
    /// Captions that cannot be read are no errors but [`problems`](Self::problems).
    pub fn open(folder: impl AsRef<Path>, options: &CaptionsOptions) -> Result<Self> {
        let folder = folder.as_ref();
        check_separator(&options.caption_separator)?;
        let extension = &options.caption_extension;
        let (listing, notices) = images::list(folder, options.recursive, extension)?;
        let orphaned_captions = listing.orphaned_captions(extension);
        let read: Vec<Result<Entry>> = listing
            .images
            .into_par_iter()
            .map(|image| read_entry(image, extension))
            .collect();
        let mut captions = Self {
            folder: folder.into(),
            options: options.clone(),
            entries: Vec::with_capacity(read.len()),
            problems: Vec::new(),
            notices,
            orphaned_captions,
        };
        for entry in read {
            match entry {
                Ok(entry) => captions.entries.push(entry),
                Err(error) => captions.problems.push(error),
            }
        }
        Ok(captions)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The options with which it was opened.
    #[must_use]
    pub fn options(&self) -> &CaptionsOptions {
        &self.options
    }

    /// The images in the order of their paths, except those of [`problems`](Self::problems).
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The reasons why the captions of some images cannot be read.
    #[must_use]
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }

    /// Notices about folders and images that are left out, and about shared caption files.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The caption files without an image.
    #[must_use]
    pub fn orphaned_captions(&self) -> &[PathBuf] {
        &self.orphaned_captions
    }

    /// The lines and tags of a text, with the separator of the options.
    #[must_use]
    pub fn parse<'a>(&'a self, text: &'a str) -> CaptionText<'a> {
        CaptionText::new(text, &self.options.caption_separator)
    }

    /// The tags of an image; none without a caption.
    pub fn tags<'a>(&'a self, entry: &'a Entry) -> Vec<&'a str> {
        let text = entry.text.as_deref().unwrap_or_default();
        self.parse(text).tags().collect()
    }

    /// The number of caption files with each tag.
    #[must_use]
    pub fn frequencies<'a>(&'a self, entries: &[&'a Entry]) -> HashMap<&'a str, usize> {
        let mut frequencies = HashMap::new();
        for entry in unique_files(entries) {
            let mut tags = self.tags(entry);
            tags.sort_unstable();
            tags.dedup();
            for tag in tags {
                *frequencies.entry(tag).or_default() += 1;
            }
        }
        frequencies
    }

    /// The path of a file relative to the folder, with `/` between names.
    #[must_use]
    pub fn relative(&self, path: &Path) -> String {
        let inner = path.strip_prefix(&self.folder).unwrap_or(path);
        let names: Vec<_> = inner.iter().map(|name| name.to_string_lossy()).collect();
        names.join("/")
    }

    /// The entry of an image: a path, or a name in the folder.
    ///
    /// # Errors
    /// [`Error::Place`] if it is no image of the folder.
    pub fn find(&self, image: &Path) -> Result<&Entry> {
        let inner = self.folder.join(image);
        let canonical = image.canonicalize().ok();
        let is_image = |entry: &&Entry| {
            entry.image == inner
                || entry.image == image
                || canonical.is_some() && entry.image.canonicalize().ok() == canonical
        };
        self.entries
            .iter()
            .find(is_image)
            .ok_or_else(|| Error::Place {
                path: image.into(),
                expected: "an image in",
                folder: self.folder.clone(),
            })
    }
}

/// The entries, of images that share a caption file only the first.
pub(super) fn unique_files<'a>(entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let mut seen = std::collections::HashSet::new();
    let mut unique = entries.to_vec();
    unique.retain(|entry| seen.insert(&entry.file));
    unique
}

fn read_entry(image: PathBuf, extension: &str) -> Result<Entry> {
    if image.to_str().is_none() {
        return Err(Error::NameNotUtf8 { path: image });
    }
    let found = find_file(&image, extension);
    let text = found.as_deref().map(read_text).transpose()?;
    let stem = image.file_stem().unwrap_or_default();
    let file = found.unwrap_or_else(|| image.with_file_name(file_name(stem, extension)));
    Ok(Entry { image, file, text })
}

fn check_separator(separator: &str) -> Result<()> {
    if separator.is_empty() || separator.contains(['\n', '\r']) {
        return Err(Error::Option {
            option: "caption-separator",
            found: format!("{separator:?}"),
            expected: "the text between tags, such as `,`".into(),
        });
    }
    Ok(())
}
