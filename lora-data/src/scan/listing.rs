//! The images, captions and subfolders of a folder, from one pass over its names.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, FileType};
use std::path::{Path, PathBuf};

use crate::caption::{file_name, stems};
use crate::error::{Error, Result};
use crate::extensions::{IMAGE_EXTENSIONS, has_extension};
use crate::notice::{FileSummary, Notice};

/// Extensions of images in formats that are not supported.
const UNSUPPORTED_EXTENSIONS: [&str; 6] = ["avif", "jxl", "heic", "heif", "psd", "svg"];

/// The images, caption files and subfolders of a folder, each sorted by path. Names that start with
/// a dot are left out.
#[derive(Debug, Default)]
pub struct Listing {
    /// The images.
    pub images: Vec<PathBuf>,
    /// Files with the extension of captions.
    pub captions: Vec<PathBuf>,
    /// The subfolders that are not listed themselves.
    pub folders: Vec<PathBuf>,
    unsupported: Vec<PathBuf>,
}

impl Listing {
    /// Lists a folder.
    pub(crate) fn read(dir: &Path, caption_extension: &str) -> Result<Self> {
        check_folder(dir)?;
        let mut listing = Self::default();
        for entry in dir.read_dir().map_err(|error| Error::io(dir, error))? {
            listing.add(
                &entry.map_err(|error| Error::io(dir, error))?,
                caption_extension,
            )?;
        }
        // Within one folder, bytes have the order of paths and are compared much faster.
        listing.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        Ok(listing)
    }

    /// Lists a folder and, if `recursive`, all folders in it. Adds a notice for each folder that is
    /// not listed.
    ///
    /// # Errors
    /// [`Error::FolderNotFound`], [`Error::NotAFolder`], [`Error::FolderNamedAsFile`], and
    /// [`Error::Io`] if a folder cannot be read.
    pub fn read_all(
        dir: &Path,
        recursive: bool,
        caption_extension: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<Self> {
        let mut listing = Self::read(dir, caption_extension)?;
        let mut waiting = std::mem::take(&mut listing.folders);
        if !recursive {
            notices.extend(waiting.into_iter().map(|path| Notice::Nested { path }));
            return Ok(listing);
        }
        let mut seen = HashSet::from([identity(dir)?]);
        while let Some(at) = next(&waiting) {
            let path = waiting.swap_remove(at);
            if !seen.insert(identity(&path)?) {
                notices.push(Notice::Loop { path });
                continue;
            }
            let inner = Self::read(&path, caption_extension)?;
            waiting.extend(inner.folders);
            listing.images.extend(inner.images);
            listing.captions.extend(inner.captions);
            listing.unsupported.extend(inner.unsupported);
        }
        listing.sort_by(Ord::cmp);
        Ok(listing)
    }

    fn add(&mut self, entry: &DirEntry, caption_extension: &str) -> Result<()> {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(());
        }
        // Only links need a look at the file itself.
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => path.metadata().map(|metadata| metadata.file_type()),
            kind => kind,
        };
        // A dangling link with the name of an image stays: the scan reports that it cannot be
        // opened.
        let is = |test: fn(&FileType) -> bool| kind.as_ref().map(test).ok();
        let is_folder = is(FileType::is_dir).unwrap_or(false);
        if is_folder && has_extension(&path, &IMAGE_EXTENSIONS) {
            return Err(Error::FolderNamedAsFile { path });
        }
        if is_folder {
            self.folders.push(path);
        } else if is(FileType::is_file) == Some(false) {
            // A pipe or a device.
        } else if has_extension(&path, &IMAGE_EXTENSIONS) {
            self.images.push(path);
        } else if has_extension(&path, &UNSUPPORTED_EXTENSIONS) {
            self.unsupported.push(path);
        } else if is_caption(&entry.file_name(), caption_extension) {
            self.captions.push(path);
        }
        Ok(())
    }

    fn sort_by(&mut self, order: fn(&PathBuf, &PathBuf) -> Ordering) {
        for paths in [
            &mut self.images,
            &mut self.captions,
            &mut self.folders,
            &mut self.unsupported,
        ] {
            // Stable sorting is fast if folders follow one another in order.
            paths.sort_by(order);
        }
    }

    /// Notices about unsupported images and shared captions.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        notices.extend(
            FileSummary::from_paths(self.unsupported.iter().cloned()).map(Notice::UnknownFormat),
        );
        let shared = self.images.windows(2).filter(|pair| {
            pair[0].file_stem() == pair[1].file_stem() && pair[0].parent() == pair[1].parent()
        });
        notices.extend(
            FileSummary::from_paths(shared.map(|pair| pair[1].clone())).map(Notice::SharedStem),
        );
        notices
    }

    /// The caption files without an image, compared with case.
    #[must_use]
    pub fn orphaned_captions(&self, caption_extension: &str) -> Vec<PathBuf> {
        // Bytes are hashed faster than a path with its parts.
        fn folder(path: &Path) -> Option<&OsStr> {
            path.parent().map(Path::as_os_str)
        }
        let mut expected: HashSet<(Option<&OsStr>, OsString)> =
            HashSet::with_capacity(self.images.len());
        for image in &self.images {
            expected.extend(
                stems(image).map(|stem| (folder(image), file_name(stem, caption_extension))),
            );
        }
        let mut orphans = Vec::new();
        for caption in &self.captions {
            let name = caption.file_name().unwrap_or_default().to_os_string();
            if !expected.contains(&(folder(caption), name)) {
                orphans.push(caption.clone());
            }
        }
        orphans
    }
}

