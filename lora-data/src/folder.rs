//! From folders to pictures with captions: file names and picture headers only, no pixels.

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::bucket::Size;
use crate::caption::{self, CaptionSource};
use crate::config::DatasetOptions;
use crate::error::{Error, Result};
use crate::image::read_size;

/// The extensions of picture files, in any case.
pub const PICTURE_EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

/// [`PICTURE_EXTENSIONS`] for a message.
pub(crate) fn extensions() -> String {
    PICTURE_EXTENSIONS.map(|extension| format!(".{extension}")).join(", ")
}

/// One picture file with its caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub path: PathBuf,
    /// Its size, upright if orientation is applied.
    pub size: Size,
    /// What it shows.
    pub caption: String,
    /// Where the caption comes from.
    pub caption_source: CaptionSource,
}

/// The pictures that share a number of repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// How often each of its pictures appears in an epoch.
    pub repeats: usize,
    /// The caption of pictures without a caption file.
    pub class_words: Option<String>,
    /// The pictures, sorted by file name.
    pub pictures: Vec<Picture>,
}

impl Folder {
    /// The last part of the folder's path, under which metadata lists it.
    #[must_use]
    pub fn name(&self) -> String {
        let path = self.path.canonicalize();
        let name = path.as_deref().unwrap_or(&self.path).file_name();
        name.map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

/// A folder whose pictures take no part in training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredFolder {
    /// The folder.
    pub path: PathBuf,
    /// Why its pictures take no part.
    pub reason: IgnoreReason,
}

/// Why a folder's pictures take no part in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// Its name is not of the form `N_name`.
    NotNamed,
    /// Its number of repeats is 0.
    ZeroRepeats,
    /// It holds no pictures.
    NoPictures,
    /// It is the scanned folder itself, whose sub-folders are used.
    HasNamedFolders {
        /// The pictures directly in it.
        pictures: usize,
    },
    /// It lies in a folder of which only the pictures directly in it are used.
    InFlatFolder,
}

impl fmt::Display for IgnoredFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.reason {
            IgnoreReason::NotNamed => write!(f, "`{path}` is not used: its name is not of the form N_name"),
            IgnoreReason::ZeroRepeats => write!(f, "`{path}` is not used: its number of repeats is 0"),
            IgnoreReason::NoPictures => write!(f, "`{path}` is not used: it holds no pictures"),
            IgnoreReason::HasNamedFolders { pictures } => {
                write!(f, "{pictures} pictures directly in `{path}` are not used: its folders named N_name are")
            }
            IgnoreReason::InFlatFolder => {
                write!(f, "`{path}` is not used: the pictures beside it are, and no folder named N_name has any")
            }
        }
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// The folders with pictures, sorted by name.
    pub folders: Vec<Folder>,
    /// The folders without a part in training: sub-folders sorted by name, then the scanned folder itself.
    pub ignored: Vec<IgnoredFolder>,
    /// The pictures left out as unreadable (`skip_bad_images`), each with its error.
    pub skipped: Vec<Error>,
}

/// Scans a folder of either form: its sub-folders named `N_name` where one of them holds pictures
/// ([`scan_named_folders`]), else the pictures directly in it ([`scan_flat_folder`]), `flat_repeats` times an epoch.
///
/// # Errors
/// As the two.
pub fn scan_folder(dir: &Path, flat_repeats: usize, options: &DatasetOptions) -> Result<Scan> {
    match scan_named_folders(dir, options) {
        Err(Error::PicturesOutsideFolders { .. }) => scan_flat_folder(dir, flat_repeats, None, options),
        scan => scan,
    }
}

