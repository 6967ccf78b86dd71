//! Folders named `N_name`, the layout of sd-scripts' `train_data_dir`, as subsets.

use std::path::Path;

use crate::config::{Source, Subset};
use crate::error::{Error, Result};
use crate::listing::{Listing, holds_images};
use crate::notice::Notice;

/// The subsets that a folder holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FolderSubsets {
    /// One for each folder named `N_name`, sorted by name; or the folder itself.
    pub subsets: Vec<Subset>,
    /// What takes no part.
    pub notices: Vec<Notice>,
}

/// The subsets of a folder of either form: its folders named `N_name` where one of them holds
/// images, with N repeats and `name` as the class tokens; else the images directly in it. All
/// else is as in `template`, whose source says only whether folders are searched for folders.
///
/// Hidden files and folders are left out. The order is by name, so that it does not depend on the
/// file system.
///
/// # Errors
/// Where the folder is missing or a file, and where it holds no images: [`Error::NoNamedFolders`]
/// with the folders that are there.
pub fn folder_subsets(dir: &Path, template: &Subset) -> Result<FolderSubsets> {
    let recursive = matches!(
        template.source,
        Source::Folder {
            recursive: true,
            ..
        }
    );
    let extension = &template.caption_extension;
    let listing = Listing::read(dir, extension)?;
    let at = |path: &Path, num_repeats, class_tokens| Subset {
        source: Source::Folder {
            dir: path.into(),
            recursive,
        },
        num_repeats,
        class_tokens,
        ..template.clone()
    };
    let (mut subsets, mut notices) = (Vec::new(), Vec::new());
    for path in &listing.folders {
        let path = path.clone();
        match parse_name(&file_name(&path)) {
            None => notices.push(Notice::NotNamed { path }),
            Some((0, _)) => notices.push(Notice::ZeroRepeats { path }),
            Some(_) if !holds_images(&path, recursive, extension)? => {
                notices.push(Notice::Empty { path })
            }
            Some((repeats, words)) => {
                let words = (!words.is_empty()).then(|| words.to_owned());
                subsets.push(at(
                    &path,
                    repeats,
                    words.or_else(|| template.class_tokens.clone()),
                ));
            }
        }
    }
    if !subsets.is_empty() {
        if !listing.images.is_empty() {
            notices.push(Notice::BesideNamedFolders {
                path: dir.into(),
                images: listing.images.len(),
            });
        }
        return Ok(FolderSubsets { subsets, notices });
    }
    if !listing.images.is_empty() || recursive && holds_images(dir, true, extension)? {
        // Its folders are told when it is scanned.
        let subsets = vec![at(dir, template.num_repeats, template.class_tokens.clone())];
        return Ok(FolderSubsets {
            subsets,
            notices: Vec::new(),
        });
    }
    Err(why_nothing_found(dir, &listing, &notices))
}

fn why_nothing_found(dir: &Path, listing: &Listing, notices: &[Notice]) -> Error {
    let misnamed = notices.iter().filter_map(|notice| match notice {
        Notice::NotNamed { path } => Some(file_name(path)),
        _ => None,
    });
    let found: Vec<String> = misnamed.collect();
    let path = dir.to_path_buf();
    if found.is_empty() {
        let beside = notices.iter().map(ToString::to_string).collect();
        return Error::NoImages {
            path,
            captions: listing.captions.len(),
            beside,
        };
    }
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

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    fn subsets(dir: &Path) -> Result<FolderSubsets> {
        folder_subsets(
            dir,
            &Subset {
                num_repeats: 7,
                ..Subset::new("")
            },
        )
    }

    fn summary(found: &FolderSubsets) -> Vec<(String, usize, Option<&str>)> {
        let name = |subset: &Subset| match &subset.source {
            Source::Folder { dir, .. } => file_name(dir),
            Source::Metadata { .. } | Source::Images { .. } => unreachable!(),
        };
        found
            .subsets
            .iter()
            .map(|s| (name(s), s.num_repeats, s.class_tokens.as_deref()))
            .collect()
    }

    #[test]
    fn folder_names() {
        assert_eq!(parse_name("10_a cat_sitting"), Some((10, "a cat_sitting")));
        assert_eq!(parse_name("3_"), Some((3, "")));
        assert_eq!(parse_name("3"), Some((3, "")));
        for name in [
            "cat",
            "cat_10",
            "_cat",
            "+3_cat",
            "-1_cat",
            "1.5_cat",
            "",
            "99999999999999999999999_cat",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn named_folders_in_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "2_dog/b.png",
            "10_cat/x.webp",
            "old/z.png",
            "0_off/z.png",
            "4_/q.png",
            "beside.png",
        ] {
            write(&dir.path().join(name));
        }
        std::fs::create_dir(dir.path().join("5_empty")).unwrap();
        let found = subsets(dir.path()).unwrap();
        assert_eq!(
            summary(&found),
            [
                ("10_cat".into(), 10, Some("cat")),
                ("2_dog".into(), 2, Some("dog")),
                ("4_".into(), 4, None)
            ]
        );
        let told: Vec<String> = found.notices.iter().map(ToString::to_string).collect();
        for (notice, part) in told.iter().zip([
            "0_off` is not used: its number",
            "5_empty` is not used: it holds no",
            "old` is not used: its name",
            "1 images directly in",
        ]) {
            assert!(notice.contains(part), "{notice}");
        }
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn a_flat_folder_and_nested_ones() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a.png"));
        std::fs::create_dir(dir.path().join("10_later")).unwrap();
        let name = file_name(&dir.path().canonicalize().unwrap());
        assert_eq!(summary(&subsets(dir.path()).unwrap()), [(name, 7, None)]);
        write(&dir.path().join("10_later/deep/b.png"));
        assert_eq!(subsets(dir.path()).unwrap().subsets.len(), 1);
        let template = Subset {
            source: Source::Folder {
                dir: "".into(),
                recursive: true,
            },
            ..Subset::new("")
        };
        let found = folder_subsets(dir.path(), &template).unwrap();
        assert_eq!(summary(&found), [("10_later".into(), 10, Some("later"))]);
    }

    #[test]
    fn errors_say_what_is_there_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| subsets(dir).unwrap_err().to_string();
        assert!(message(&dir.path().join("none")).ends_with("no such folder"));
        assert!(message(dir.path()).contains("no images found"));
        write(&dir.path().join("a.txt"));
        assert!(
            message(dir.path()).contains("1 caption files"),
            "{}",
            message(dir.path())
        );
        assert!(message(&dir.path().join("a.txt")).contains("is a file"));

        write(&dir.path().join("cat/a.png"));
        write(&dir.path().join("dog/a.png"));
        let text = message(dir.path());
        assert!(
            text.contains("found `cat`, `dog`; rename for example `cat` to `10_cat`"),
            "{text}"
        );
        std::fs::create_dir(dir.path().join("3_bird")).unwrap();
        assert_eq!(message(dir.path()), text);
    }
}
