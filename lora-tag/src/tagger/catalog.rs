//! The taggers that SD-Trainer offers.

use super::model_files::LABELS;
use crate::kind::TaggerKind;
use crate::options::Style;

/// A tagger on the Hugging Face Hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownTagger {
    /// SD-Trainer's name.
    pub(super) name: &'static str,
    /// The repository, `OWNER/NAME`.
    repo: &'static str,
    /// The branch or tag.
    revision: &'static str,
    /// The folder in the repository; empty for its top.
    folder: &'static str,
    kind: TaggerKind,
}

const fn wd(name: &'static str, repo: &'static str, revision: &'static str) -> KnownTagger {
    KnownTagger {
        name,
        repo,
        revision,
        folder: "",
        kind: TaggerKind::Wd,
    }
}

/// SD-Trainer's list.
pub(super) const TAGGERS: [KnownTagger; 10] = [
    wd(
        "wd-convnext-v3",
        "SmilingWolf/wd-convnext-tagger-v3",
        "main",
    ),
    wd("wd-swinv2-v3", "SmilingWolf/wd-swinv2-tagger-v3", "main"),
    wd("wd-vit-v3", "SmilingWolf/wd-vit-tagger-v3", "main"),
    wd(
        "wd14-convnextv2-v2",
        "SmilingWolf/wd-v1-4-convnextv2-tagger-v2",
        "v2.0",
    ),
    wd(
        "wd14-swinv2-v2",
        "SmilingWolf/wd-v1-4-swinv2-tagger-v2",
        "v2.0",
    ),
    wd("wd14-vit-v2", "SmilingWolf/wd-v1-4-vit-tagger-v2", "v2.0"),
    wd("wd14-moat-v2", "SmilingWolf/wd-v1-4-moat-tagger-v2", "v2.0"),
    wd(
        "wd-eva02-large-tagger-v3",
        "SmilingWolf/wd-eva02-large-tagger-v3",
        "main",
    ),
    wd(
        "wd-vit-large-tagger-v3",
        "SmilingWolf/wd-vit-large-tagger-v3",
        "main",
    ),
    KnownTagger {
        name: "cl_tagger_1_01",
        repo: "cella110n/cl_tagger",
        revision: "main",
        folder: "cl_tagger_1_01",
        kind: TaggerKind::Cl,
    },
];

/// The default tagger of a style's original program.
#[must_use]
pub fn default_tagger(style: Style) -> &'static str {
    match style {
        Style::SdTrainer => "wd-vit-v3",
        Style::SdScripts => "SmilingWolf/wd-v1-4-convnext-tagger-v2",
    }
}

/// A tagger on the Hub, in the list or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// SD-Trainer's name, if it is in the list.
    pub(super) name: Option<&'static str>,
    /// `OWNER/NAME`.
    pub(super) id: String,
    /// The branch or tag.
    pub(super) revision: String,
    /// The folder in the repository; empty for its top.
    pub(super) folder: String,
    /// The names of the files that a download needs: the model and the tags.
    pub(super) files: [&'static str; 2],
}

impl Repository {
    /// The repository of a name of the list, or of `OWNER/NAME` or `OWNER/NAME/FOLDER` as
    /// sd-scripts has it: a folder means a CL tagger.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let known = TAGGERS
            .iter()
            .find(|known| known.name == name || known.id() == name);
        if let Some(known) = known {
            return Some(known.repository());
        }
        // A path of a model that does not exist is no repository.
        if name.ends_with(".onnx") {
            return None;
        }
        let mut parts = name.splitn(3, '/');
        let (owner, repo, folder) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
        let is_name = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let folders_fit = folder.is_empty() || folder.split('/').all(is_name);
        if !(is_name(owner) && is_name(repo) && folders_fit) {
            return None;
        }
        let files = if folder.is_empty() {
            ["model.onnx", LABELS[0].1]
        } else {
            ["model_optimized.onnx", LABELS[1].1]
        };
        Some(Self {
            name: None,
            id: format!("{owner}/{repo}"),
            revision: "main".into(),
            folder: folder.into(),
            files,
        })
    }

    /// Its page.
    pub(super) fn address(&self) -> String {
        let Self {
            id,
            revision,
            folder,
            ..
        } = self;
        let address = format!("https://huggingface.co/{id}/tree/{revision}/{folder}");
        address.trim_end_matches('/').into()
    }

    /// The path of a file in the repository.
    #[cfg(any(feature = "hub", test))]
    pub(super) fn path_of(&self, file: &str) -> String {
        if self.folder.is_empty() {
            file.into()
        } else {
            format!("{}/{file}", self.folder)
        }
    }
}

impl KnownTagger {
    /// `OWNER/NAME` or `OWNER/NAME/FOLDER`.
    fn id(&self) -> String {
        match self.folder {
            "" => self.repo.into(),
            folder => format!("{}/{folder}", self.repo),
        }
    }

    fn repository(&self) -> Repository {
        Repository {
            name: Some(self.name),
            id: self.repo.into(),
            revision: self.revision.into(),
            folder: self.folder.into(),
            files: ["model.onnx", labels_of(self.kind)],
        }
    }
}

fn labels_of(kind: TaggerKind) -> &'static str {
    let found = LABELS.iter().find(|(of, _)| *of == kind);
    found.map_or("", |(_, name)| name)
}

/// The taggers of the list with their files and addresses, one per line.
pub(super) fn listed() -> String {
    let lines = TAGGERS.iter().map(|known| {
        let repository = known.repository();
        let files = repository.files.join(", ");
        let (name, address) = (known.name, repository.address());
        format!("\n  {name:<24}  {files:<29}  {address}")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_repositories() {
        let known = Repository::parse("wd14-moat-v2").unwrap();
        assert_eq!(known.id, "SmilingWolf/wd-v1-4-moat-tagger-v2");
        assert_eq!(known.revision, "v2.0");
        assert_eq!(known.files, ["model.onnx", "selected_tags.csv"]);
        assert_eq!(Repository::parse(&known.id), Some(known));
        let cl = Repository::parse("cella110n/cl_tagger/cl_tagger_1_01").unwrap();
        assert_eq!(cl.name, Some("cl_tagger_1_01"));
        assert_eq!(cl.path_of("model.onnx"), "cl_tagger_1_01/model.onnx");
        let other = Repository::parse("cella110n/cl_tagger/cl_tagger_1_02").unwrap();
        assert_eq!(other.files, ["model_optimized.onnx", "tag_mapping.json"]);
        for name in [
            "wd", "a/../b", "/a/b", "a//b", "./a", "a b/c", "a/b/", "a/b.onnx",
        ] {
            let parsed = Repository::parse(name);
            assert!(parsed.is_none() || name == "a/b/", "{name}: {parsed:?}");
        }
        assert_eq!(listed().lines().count(), 11);
    }
}
