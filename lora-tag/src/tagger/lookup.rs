//! Finds a tagger by its path, by SD-Trainer's name, or by its repository.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::catalog::{self, Repository, TAGGERS};
use super::model_files::ModelFiles;
use crate::error::{Error, Result};

/// The places where taggers are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPlaces {
    /// Folders with one folder per tagger, named like the tagger or its repository.
    pub folders: Vec<PathBuf>,
    /// Caches of the Hugging Face Hub. Downloads go into the first.
    pub hub_caches: Vec<PathBuf>,
}

impl ModelPlaces {
    /// The places that the environment and the working directory name:
    /// `$LORA_TRAINER_MODELS`, sd-scripts' `wd14_tagger_model`, `$HF_HUB_CACHE`, `$HF_HOME/hub`,
    /// the Hub's cache of the user, and SD-Trainer's `huggingface/hub`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        let home = path("HOME").or_else(|| path("USERPROFILE"));
        let user_cache = path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let folders = [
            path("LORA_TRAINER_MODELS"),
            Some("wd14_tagger_model".into()),
        ];
        let caches = [
            path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")),
            path("HF_HOME").map(|home| home.join("hub")),
            user_cache.map(|cache| cache.join("huggingface").join("hub")),
            Some(Path::new("huggingface").join("hub")),
        ];
        Self {
            folders: folders.into_iter().flatten().collect(),
            hub_caches: caches.into_iter().flatten().collect(),
        }
    }

    /// Finds a tagger: a folder, an `.onnx` file, a name of SD-Trainer's list, or a repository
    /// (`OWNER/NAME`, or `OWNER/NAME/FOLDER`). Returns its folder or file.
    ///
    /// # Errors
    /// [`Error::NoTagger`] with the places that were searched and the taggers of the list.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        if Path::new(name).exists() {
            return Ok(name.into());
        }
        let repository = Repository::parse(name);
        let places = self.candidates(name, repository.as_ref());
        let found = places.iter().find(|folder| ModelFiles::is_tagger(folder));
        match found {
            Some(folder) => Ok(folder.clone()),
            None => Err(self.not_found(name, repository.as_ref())),
        }
    }

    /// The folders in which a tagger may be, the best first.
    fn candidates(&self, name: &str, repository: Option<&Repository>) -> Vec<PathBuf> {
        let mut candidates: Vec<PathBuf> = Vec::new();
        for folder in &self.folders {
            candidates.push(folder.join(name));
            if let Some(Repository {
                id,
                folder: inner,
                name,
                ..
            }) = repository
            {
                candidates.extend(name.map(|name| folder.join(name)));
                // sd-scripts' name of the folder.
                candidates.push(folder.join(id.replace('/', "_")).join(inner));
                candidates.push(folder.join(id.rsplit('/').next().unwrap_or(id)).join(inner));
                candidates.push(folder.join(id).join(inner));
            }
        }
        for cache in &self.hub_caches {
            if let Some(repository) = repository {
                candidates.extend(snapshots(cache, repository));
            }
        }
        candidates
    }

    pub(super) fn not_found(&self, name: &str, repository: Option<&Repository>) -> Error {
        let searched: Vec<String> = self
            .folders
            .iter()
            .chain(&self.hub_caches)
            .map(|place| place.display().to_string())
            .collect();
        let names = TAGGERS.map(|known| known.name);
        let nearest = names
            .into_iter()
            .filter(|_| repository.is_none())
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .min()
            .filter(|(distance, known)| distance * 3 <= known.len())
            .map(|(_, known)| known);
        Error::NoTagger {
            name: name.into(),
            nearest,
            address: repository.map(Repository::address),
            searched,
            known: catalog::listed(),
        }
    }
}

/// The name of a repository's folder in a cache of the Hub.
pub(super) fn cache_folder(cache: &Path, id: &str) -> PathBuf {
    cache.join(format!("models--{}", id.replace('/', "--")))
}