/// Scans a folder whose sub-folders are named `N_name`: N repeats, and `name` as the class words of pictures without a
/// caption file (`train_data_dir`).
///
/// Hidden files and folders are left out. The order is by name, so that it does not depend on the file system.
///
/// # Errors
/// Where the folder is missing or a file, holds no sub-folder of such a name, or no pictures; for an empty or foreign
/// caption file; and for a picture with a damaged header, unless `skip_bad_images` is set.
pub fn scan_named_folders(dir: &Path, options: &DatasetOptions) -> Result<Scan> {
    let entries = Entries::read(dir)?;
    let mut scan = Scan::default();
    for path in &entries.folders {
        let ignored = match parse_name(&file_name(path)) {
            None => IgnoreReason::NotNamed,
            Some((0, _)) => IgnoreReason::ZeroRepeats,
            Some((repeats, class_words)) => {
                let pictures = scan_pictures(&Entries::read(path)?, Some(class_words), options, &mut scan.skipped)?;
                if !pictures.is_empty() {
                    let (path, class_words) = (path.clone(), Some(class_words.to_owned()));
                    scan.folders.push(Folder { path, repeats, class_words, pictures });
                    continue;
                }
                IgnoreReason::NoPictures
            }
        };
        scan.ignored.push(IgnoredFolder { path: path.clone(), reason: ignored });
    }
    if scan.folders.is_empty() {
        return Err(why_nothing_found(dir, &entries, &scan));
    }
    if !entries.pictures.is_empty() {
        let reason = IgnoreReason::HasNamedFolders { pictures: entries.pictures.len() };
        scan.ignored.push(IgnoredFolder { path: dir.into(), reason });
    }
    Ok(scan)
}

/// Scans a folder that holds the pictures itself.
///
/// # Errors
/// As [`scan_named_folders`]; [`Error::InvalidOption`] where `repeats` is 0.
pub fn scan_flat_folder(
    dir: &Path,
    repeats: usize,
    class_words: Option<&str>,
    options: &DatasetOptions,
) -> Result<Scan> {
    if repeats == 0 {
        let (found, expected) = ("0".into(), "at least 1".into());
        return Err(Error::InvalidOption { option: "num_repeats", found, expected });
    }
    let mut scan = Scan::default();
    let entries = Entries::read(dir)?;
    let pictures = scan_pictures(&entries, class_words, options, &mut scan.skipped)?;
    if pictures.is_empty() {
        return Err(all_skipped(&scan.skipped).unwrap_or_else(|| Error::NoPictures { path: dir.into() }));
    }
    let ignored = |path| IgnoredFolder { path, reason: IgnoreReason::InFlatFolder };
    scan.ignored.extend(entries.folders.into_iter().map(ignored));
    let class_words = class_words.map(str::to_owned);
    scan.folders.push(Folder { path: dir.into(), repeats, class_words, pictures });
    Ok(scan)
}

/// The error of a data set of which every picture was skipped.
pub(crate) fn all_skipped(skipped: &[Error]) -> Option<Error> {
    skipped.first().map(|first| Error::AllPicturesSkipped { skipped: skipped.len(), first: first.to_string() })
}

fn why_nothing_found(dir: &Path, entries: &Entries, scan: &Scan) -> Error {
    let path = dir.to_path_buf();
    if let Some(error) = all_skipped(&scan.skipped) {
        return error;
    }
    if !entries.pictures.is_empty() {
        return Error::PicturesOutsideFolders { path, count: entries.pictures.len() };
    }
    if scan.ignored.iter().all(|folder| folder.reason != IgnoreReason::NotNamed) {
        return Error::NoPictures { path };
    }
    let misnamed = scan.ignored.iter().filter(|folder| folder.reason == IgnoreReason::NotNamed);
    let found = misnamed.map(|folder| file_name(&folder.path)).collect();
    Error::NoNamedFolders { path, found }
}

/// Repeats and class words of a folder name `N_name`, `N_` or `N`.
fn parse_name(name: &str) -> Option<(usize, &str)> {
    let (repeats, class_words) = name.split_once('_').unwrap_or((name, ""));
    // `parse` would accept a sign.
    if !repeats.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    Some((repeats.parse().ok()?, class_words))
}

/// The visible pictures and sub-folders of a folder, sorted by name.
#[derive(Debug, Default)]
struct Entries {
    folders: Vec<PathBuf>,
    pictures: Vec<PathBuf>,
}

