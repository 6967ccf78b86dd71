//! Moving and deleting images with their captions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{Captions, Entry};
use super::history::History;
use super::real_path::real_path;
use crate::error::{Error, Result};
use crate::scores::Scores;

/// Images that are moved or deleted, each with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// The images in the order of their paths.
    pub images: Vec<RelocationFiles>,
    /// The files' new folder with the same subfolders; `None` if they are deleted.
    destination: Option<PathBuf>,
    folder: PathBuf,
}

/// An image and the files that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelocationFiles {
    /// The image.
    pub image: PathBuf,
    /// Its caption and scores, if they exist. They stay if an image of the same name does.
    pub others: Vec<PathBuf>,
}

impl Captions {
    /// Plans to move the images of these entries into another folder, which may not exist. Images
    /// in subfolders stay in subfolders of the same names.
    ///
    /// # Errors
    /// [`Error::Place`] if the destination is the folder itself or in it, [`Error::Exists`] for
    /// files that it already has, and
    /// [`Error::Data`] if it is a file.
    pub fn plan_move(&self, entries: &[&Entry], destination: &Path) -> Result<Relocation> {
        if real_path(destination).starts_with(real_path(self.folder())) {
            return Err(Error::Place {
                path: destination.into(),
                expected: "a folder outside of",
                folder: self.folder().into(),
            });
        }
        if destination.is_file() {
            return Err(lora_data::Error::NotAFolder {
                path: destination.into(),
            }
            .into());
        }
        let plan = Relocation {
            images: self.files(entries),
            destination: Some(destination.into()),
            folder: self.folder().into(),
        };
        let existing: Vec<PathBuf> = plan
            .files()
            .filter_map(|from| plan.target(from))
            .filter(|to| to.symlink_metadata().is_ok())
            .collect();
        if existing.is_empty() {
            Ok(plan)
        } else {
            Err(Error::Exists {
                paths: existing,
                advice: "nothing was moved",
            })
        }
    }

    /// Plans to delete the images of these entries.
    #[must_use]
    pub fn plan_delete(&self, entries: &[&Entry]) -> Relocation {
        Relocation {
            images: self.files(entries),
            destination: None,
            folder: self.folder().into(),
        }
    }

    fn files(&self, entries: &[&Entry]) -> Vec<RelocationFiles> {
        let companions = |entry: &Entry| {
            let scores = Scores::path_for(&entry.image);
            let scores = scores.is_file().then_some(scores);
            let caption = entry.text.is_some().then(|| entry.file.clone());
            caption.into_iter().chain(scores)
        };
        // The number of images that use each file and stay.
        let mut users: HashMap<PathBuf, usize> = HashMap::new();
        for file in self.entries().iter().flat_map(companions) {
            *users.entry(file).or_default() += 1;
        }
        let mut images = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut others = Vec::new();
            for file in companions(entry) {
                let left = users.get_mut(&file).map(|users| {
                    *users -= 1;
                    *users
                });
                if left == Some(0) {
                    others.push(file);
                }
            }
            images.push(RelocationFiles {
                image: entry.image.clone(),
                others,
            });
        }
        images
    }
}