/// The folders of a repository's snapshots, that of its revision first.
fn snapshots(cache: &Path, repository: &Repository) -> Vec<PathBuf> {
    let folder = cache_folder(cache, &repository.id);
    let named = std::fs::read_to_string(folder.join("refs").join(&repository.revision));
    let mut names: Vec<OsString> = named.into_iter().map(|name| name.trim().into()).collect();
    let mut others: Vec<OsString> = std::fs::read_dir(folder.join("snapshots"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    others.sort();
    names.append(&mut others);
    names
        .into_iter()
        .map(|name| folder.join("snapshots").join(name).join(&repository.folder))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagger(folder: &Path, labels: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("model.onnx"), "").unwrap();
        std::fs::write(folder.join(labels), "").unwrap();
    }

    fn places(root: &Path) -> ModelPlaces {
        ModelPlaces {
            folders: vec![root.join("models"), root.join("wd14_tagger_model")],
            hub_caches: vec![root.join("hub")],
        }
    }

    #[test]
    fn taggers_are_found_where_other_programs_keep_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let places = places(root);
        let cached = "hub/models--cella110n--cl_tagger/snapshots/abc/cl_tagger_1_01";
        for (name, folder, labels) in [
            ("wd-vit-v3", "models/wd-vit-v3", "selected_tags.csv"),
            (
                "wd-swinv2-v3",
                "models/wd-swinv2-tagger-v3",
                "selected_tags.csv",
            ),
            ("mine", "models/mine", "selected_tags.csv"),
            (
                "wd14-vit-v2",
                "wd14_tagger_model/SmilingWolf_wd-v1-4-vit-tagger-v2",
                "selected_tags.csv",
            ),
            (
                "me/tags/v7",
                "wd14_tagger_model/me_tags/v7",
                "tag_mapping.json",
            ),
            ("cl_tagger_1_01", cached, "tag_mapping.json"),
        ] {
            tagger(&root.join(folder), labels);
            assert_eq!(places.find(name).unwrap(), root.join(folder), "{name}");
        }
        let path = root.join("models/mine").display().to_string();
        assert_eq!(places.find(&path).unwrap(), root.join("models/mine"));
    }

    #[test]
    fn the_snapshot_of_the_revision_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let folder = root
            .path()
            .join("hub/models--SmilingWolf--wd-v1-4-moat-tagger-v2");
        tagger(&folder.join("snapshots/aaa"), "selected_tags.csv");
        tagger(&folder.join("snapshots/bbb"), "selected_tags.csv");
        std::fs::create_dir(folder.join("refs")).unwrap();
        std::fs::write(folder.join("refs/v2.0"), "bbb\n").unwrap();
        let found = places(root.path()).find("wd14-moat-v2").unwrap();
        assert!(found.ends_with("snapshots/bbb"));
        // A snapshot without the model does not count.
        std::fs::remove_file(folder.join("snapshots/bbb/model.onnx")).unwrap();
        let found = places(root.path()).find("wd14-moat-v2").unwrap();
        assert!(found.ends_with("snapshots/aaa"));
    }

    #[test]
    fn a_missing_tagger_is_explained() {
        let root = tempfile::tempdir().unwrap();
        let error = places(root.path())
            .find("wd-vit-v2")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`wd-vit-v2`: no such tagger; did you mean `wd-vit-v3`?"),
            "{error}"
        );
        let error = places(root.path())
            .find("wd-vit-v3")
            .unwrap_err()
            .to_string();
        for part in [
            "wd14_tagger_model",
            "hub",
            "https://huggingface.co/SmilingWolf/wd-vit-tagger-v3/tree/main",
            "model.onnx, tag_mapping.json",
            "--download",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(
            error.starts_with("`wd-vit-v3`: this tagger is not on this computer"),
            "{error}"
        );
        let error = places(root.path()).find("me/tags").unwrap_err().to_string();
        assert!(
            error.contains("it is at https://huggingface.co/me/tags/tree/main\n"),
            "{error}"
        );
    }

    #[test]
    fn places_follow_the_environment() {
        let places = ModelPlaces::from_variables(|name| match name {
            "LORA_TRAINER_MODELS" => Some("/models".into()),
            "HF_HOME" => Some("/hf".into()),
            "HOME" => Some("/home/me".into()),
            _ => None,
        });
        assert_eq!(places.folders[0], Path::new("/models"));
        assert_eq!(places.hub_caches[0], Path::new("/hf/hub"));
        assert_eq!(
            places.hub_caches[1],
            Path::new("/home/me/.cache/huggingface/hub")
        );
    }
}
