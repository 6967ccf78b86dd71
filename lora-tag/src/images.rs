//! The images and caption files of a folder.

use std::path::Path;

use lora_data::{IMAGE_EXTENSIONS, Listing, Notice};

use crate::error::{Error, Result};

/// Lists a folder and, if `recursive`, all folders in it, with notices about what is left out.
///
/// # Errors
/// [`Error::Data`] if the folder cannot be listed or has no images, [`Error::OnlySubfolders`] if it
/// has only subfolders, and [`Error::Option`] for an unusable extension.
pub(crate) fn list(
    folder: &Path,
    recursive: bool,
    caption_extension: &str,
) -> Result<(Listing, Vec<Notice>)> {
    check_extension(caption_extension)?;
    let mut notices = Vec::new();
    let listing = Listing::read_all(folder, recursive, caption_extension, &mut notices)?;
    notices.extend(listing.notices());
    if !listing.images.is_empty() {
        return Ok((listing, notices));
    }
    let is_nested = |notice: &&Notice| matches!(notice, Notice::Nested { .. });
    let path = folder.to_path_buf();
    Err(match notices.iter().filter(is_nested).count() {
        0 => lora_data::Error::NoImages {
            path,
            captions: listing.captions.len(),
            notices,
        }
        .into(),
        subfolders => Error::OnlySubfolders { path, subfolders },
    })
}

/// The extensions of metadata and scores, caches and weights.
const OTHER_FILES: [&str; 3] = ["json", "npz", "safetensors"];

fn check_extension(caption_extension: &str) -> Result<()> {
    let name = caption_extension.trim_start_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_taken = IMAGE_EXTENSIONS
        .iter()
        .chain(&OTHER_FILES)
        .any(|other| other.eq_ignore_ascii_case(last));
    if last.is_empty() || is_taken || name.contains(['/', '\\']) {
        return Err(Error::Option {
            option: "caption-extension",
            found: format!("`{caption_extension}`"),
            expected: "an extension such as `.txt`, and not that of images, scores or caches"
                .into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_of_other_files_are_refused() {
        for extension in [".txt", "caption", ".wd.txt", ".json.txt"] {
            check_extension(extension).unwrap();
        }
        for extension in [
            "",
            ".",
            "txt.",
            "a/b",
            ".png",
            ".x.JPG",
            ".json",
            ".tags.json",
            "NPZ",
            ".safetensors",
        ] {
            let message = check_extension(extension).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("`caption-extension`: found `{extension}`; ")),
                "{message}"
            );
        }
    }
}