impl Relocation {
    /// The files, each image before its others.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.images.iter().flat_map(|files| {
            let others = files.others.iter();
            std::iter::once(&files.image)
                .chain(others)
                .map(AsRef::as_ref)
        })
    }

    /// The new path of a file; `None` if it is deleted.
    #[must_use]
    pub fn target(&self, file: &Path) -> Option<PathBuf> {
        let inner = file.strip_prefix(&self.folder).unwrap_or(file);
        Some(self.destination.as_ref()?.join(inner))
    }

    /// Moves or deletes the files and records it as `command` in the history.
    ///
    /// # Errors
    /// Those of [`Change::move_all`](super::Change::move_all) and
    /// [`Change::delete_all`](super::Change::delete_all).
    pub fn apply(&self, history: &History, command: &str) -> Result<()> {
        let mut change = history.begin(command);
        let files: Vec<&Path> = self.files().collect();
        if self.destination.is_none() {
            change.delete_all(&files)?;
        } else {
            let targets: Vec<(&Path, PathBuf)> = files
                .into_iter()
                .filter_map(|file| Some((file, self.target(file)?)))
                .collect();
            let pairs: Vec<(&Path, &Path)> = targets
                .iter()
                .map(|(from, to)| (*from, to.as_path()))
                .collect();
            change.move_all(&pairs)?;
        }
        change.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::CaptionsOptions;

    fn folder() -> (tempfile::TempDir, Captions) {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        std::fs::create_dir_all(images.join("sub")).unwrap();
        for name in [
            "a.png",
            "a.txt",
            "a.tags.json",
            "b.jpg",
            "b.png",
            "b.txt",
            "sub/c.png",
            "sub/c.txt",
        ] {
            std::fs::write(images.join(name), name).unwrap();
        }
        let options = CaptionsOptions {
            recursive: true,
            ..CaptionsOptions::default()
        };
        let captions = Captions::open(images, &options).unwrap();
        (dir, captions)
    }

    fn entries<'a>(captions: &'a Captions, names: &[&str]) -> Vec<&'a Entry> {
        let find = |name: &&str| captions.find(Path::new(name)).unwrap();
        names.iter().map(find).collect()
    }

    #[test]
    fn images_move_with_their_files_and_back() {
        let (dir, captions) = folder();
        let destination = dir.path().join("new/place");
        let chosen = entries(&captions, &["a.png", "b.jpg", "sub/c.png"]);
        let plan = captions.plan_move(&chosen, &destination).unwrap();
        let history = History::open(captions.folder()).unwrap();
        plan.apply(&history, "move").unwrap();
        for name in [
            "a.png",
            "a.txt",
            "a.tags.json",
            "b.jpg",
            "sub/c.png",
            "sub/c.txt",
        ] {
            assert!(destination.join(name).is_file(), "{name}");
            assert!(!captions.folder().join(name).exists(), "{name}");
        }
        // The image b.png still has this caption.
        assert!(captions.folder().join("b.txt").is_file());
        history.undo().unwrap();
        for file in plan.files() {
            let name = captions.relative(file);
            assert_eq!(std::fs::read_to_string(file).unwrap(), name);
        }
    }

    #[test]
    fn images_that_share_a_caption_are_deleted_with_it() {
        let (_dir, captions) = folder();
        let plan = captions.plan_delete(&entries(&captions, &["b.jpg", "b.png"]));
        assert_eq!(plan.images[0].others, [""; 0].map(PathBuf::from));
        assert_eq!(plan.images[1].others, [captions.folder().join("b.txt")]);
        let history = History::open(captions.folder()).unwrap();
        plan.apply(&history, "delete").unwrap();
        assert!(plan.files().all(|file| !file.exists()));
        assert_eq!(history.undo().unwrap().restored, 3);
        assert!(plan.files().all(Path::is_file));
    }

    #[test]
    fn destinations_that_are_refused() {
        let (dir, captions) = folder();
        let all = entries(&captions, &["a.png", "sub/c.png"]);
        for inside in ["images", "images/x/y", "images/../images/sub"] {
            let error = captions
                .plan_move(&all, &dir.path().join(inside))
                .unwrap_err();
            assert!(error.to_string().contains("a folder outside of"), "{error}");
        }
        let taken = dir.path().join("taken");
        std::fs::create_dir_all(taken.join("sub")).unwrap();
        std::fs::write(taken.join("a.txt"), "").unwrap();
        std::fs::write(taken.join("sub/c.png"), "").unwrap();
        let message = captions.plan_move(&all, &taken).unwrap_err().to_string();
        assert!(
            message.starts_with("2 files already exist; nothing was moved\n  "),
            "{message}"
        );
        assert!(message.contains("taken/a.txt") && message.contains("taken/sub/c.png"));
        let file = taken.join("a.txt");
        assert!(captions.plan_move(&all, &file).is_err());
    }
}