impl Entries {
    fn read(dir: &Path) -> Result<Self> {
        match dir.metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(Error::NotAFolder { path: dir.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::FolderNotFound { path: dir.into() });
            }
            Err(error) => return Err(Error::io(dir, error)),
        }
        let mut entries = Self::default();
        for entry in dir.read_dir().map_err(|error| Error::io(dir, error))? {
            let path = entry.map_err(|error| Error::io(dir, error))?.path();
            if file_name(&path).starts_with('.') {
                continue;
            }
            if path.is_dir() {
                entries.folders.push(path);
            } else if is_picture(&path) && path.metadata().map_or(true, |metadata| metadata.is_file()) {
                entries.pictures.push(path);
            }
        }
        entries.folders.sort();
        entries.pictures.sort();
        Ok(entries)
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| PICTURE_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads headers and captions in parallel. The first error in the order of names is reported, whichever is met first.
fn scan_pictures(
    entries: &Entries,
    class_words: Option<&str>,
    options: &DatasetOptions,
    skipped: &mut Vec<Error>,
) -> Result<Vec<Picture>> {
    let scanned: Vec<Result<Picture>> =
        entries.pictures.par_iter().map(|path| scan_picture(path, class_words, options)).collect();
    let mut pictures = Vec::with_capacity(scanned.len());
    for picture in scanned {
        match picture {
            Ok(picture) => pictures.push(picture),
            Err(error) if options.skip_bad_images && error.is_bad_picture() => skipped.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(pictures)
}

fn scan_picture(path: &Path, class_words: Option<&str>, options: &DatasetOptions) -> Result<Picture> {
    let size = read_size(path, &options.decode)?;
    let class_words = class_words.unwrap_or_default();
    let (caption, caption_source) = match caption::find_file(path, &options.caption_extension) {
        Some(file) => (caption::read_file(&file, false)?, CaptionSource::File),
        None if class_words.is_empty() => (String::new(), CaptionSource::Missing),
        None => (class_words.to_owned(), CaptionSource::ClassWords),
    };
    Ok(Picture { path: path.into(), size, caption, caption_source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_picture(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(40, 30).save(path).unwrap();
    }

    fn scan(dir: &Path) -> Result<Scan> {
        scan_named_folders(dir, &DatasetOptions::default())
    }

    #[test]
    fn folder_names() {
        assert_eq!(parse_name("10_a cat_sitting"), Some((10, "a cat_sitting")));
        assert_eq!(parse_name("3_"), Some((3, "")));
        assert_eq!(parse_name("3"), Some((3, "")));
        for name in ["cat", "cat_10", "_cat", "+3_cat", "-1_cat", "1.5_cat", "", "99999999999999999999999_cat"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn named_folders_in_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "2_dog/b.PNG",
            "2_dog/a.jpeg",
            "2_dog/.hidden.png",
            "10_cat/x.webp",
            "10_cat/y.bmp",
            "old/z.png",
            "0_off/z.png",
        ] {
            write_picture(&at(name));
        }
        std::fs::create_dir(at("5_empty")).unwrap();
        std::fs::create_dir(at("2_dog/folder.png")).unwrap();
        std::fs::write(at("2_dog/a.txt"), "a dog").unwrap();
        std::fs::write(at("2_dog/notes.md"), "").unwrap();

        let scan = scan(dir.path()).unwrap();
        let names: Vec<_> = scan.folders.iter().map(|folder| (folder.name(), folder.repeats)).collect();
        assert_eq!(names, [("10_cat".into(), 10), ("2_dog".into(), 2)]);
        let pictures: Vec<_> = scan.folders.iter().flat_map(|folder| &folder.pictures).collect();
        let found: Vec<_> =
            pictures.iter().map(|p| (file_name(&p.path), p.caption.as_str(), p.caption_source)).collect();
        let class_words = CaptionSource::ClassWords;
        assert_eq!(
            found,
            [
                ("x.webp".into(), "cat", class_words),
                ("y.bmp".into(), "cat", class_words),
                ("a.jpeg".into(), "a dog", CaptionSource::File),
                ("b.PNG".into(), "dog", class_words),
            ]
        );
        assert!(pictures.iter().all(|picture| picture.size == Size::new(40, 30)));
        let ignored: Vec<_> = scan.ignored.iter().map(|folder| (file_name(&folder.path), folder.reason)).collect();
        assert_eq!(
            ignored,
            [
                ("0_off".into(), IgnoreReason::ZeroRepeats),
                ("5_empty".into(), IgnoreReason::NoPictures),
                ("old".into(), IgnoreReason::NotNamed),
            ]
        );

        write_picture(&at("beside.png"));
        let scan = self::scan(dir.path()).unwrap();
        let ignored = scan.ignored.last().unwrap();
        assert_eq!(ignored.reason, IgnoreReason::HasNamedFolders { pictures: 1 });
        assert!(ignored.to_string().starts_with("1 pictures directly in"), "{ignored}");
        assert_eq!(scan.folders.len(), 2);
    }

    #[test]
    fn a_folder_of_either_form() {
        let dir = tempfile::tempdir().unwrap();
        write_picture(&dir.path().join("a.png"));
        std::fs::create_dir(dir.path().join("10_later")).unwrap();
        let scan = || scan_folder(dir.path(), 7, &DatasetOptions::default()).unwrap();
        let flat = scan();
        assert_eq!((flat.folders[0].repeats, flat.folders[0].pictures.len()), (7, 1));
        assert_eq!(
            (file_name(&flat.ignored[0].path), flat.ignored[0].reason),
            ("10_later".into(), IgnoreReason::InFlatFolder)
        );

        write_picture(&dir.path().join("10_later/b.png"));
        let named = scan();
        assert_eq!((named.folders[0].repeats, named.folders[0].pictures.len()), (10, 1));
    }

    #[test]
    fn a_flat_folder() {
        let dir = tempfile::tempdir().unwrap();
        write_picture(&dir.path().join("a.png"));
        let scan = scan_flat_folder(dir.path(), 7, None, &DatasetOptions::default()).unwrap();
        assert_eq!((scan.folders[0].repeats, scan.folders[0].pictures.len()), (7, 1));
        assert_eq!(scan.folders[0].pictures[0].caption_source, CaptionSource::Missing);
        assert!(scan_flat_folder(dir.path(), 0, None, &DatasetOptions::default()).is_err());
    }

    #[test]
    fn errors_say_what_is_there_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| scan(dir).unwrap_err().to_string();
        assert!(message(&dir.path().join("none")).ends_with("no such folder"));
        assert!(message(dir.path()).contains("no pictures found"));

        let picture = dir.path().join("a.png");
        write_picture(&picture);
        assert!(message(&picture).contains("is a file"));
        assert!(message(dir.path()).contains("holds 1 pictures itself"));

        std::fs::remove_file(picture).unwrap();
        write_picture(&dir.path().join("cat/a.png"));
        write_picture(&dir.path().join("dog/a.png"));
        let text = message(dir.path());
        assert!(text.contains("found `cat`, `dog`; rename for example `cat` to `10_cat`"), "{text}");

        std::fs::create_dir(dir.path().join("3_bird")).unwrap();
        assert_eq!(message(dir.path()), text);
        std::fs::remove_dir_all(dir.path().join("cat")).unwrap();
        std::fs::remove_dir_all(dir.path().join("dog")).unwrap();
        assert!(message(dir.path()).contains("no pictures found"));
    }

    #[test]
    fn damaged_headers_are_named_or_skipped() {
        let dir = tempfile::tempdir().unwrap();
        write_picture(&dir.path().join("1_cat/b.png"));
        std::fs::write(dir.path().join("1_cat/a.png"), b"not a picture").unwrap();
        assert!(
            matches!(scan(dir.path()), Err(Error::UnreadablePicture { path, .. }) if path.ends_with("1_cat/a.png"))
        );

        let options = DatasetOptions { skip_bad_images: true, ..DatasetOptions::default() };
        let scan = scan_named_folders(dir.path(), &options).unwrap();
        assert_eq!((scan.folders[0].pictures.len(), scan.skipped.len()), (1, 1));

        std::fs::remove_file(dir.path().join("1_cat/b.png")).unwrap();
        let error = scan_named_folders(dir.path(), &options).unwrap_err();
        assert!(matches!(error, Error::AllPicturesSkipped { skipped: 1, .. }), "{error}");
    }
}
