//! Captions: the text file beside a picture, or the class words in its folder's name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

mod options;

pub use self::options::CaptionOptions;

/// Where a picture's caption comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptionSource {
    /// The text file beside the picture.
    File,
    /// The file that lists the pictures.
    Metadata,
    /// The class words in the folder's name (`name` of `N_name`), since there is no file.
    ClassWords,
    /// Neither: the caption is empty.
    Missing,
}

/// The caption file of a picture: its stem with `extension` (such as `.txt`), where that file exists.
///
/// A stem that ends in the four numbers of a face crop (`name_x_y_w_h`) also matches the file without them.
#[must_use]
pub fn find_file(picture: &Path, extension: &str) -> Option<PathBuf> {
    let beside = |stem: &OsStr| {
        let mut name = stem.to_os_string();
        if !extension.starts_with('.') {
            name.push(".");
        }
        name.push(extension);
        let path = picture.with_file_name(name);
        // A folder of that name is told when it is read.
        path.exists().then_some(path)
    };
    stems(picture).find_map(beside)
}

/// The names without extension that a picture's caption file may have.
pub(crate) fn stems(picture: &Path) -> impl Iterator<Item = &OsStr> {
    let stem = picture.file_stem();
    let without = stem.and_then(OsStr::to_str).and_then(without_face_crop).map(OsStr::new);
    stem.into_iter().chain(without)
}

/// The stem without `_x_y_w_h`. Words there belong to the name: `a_photo_of_a_cat` must not find `a.txt`.
fn without_face_crop(stem: &str) -> Option<&str> {
    let mut name = stem;
    for _ in 0..4 {
        let (rest, number) = name.rsplit_once('_')?;
        number.parse::<f64>().ok()?;
        name = rest;
    }
    (!name.is_empty()).then_some(name)
}

/// Reads a caption file: its first line without surrounding white space and byte-order mark.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::CaptionNotUtf8`], and [`Error::EmptyCaption`] where the first line
/// has no text.
pub fn read_file(path: &Path, _multi_line: bool) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::CaptionNotUtf8 { path: path.into(), offset: error.utf8_error().valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match text.lines().next().map(str::trim) {
        None | Some("") => Err(Error::EmptyCaption { path: path.into() }),
        Some(caption) => Ok(caption.into()),
    }
}

/// The tags of a caption: its parts between commas, without surrounding white space, empty ones left out.
pub fn tags(caption: &str) -> impl Iterator<Item = &str> {
    caption.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, bytes).unwrap();
        read_file(&path, false)
    }

    #[test]
    fn the_first_line_is_the_caption() {
        assert_eq!(read(b"  a cat, sitting \r\nsecond line").unwrap(), "a cat, sitting");
        assert_eq!(read("\u{feff}chat \u{e9}veill\u{e9}\n".as_bytes()).unwrap(), "chat éveillé");
    }

    #[test]
    fn empty_and_foreign_files_are_errors() {
        for bytes in [&b""[..], b"\n", b" \t\r\n", b"\xef\xbb\xbf", b"\nsecond line"] {
            assert!(matches!(read(bytes), Err(Error::EmptyCaption { .. })), "{bytes:?}");
        }
        assert!(matches!(read(b"caf\xe9"), Err(Error::CaptionNotUtf8 { offset: 3, .. })));
    }

    #[test]
    fn files_beside_the_picture() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.caption", "face.txt"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = |picture: &str, extension: &str| {
            let path = find_file(&dir.path().join(picture), extension)?;
            Some(path.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(found("a.png", ".txt").as_deref(), Some("a.txt"));
        assert_eq!(found("a.png", "txt").as_deref(), Some("a.txt"));
        assert_eq!(found("a.png", ".caption"), None);
        assert_eq!(found("b.JPG", ".caption").as_deref(), Some("b.caption"));
        assert_eq!(found("face_10_20_30_40.png", ".txt").as_deref(), Some("face.txt"));
        assert_eq!(found("a_photo_of_a_cat.png", ".txt"), None);
    }

    #[test]
    fn tags_are_split_at_commas() {
        assert_eq!(tags(" 1girl, , long hair,smile,").collect::<Vec<_>>(), ["1girl", "long hair", "smile"]);
        assert_eq!(tags("").count(), 0);
    }
}
