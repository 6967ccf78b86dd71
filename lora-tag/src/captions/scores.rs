//! The scores that a tagger recorded for an image.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// The file with the scores of an image: `a.tags.json` next to `a.png`.
#[must_use]
pub fn scores_file(image: &Path) -> PathBuf {
    image.with_extension("tags.json")
}

/// The scores of an image's tags.
///
/// Tags are compared without regard to underscores and escaped parentheses: captions have
/// `long hair` or `name \(series\)` for the tagger's `long_hair` and `name_(series)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    by_tag: HashMap<String, f64>,
}

#[derive(Deserialize)]
struct File {
    /// Scores by category and tag.
    tags: HashMap<String, HashMap<String, f64>>,
}

impl Scores {
    /// Reads the scores of an image.
    ///
    /// # Errors
    /// [`Error::NoScores`] without such a file, [`Error::Scores`] for other contents, and
    /// [`Error::Io`].
    pub fn read(image: &Path) -> Result<Self> {
        let path = scores_file(image);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoScores { path });
            }
            read => read.map_err(Error::io(&path, "read"))?,
        };
        let file: File = serde_json::from_slice(&text).map_err(|error| Error::Scores {
            path,
            reason: error.to_string(),
        })?;
        let scores = file.tags.into_values().flatten();
        Ok(Self {
            by_tag: scores.map(|(tag, score)| (key(&tag), score)).collect(),
        })
    }

    /// The score of a tag, if the tagger knows it.
    #[must_use]
    pub fn get(&self, tag: &str) -> Option<f64> {
        self.by_tag.get(&key(tag)).copied()
    }
}

fn key(tag: &str) -> String {
    tag.replace('\\', "").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_all_categories() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.b.png");
        let message = Scores::read(&image).unwrap_err().to_string();
        assert!(message.contains("a.b.tags.json: no such file"), "{message}");
        let text = r#"{"model": "x", "tags": {"general": {"long_hair": 0.9}, "character": {"a_(b)": 0.5}}}"#;
        std::fs::write(scores_file(&image), text).unwrap();
        let scores = Scores::read(&image).unwrap();
        assert_eq!(scores.get("long hair"), Some(0.9));
        assert_eq!(scores.get(r"a \(b\)"), Some(0.5));
        assert_eq!(scores.get("c"), None);
        std::fs::write(scores_file(&image), "{\"tags\": 3}").unwrap();
        let message = Scores::read(&image).unwrap_err().to_string();
        assert!(
            message.contains("a.b.tags.json: ") && message.contains("line 1"),
            "{message}"
        );
    }
}
