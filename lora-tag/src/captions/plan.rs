//! Changes of captions before they are made.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::edit::{Edit, EditContext, SortBy, TokenCounter};
use super::folder::{Captions, Entry, unique_files};
use super::history::History;
use super::respelling::{UnknownTag, unknown_tags};
use crate::error::Result;
use crate::scores::Scores;

/// The changes of caption files, which [`apply`](Self::apply) makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The caption files that change, in the order of their paths.
    pub captions: Vec<PlannedCaption>,
    /// The number of existing caption files that were looked at.
    pub considered: usize,
    /// Tags of the edit that none of these captions has.
    pub unknown_tags: Vec<UnknownTag>,
    /// Caption files with a line that has more tokens than `truncate` allows, since it is one tag.
    pub too_long: Vec<PathBuf>,
}

/// The change of a caption file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCaption {
    /// The file.
    pub file: PathBuf,
    /// Its text; `None` if it is created.
    pub old: Option<String>,
    /// Its new text.
    pub new: String,
}

impl Plan {
    /// The number of caption files that are created.
    #[must_use]
    pub fn created(&self) -> usize {
        let captions = self.captions.iter();
        captions.filter(|caption| caption.old.is_none()).count()
    }

    /// Makes the changes and records them as `command` in the history.
    ///
    /// # Errors
    /// Those of [`Change::write_all`](super::Change::write_all).
    pub fn apply(&self, history: &History, command: &str) -> Result<()> {
        let files: Vec<(&Path, &str)> = self
            .captions
            .iter()
            .map(|caption| (&*caption.file, &*caption.new))
            .collect();
        let mut change = history.begin(command);
        change.write_all(&files)?;
        change.finish()
    }
}

impl Captions {
    /// The changes that an edit makes to the captions of these entries.
    ///
    /// # Errors
    /// [`Error::NoScores`](crate::Error::NoScores) and [`Error::Scores`](crate::Error::Scores) if
    /// the edit sorts by scores.
    pub fn plan(
        &self,
        entries: &[&Entry],
        edit: &Edit,
        count_tokens: TokenCounter,
    ) -> Result<Plan> {
        let all: Vec<&Entry> = self.entries().iter().collect();
        let frequencies = self.frequencies(&all);
        let needs_scores = matches!(
            edit,
            Edit::Sort {
                by: SortBy::Score,
                ..
            }
        );
        let unique = unique_files(entries);
        let edited = |entry: &&Entry| -> Result<Option<String>> {
            let scores = (needs_scores && entry.text.is_some())
                .then(|| Scores::read(&Scores::path_for(&entry.image)))
                .transpose()?;
            let context = EditContext {
                frequencies: &frequencies,
                scores: scores.as_ref(),
                count_tokens,
                separator: &self.options().caption_separator,
            };
            Ok(edit.apply(entry.text.as_deref(), &context))
        };
        let new: Vec<Result<Option<String>>> = unique.par_iter().map(edited).collect();
        // Of several errors, the first one is returned.
        let new: Vec<Option<String>> = new.into_iter().collect::<Result<_>>()?;
        let mut plan = Plan {
            considered: unique.iter().filter(|entry| entry.text.is_some()).count(),
            unknown_tags: unknown_tags(edit.sought_tags(), &self.frequencies(&unique)),
            ..Plan::default()
        };
        for (entry, new) in unique.iter().zip(new) {
            let Some(new) = new else { continue };
            if let Edit::Truncate { tokens } = edit
                && self
                    .parse(&new)
                    .lines()
                    .any(|line| count_tokens(line) > *tokens)
            {
                plan.too_long.push(entry.file.clone());
            }
            if entry.text.as_ref() != Some(&new) {
                plan.captions.push(PlannedCaption {
                    file: entry.file.clone(),
                    old: entry.text.clone(),
                    new,
                });
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::{CaptionsOptions, Position};
    use crate::error::Error;

    fn folder(captions: &[(&str, Option<&str>)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (image, text) in captions {
            let image = dir.path().join(image);
            std::fs::write(&image, "").unwrap();
            if let Some(text) = text {
                std::fs::write(image.with_extension("txt"), text).unwrap();
            }
        }
        dir
    }

    fn plan(dir: &tempfile::TempDir, edit: &Edit) -> Result<Plan> {
        let captions = Captions::open(dir.path(), &CaptionsOptions::default()).unwrap();
        let entries: Vec<&Entry> = captions.entries().iter().collect();
        captions.plan(&entries, edit, &|text| text.len())
    }

    #[test]
    fn only_changed_captions_are_written() {
        let dir = folder(&[
            ("a.png", Some("x,y")),
            ("b.png", Some("y")),
            ("b.jpg", None),
            ("c.png", None),
            ("d.png", Some("\n")),
        ]);
        let add = Edit::Add {
            tags: vec!["x".into()],
            position: Position::First,
        };
        let planned = plan(&dir, &add).unwrap();
        let news: Vec<&str> = planned
            .captions
            .iter()
            .map(|caption| &*caption.new)
            .collect();
        // Two images share the file b.txt.
        assert_eq!(news, ["x, y", "x\n", "x\n"]);
        assert_eq!((planned.considered, planned.created()), (3, 1));
        let history = History::open(dir.path()).unwrap();
        planned.apply(&history, "add x").unwrap();
        assert!(plan(&dir, &add).unwrap().captions.is_empty());
        assert_eq!(history.undo().unwrap().restored, 3);
        assert_eq!(plan(&dir, &add).unwrap(), planned);
    }

    #[test]
    fn what_an_edit_does_not_reach_is_reported() {
        let dir = folder(&[("a.png", Some("x, abcdef")), ("b.png", Some("abcdefg"))]);
        let remove = Edit::Remove {
            tags: vec!["x".into(), "z".into()],
        };
        let unknown = plan(&dir, &remove).unwrap().unknown_tags;
        assert_eq!((unknown.len(), &*unknown[0].tag), (1, "z"));
        let truncated = plan(&dir, &Edit::Truncate { tokens: 5 }).unwrap();
        assert_eq!(truncated.too_long, [dir.path().join("b.txt")]);
        assert_eq!(truncated.captions[0].new, "x");
    }

    #[test]
    fn scores_are_read_for_each_image() {
        let dir = folder(&[("a.png", Some("x, z, y_z")), ("b.png", None)]);
        let sort = Edit::Sort {
            by: SortBy::Score,
            reverse: false,
            keep: 0,
        };
        assert!(
            matches!(plan(&dir, &sort), Err(Error::NoScores { path }) if path.ends_with("a.tags.json"))
        );
        let scores =
            r#"{"kind": "wd", "image_size": [1, 1], "tags": {"general": {"x": 0.2, "y_z": 0.5}}}"#;
        std::fs::write(dir.path().join("a.tags.json"), scores).unwrap();
        assert_eq!(plan(&dir, &sort).unwrap().captions[0].new, "y_z, x, z");
    }
}
