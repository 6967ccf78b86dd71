//! Names of sd-scripts' cache files.

use std::path::{Path, PathBuf};

use crate::size::Size;

/// The model family of latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatentsFamily {
    /// Stable Diffusion 1 and 2.
    Sd,
    /// Stable Diffusion XL.
    Sdxl,
}

impl LatentsFamily {
    const ALL: [Self; 2] = [Self::Sd, Self::Sdxl];

    fn suffix(self) -> &'static str {
        match self {
            Self::Sd => "sd",
            Self::Sdxl => "sdxl",
        }
    }
}

/// The naming of latents files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatentsName {
    /// `<stem>_0512x0768_sdxl.npz`, with the image's width and height: the name in newer versions
    /// of sd-scripts.
    #[default]
    WithSize,
    /// `<stem>.npz`: the name in SD-Trainer's version. Newer versions read it as well and prefer
    /// it.
    Stem,
}

impl LatentsName {
    fn other(self) -> Self {
        match self {
            Self::WithSize => Self::Stem,
            Self::Stem => Self::WithSize,
        }
    }
}

/// The file for the latents of `image`, in the same folder. `original` is the image's size before
/// it is resized.
#[must_use]
pub fn latents_path(
    image: &Path,
    original: Size,
    family: LatentsFamily,
    name: LatentsName,
) -> PathBuf {
    let ending = match name {
        LatentsName::WithSize => format!(
            "_{:04}x{:04}_{}",
            original.width,
            original.height,
            family.suffix()
        ),
        LatentsName::Stem => String::new(),
    };
    sibling(image, &ending)
}

/// The files that may contain the latents of `image`, in the order of reading: the one that is
/// written, then the one with the other name.
#[must_use]
pub fn latents_candidates(
    image: &Path,
    original: Size,
    family: LatentsFamily,
    name: LatentsName,
) -> [PathBuf; 2] {
    [name, name.other()].map(|name| latents_path(image, original, family, name))
}

/// The file for the outputs of the text encoders for the caption of `image`, in the same folder:
/// `<stem>_te_outputs.npz`.
#[must_use]
pub fn text_path(image: &Path) -> PathBuf {
    sibling(image, "_te_outputs")
}

/// The image's size and the family in the name of a latents file; `None` if the name has none.
#[must_use]
pub fn parse_latents_path(path: &Path) -> Option<(Size, LatentsFamily)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".npz")?;
    let (stem, suffix) = stem.rsplit_once('_')?;
    let family = LatentsFamily::ALL
        .into_iter()
        .find(|family| family.suffix() == suffix)?;
    let (_, size) = stem.rsplit_once('_')?;
    let (width, height) = size.split_once('x')?;
    Some((Size::new(parse_side(width)?, parse_side(height)?), family))
}

/// At least four digits.
fn parse_side(digits: &str) -> Option<u32> {
    if digits.len() < 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|side| *side > 0)
}

fn sibling(image: &Path, ending: &str) -> PathBuf {
    let mut name = image.file_stem().unwrap_or_default().to_owned();
    name.push(ending);
    name.push(".npz");
    image.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(512, 1024);

    #[test]
    fn names_are_those_of_sd_scripts() {
        let image = Path::new("images/a cat.v2.png");
        let name = |family, name| latents_path(image, SIZE, family, name);
        assert_eq!(
            name(LatentsFamily::Sd, LatentsName::WithSize),
            Path::new("images/a cat.v2_0512x1024_sd.npz")
        );
        assert_eq!(
            name(LatentsFamily::Sdxl, LatentsName::WithSize),
            Path::new("images/a cat.v2_0512x1024_sdxl.npz")
        );
        assert_eq!(
            name(LatentsFamily::Sdxl, LatentsName::Stem),
            Path::new("images/a cat.v2.npz")
        );
        assert_eq!(
            text_path(image),
            Path::new("images/a cat.v2_te_outputs.npz")
        );
        let huge = latents_path(
            image,
            Size::new(7, 12_345),
            LatentsFamily::Sd,
            LatentsName::WithSize,
        );
        assert_eq!(huge, Path::new("images/a cat.v2_0007x12345_sd.npz"));
        assert_eq!(
            parse_latents_path(&huge),
            Some((Size::new(7, 12_345), LatentsFamily::Sd))
        );
    }

    #[test]
    fn the_name_that_is_written_is_tried_first() {
        let candidates =
            |name| latents_candidates(Path::new("a.jpg"), SIZE, LatentsFamily::Sd, name);
        let names = [PathBuf::from("a_0512x1024_sd.npz"), PathBuf::from("a.npz")];
        assert_eq!(candidates(LatentsName::WithSize), names);
        let [first, second] = names;
        assert_eq!(candidates(LatentsName::Stem), [second, first]);
    }

    #[test]
    fn a_size_is_read_back_from_its_name() {
        let parse = |name: &str| parse_latents_path(Path::new(name));
        assert_eq!(
            parse("x/a_b_0512x1024_sdxl.npz"),
            Some((SIZE, LatentsFamily::Sdxl))
        );
        for name in [
            "a.npz",
            "a_0512x1024_sd.png",
            "a_512x1024_sd.npz",
            "a_0512x1024_flux.npz",
            "a_0512x1024.npz",
            "0512x1024_sd.npz",
            "a_0512x+123_sd.npz",
            "a_0000x1024_sd.npz",
            "a_0512x99999999999_sd.npz",
            "a_te_outputs.npz",
            "",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
