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

fn check_extension(caption_extension: &str) -> Result<()> {
    let name = caption_extension.trim_start_matches('.');
    let is_image = IMAGE_EXTENSIONS
        .iter()
        .any(|image| image.eq_ignore_ascii_case(name));
    if name.is_empty() || is_image || name.contains(['/', '\\']) {
        return Err(Error::Option {
            option: "caption-extension",
            found: format!("`{caption_extension}`"),
            expected: "an extension such as `.txt`, and not that of images".into(),
        });
    }
    Ok(())
}
