//! Captions: the text file next to an image or the class tokens in its folder's name, with
//! shuffling, dropout and wildcards.
//!
//! Results of [`CaptionOptions::process`], with epochs counted from 1; the caption is `1girl,
//! smile, hat` unless given:
//!
//! | option | caption | result |
//! |---|---|---|
//! | `shuffle_caption` | | `hat, 1girl, smile` or another order |
//! | `shuffle_caption`, `caption_separator = "."` | `A cat. It sits.` | `, It sits, A cat` or another order |
//! | `shuffle_caption`, `keep_tokens = 1` | | `1girl, hat, smile` or `1girl, smile, hat` |
//! | `shuffle_caption`, `keep_tokens_separator = "/"` | `1girl / smile, hat / photo` | `1girl, hat, smile, photo` or `1girl, smile, hat, photo` |
//! | `shuffle_caption`, `secondary_separator = ";"` | `hat;red hat, 1girl` | `1girl, hat,red hat` or `hat,red hat, 1girl` |
//! | `caption_tag_dropout_rate = 0.1` | | unchanged, or without some tags: `1girl, hat` |
//! | `token_warmup_step = 2` | | `1girl` at step 0, `1girl, smile` at step 1, then unchanged |
//! | `token_warmup_step = 2`, `token_warmup_min = 2` | | `1girl, smile` at steps 0 and 1, then unchanged |
//! | `enable_wildcard` | `a {red\|blue} {{hat}}` | `a red {hat}` or `a blue {hat}` |
//! | `enable_wildcard` | two lines, `a hat` and `1girl` | `a hat` or `1girl` |
//! | `caption_prefix = "photo,"` | | `photo, 1girl, smile, hat` |
//! | `caption_suffix = "outdoors"` | `1girl,` | `1girl, outdoors` |
//! | `caption_dropout_rate = 0.1` | | unchanged, or empty with a probability of 0.1 |
//! | `caption_dropout_every_n_epochs = 3` | | empty in epochs 3, 6, 9, …, otherwise unchanged |

mod options;
mod process;
mod wildcard;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use self::options::CaptionOptions;
pub use self::process::CaptionContext;

/// The largest caption file in bytes. A text encoder reads at most a few hundred words.
const LARGEST_FILE: u64 = 1 << 20;

/// The source of an image's caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptionSource {
    /// The text file next to the image.
    File,
    /// A list of images (`metadata_file`), or the program that passes the image.
    Metadata,
    /// The class tokens (`name` of a folder `N_name`), since there is no caption file.
    ClassTokens,
    /// None: the caption is empty.
    Missing,
}

/// The caption file of an image: its stem with `extension` (such as `.txt`), if that file exists.
///
/// A stem that ends in the four numbers of a face crop (`name_x_y_w_h`) also matches the file
/// without them.
#[must_use]
pub fn find_file(image: &Path, extension: &str) -> Option<PathBuf> {
    // A folder with that name is an error when it is read.
    stems(image)
        .map(|stem| image.with_file_name(file_name(stem, extension)))
        .find(|path| path.exists())
}

/// The name of a caption file: the stem of an image with an extension such as `.txt` or `txt`.
#[must_use]
pub fn file_name(stem: &OsStr, extension: &str) -> OsString {
    let mut name = stem.to_os_string();
    if !extension.starts_with('.') {
        name.push(".");
    }
    name.push(extension);
    name
}

/// The names without extension that an image's caption file may have.
pub(crate) fn stems(image: &Path) -> impl Iterator<Item = &OsStr> {
    let stem = image.file_stem();
    let without = stem
        .and_then(OsStr::to_str)
        .and_then(without_face_crop)
        .map(OsStr::new);
    stem.into_iter().chain(without)
}

/// The stem without `_x_y_w_h`. Only numbers are removed: `a_photo_of_a_cat` must not match
/// `a.txt`.
fn without_face_crop(stem: &str) -> Option<&str> {
    let mut name = stem;
    for _ in 0..4 {
        let (rest, number) = name.rsplit_once('_')?;
        number.parse::<f64>().ok()?;
        name = rest;
    }
    (!name.is_empty()).then_some(name)
}

/// Reads a caption file: its first line or, with `multi_line` (for `enable_wildcard`), all lines
/// with text, joined with `\n`.
///
/// White space around lines and a byte-order mark are removed. Line ends may be those of Unix,
/// Windows or old Macs.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::NotACaptionFile`] for a folder or device,
/// [`Error::CaptionTooLarge`] above 1 MiB, [`Error::CaptionUtf16`], [`Error::CaptionNotUtf8`], and
/// [`Error::EmptyCaption`] if the first line (with `multi_line`, every line) has no text.
pub fn read_file(path: &Path, multi_line: bool) -> Result<String> {
    let text = read_text(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    let caption = if multi_line {
        lines
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    } else {
        lines.next().unwrap_or_default().into()
    };
    if caption.is_empty() {
        Err(Error::EmptyCaption { path: path.into() })
    } else {
        Ok(caption)
    }
}

/// Reads the whole text of a caption file as it is: with all lines, white space and a byte-order
/// mark. It may be empty.
///
/// # Errors
/// Those of [`read_file`] except [`Error::EmptyCaption`].
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Error::CaptionUtf16 { path: path.into() });
    }
    String::from_utf8(bytes).map_err(|error| Error::CaptionNotUtf8 {
        path: path.into(),
        offset: error.utf8_error().valid_up_to(),
    })
}

