//! Folders named `N_name`, the layout of sd-scripts' `train_data_dir`, as subsets.

use std::path::Path;

use super::listing::{Listing, contains_images};
use crate::config::{Source, Subset};
use crate::error::{Error, Result};
use crate::notice::Notice;

/// The subsets of a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FolderSubsets {
    /// One subset per folder named `N_name`, sorted by name; or the folder itself.
    pub subsets: Vec<Subset>,
    /// Notices about files and folders that are not used.
    pub notices: Vec<Notice>,
}

/// The subsets of a folder in one of two layouts. If any subfolder named `N_name` contains images,
/// each of these subfolders is a subset with N repeats and `name` as its class tokens. Otherwise
/// the images directly in the folder are the only subset. All other options are those of
/// `template`, whose source only decides whether folders are searched recursively.
///
/// Hidden files and folders are ignored. The order is by name, so that it does not depend on the
/// file system.
///
/// # Errors
/// [`Error::FolderNotFound`] or [`Error::NotAFolder`]; without images [`Error::NoNamedFolders`]
/// with the names of the subfolders, or [`Error::NoImages`].
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
    let (mut subsets, mut notices) = (Vec::new(), Vec::new());
    for path in &listing.folders {
        let path = path.clone();
        match parse_name(&file_name(&path)) {
            None => notices.push(Notice::NotNamed { path }),
            Some((0, _)) => notices.push(Notice::ZeroRepeats { path }),
            Some(_) if !contains_images(&path, recursive, extension)? => {
                notices.push(Notice::Empty { path });
            }
            Some((num_repeats, tokens)) => subsets.push(Subset {
                source: Source::Folder {
                    dir: path,
                    recursive,
                },
                num_repeats,
                class_tokens: if tokens.is_empty() {
                    template.class_tokens.clone()
                } else {
                    Some(tokens.to_owned())
                },
                ..template.clone()
            }),
        }
    }
    if !subsets.is_empty() {
        if !listing.images.is_empty() {
            notices.push(Notice::LooseImages {
                path: dir.into(),
                images: listing.images.len(),
            });
        }
        return Ok(FolderSubsets { subsets, notices });
    }
    if !listing.images.is_empty() || recursive && contains_images(dir, true, extension)? {
        let source = Source::Folder {
            dir: dir.into(),
            recursive,
        };
        return Ok(FolderSubsets {
            subsets: vec![Subset {
                source,
                ..template.clone()
            }],
            // The scan of the subset reports its subfolders.
            notices: Vec::new(),
        });
    }
    Err(no_subsets(dir, &listing, notices))
}

fn no_subsets(dir: &Path, listing: &Listing, notices: Vec<Notice>) -> Error {
    let mut found = Vec::new();
    for notice in &notices {
        if let Notice::NotNamed { path } = notice {
            found.push(file_name(path));
        }
    }
    let path = dir.to_path_buf();
    if found.is_empty() {
        Error::NoImages {
            path,
            captions: listing.captions.len(),
            notices,
        }
    } else {
        Error::NoNamedFolders { path, found }
    }
}

/// Repeats and class tokens of a folder name `N_name`, `N_` or `N`.
fn parse_name(name: &str) -> Option<(usize, &str)> {
    let (repeats, class_tokens) = name.split_once('_').unwrap_or((name, ""));
    // `parse` would accept a sign.
    if !repeats.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    Some((repeats.parse().ok()?, class_tokens))
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
        found
            .subsets
            .iter()
            .map(|subset| {
                let Source::Folder { dir, .. } = &subset.source else {
                    panic!("not a folder: {subset:?}")
                };
                let class_tokens = subset.class_tokens.as_deref();
                (file_name(dir), subset.num_repeats, class_tokens)
            })
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
        let notices: Vec<String> = found.notices.iter().map(ToString::to_string).collect();
        for (notice, part) in notices.iter().zip([
            "0_off`: its number of repeats is 0",
            "5_empty`: it contains no images",
            "old`: its name is not of the form `N_name`",
            "ignoring 1 image directly in",
        ]) {
            assert!(notice.contains(part), "{notice}");
        }
        assert_eq!(notices.len(), 4);
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
    fn errors_name_the_contents_and_a_solution() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| subsets(dir).unwrap_err().to_string();
        assert!(message(&dir.path().join("none")).ends_with("no such folder"));
        assert!(message(dir.path()).contains("no images found"));
        write(&dir.path().join("a.txt"));
        assert!(
            message(dir.path()).contains("only 1 caption file;"),
            "{}",
            message(dir.path())
        );
        assert!(message(&dir.path().join("a.txt")).contains("is a file"));

        write(&dir.path().join("cat/a.png"));
        write(&dir.path().join("dog/a.png"));
        let text = message(dir.path());
        assert!(
            text.contains("found `cat`, `dog`; for example, rename `cat` to `10_cat`"),
            "{text}"
        );
        std::fs::create_dir(dir.path().join("3_bird")).unwrap();
        assert_eq!(message(dir.path()), text);
    }
}