/// The folder to list next: links last, so that a folder is listed under its own name.
fn next(waiting: &[PathBuf]) -> Option<usize> {
    waiting
        .iter()
        .rposition(|path| !path.is_symlink())
        .or_else(|| waiting.len().checked_sub(1))
}

/// True if a folder contains an image, itself or, if `recursive`, in a subfolder.
pub(crate) fn contains_images(
    dir: &Path,
    recursive: bool,
    caption_extension: &str,
) -> Result<bool> {
    Ok(
        !Listing::read_all(dir, recursive, caption_extension, &mut Vec::new())?
            .images
            .is_empty(),
    )
}

/// Checks that this is a folder.
///
/// # Errors
/// [`Error::FolderNotFound`], [`Error::NotAFolder`] or [`Error::Io`].
pub(crate) fn check_folder(dir: &Path) -> Result<()> {
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotAFolder { path: dir.into() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::FolderNotFound { path: dir.into() })
        }
        Err(error) => Err(Error::io(dir, error)),
    }
}

/// The folder's path without links.
fn identity(dir: &Path) -> Result<PathBuf> {
    dir.canonicalize().map_err(|error| Error::io(dir, error))
}

/// True if a file name ends in the extension of captions in any case, such as `a.txt`,
/// `a.wd14.txt`.
fn is_caption(name: &OsStr, extension: &str) -> bool {
    let ending = file_name(OsStr::new(""), extension);
    let (name, ending) = (name.as_encoded_bytes(), ending.as_encoded_bytes());
    name.len() > ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    fn names(paths: &[PathBuf]) -> Vec<String> {
        paths
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn images_captions_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.PNG",
            "a.jpeg",
            ".hidden.png",
            "a.txt",
            "face.txt",
            "face_1_2_3_4.gif",
            "old.TXT",
            "x.avif",
            "deep/c.webp",
        ] {
            write(&dir.path().join(name));
        }
        let listing = Listing::read(dir.path(), ".txt").unwrap();
        assert_eq!(
            names(&listing.images),
            ["a.jpeg", "b.PNG", "face_1_2_3_4.gif"]
        );
        assert_eq!(names(&listing.folders), ["deep"]);
        assert_eq!(names(&listing.orphaned_captions(".txt")), ["old.TXT"]);
        assert!(
            matches!(&listing.notices()[..], [Notice::UnknownFormat(files)] if files.first.ends_with("x.avif"))
        );

        let mut notices = Vec::new();
        let all = Listing::read_all(dir.path(), true, ".txt", &mut notices).unwrap();
        assert_eq!((all.images.len(), notices.len()), (4, 0));
        Listing::read_all(dir.path(), false, ".txt", &mut notices).unwrap();
        assert!(matches!(&notices[..], [Notice::Nested { path }] if path.ends_with("deep")));
    }

    #[test]
    fn images_that_share_a_caption() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.jpg", "b.png", "a.txt"] {
            write(&dir.path().join(name));
        }
        let notices = Listing::read(dir.path(), "txt").unwrap().notices();
        assert_eq!(notices.len(), 1);
        assert!(notices[0].to_string().contains("a.png`"), "{}", notices[0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_a_listed_folder_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a/x.png"));
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/back")).unwrap();
        std::os::unix::fs::symlink("self.png", dir.path().join("a/self.png")).unwrap();
        let mut notices = Vec::new();
        let listing = Listing::read_all(dir.path(), true, ".txt", &mut notices).unwrap();
        // A link to itself is an image that cannot be opened.
        assert_eq!(names(&listing.images), ["self.png", "x.png"]);
        assert!(matches!(&notices[..], [Notice::Loop { path }] if path.ends_with("a/back")));
    }

    #[test]
    fn a_folder_named_like_an_image_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("x.png")).unwrap();
        let error = Listing::read(dir.path(), ".txt").unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("x.png` is a folder with the extension of an image; rename it"),
            "{error}"
        );
    }
}