/// The contents of a file, unless it is too large.
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::io(path, error);
    // Before opening: a pipe would wait for a writer, and Windows does not open folders.
    let kind = std::fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        let found = if kind.is_dir() {
            "a folder"
        } else {
            "a device or pipe"
        };
        return Err(Error::NotACaptionFile {
            path: path.into(),
            found,
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::CaptionTooLarge {
            path: path.into(),
            bytes: kind.len(),
            most: LARGEST_FILE,
        });
    }
    Ok(bytes)
}

/// The tags of a caption: its non-empty parts between commas, without surrounding white space.
pub fn tags(caption: &str) -> impl Iterator<Item = &str> {
    tags_between(caption, ",")
}

/// The tags of a caption: its non-empty parts between separators, without surrounding white space.
pub fn tags_between<'a>(caption: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    caption
        .split(separator)
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        read_lines(bytes, false)
    }

    fn read_lines(bytes: &[u8], multi_line: bool) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, bytes).unwrap();
        read_file(&path, multi_line)
    }

    #[test]
    fn the_first_line_is_the_caption() {
        for bytes in [
            &b"  a cat, sitting \r\nsecond line"[..],
            b"a cat, sitting\rsecond",
            b"a cat, sitting\n",
        ] {
            assert_eq!(read(bytes).unwrap(), "a cat, sitting");
        }
        assert_eq!(
            read("\u{feff}chat \u{e9}veill\u{e9}\n".as_bytes()).unwrap(),
            "chat éveillé"
        );
    }

    #[test]
    fn a_text_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        for text in ["", "\u{feff} a \r\n\nb\r"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_text(&path).unwrap(), text);
        }
        std::fs::write(&path, b"\xff\xfea\0").unwrap();
        assert!(matches!(read_text(&path), Err(Error::CaptionUtf16 { .. })));
    }

    #[test]
    fn all_lines_with_text() {
        for bytes in [
            &b"a\n\n b \nc\n"[..],
            b"\r\na\r\n \r\nb\r\nc",
            b"\xef\xbb\xbfa\rb\r\rc",
        ] {
            assert_eq!(read_lines(bytes, true).unwrap(), "a\nb\nc");
        }
    }

    #[test]
    fn empty_and_binary_files_are_errors() {
        for bytes in [
            &b""[..],
            b"\n",
            b" \t\r\n",
            b"\xef\xbb\xbf",
            b"\nsecond line",
        ] {
            assert!(
                matches!(read(bytes), Err(Error::EmptyCaption { .. })),
                "{bytes:?}"
            );
        }
        assert!(matches!(
            read_lines(b"\xef\xbb\xbf\r \r\n", true),
            Err(Error::EmptyCaption { .. })
        ));
        assert!(matches!(
            read(b"caf\xe9"),
            Err(Error::CaptionNotUtf8 { offset: 3, .. })
        ));
        for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a"] {
            let message = read(bytes).unwrap_err().to_string();
            assert!(
                message.contains("a.txt`: saved as UTF-16; expected a text file saved as UTF-8"),
                "{message}"
            );
        }
    }

    #[test]
    fn absurd_files_are_not_read() {
        assert_eq!(read(&vec![b'a'; 1 << 20]).unwrap().len(), 1 << 20);
        let message = read(&vec![b'a'; (1 << 20) + 1]).unwrap_err().to_string();
        assert!(
            message
                .ends_with("a.txt` has 1048577 bytes; expected a caption of at most 1048576 bytes"),
            "{message}"
        );

        let dir = tempfile::tempdir().unwrap();
        let message = read_file(dir.path(), false).unwrap_err().to_string();
        assert!(
            message.ends_with("` is a folder; expected a text file with the caption"),
            "{message}"
        );
        assert!(matches!(
            read_file(&dir.path().join("a.txt"), false),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    #[cfg(unix)]
    fn devices_are_not_read() {
        let result = read_file(Path::new("/dev/zero"), false);
        assert!(matches!(
            result,
            Err(Error::NotACaptionFile {
                found: "a device or pipe",
                ..
            })
        ));
    }

    #[test]
    fn files_next_to_the_image() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.caption", "face.txt"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = |image: &str, extension: &str| {
            let path = find_file(&dir.path().join(image), extension)?;
            Some(path.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(found("a.png", ".txt").as_deref(), Some("a.txt"));
        assert_eq!(found("a.png", "txt").as_deref(), Some("a.txt"));
        assert_eq!(found("a.png", ".caption"), None);
        assert_eq!(found("b.JPG", ".caption").as_deref(), Some("b.caption"));
        assert_eq!(
            found("face_10_20_30_40.png", ".txt").as_deref(),
            Some("face.txt")
        );
        assert_eq!(found("a_photo_of_a_cat.png", ".txt"), None);
    }

    #[test]
    fn tags_are_split_at_commas() {
        assert_eq!(
            tags(" 1girl, , long hair,smile,").collect::<Vec<_>>(),
            ["1girl", "long hair", "smile"]
        );
        assert_eq!(tags("").count(), 0);
        assert_eq!(
            tags_between("a cat. It sits.", ".").collect::<Vec<_>>(),
            ["a cat", "It sits"]
        );
    }
}
