//! The extensions of image files.

use std::ffi::OsStr;
use std::path::Path;

/// The extensions of image files, in any case.
pub const IMAGE_EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// [`IMAGE_EXTENSIONS`] for a message.
pub(crate) fn listed_extensions() -> String {
    IMAGE_EXTENSIONS
        .map(|extension| format!(".{extension}"))
        .join(", ")
}

/// True if a file has one of these extensions, in any case.
pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        extensions
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}
