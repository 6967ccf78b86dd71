//! The probabilities that a tagger gives the tags of an image, and the file that keeps them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lora_data::{Size, atomic};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::category::Category;
use crate::error::{Error, Result};
use crate::kind::TaggerKind;

/// The least probability that is kept in a file, but for ratings.
pub const LEAST_KEPT: f32 = 0.01;

/// A tag with its probability, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The tag as the tagger spells it, with underscores.
    pub tag: String,
    /// The probability.
    pub probability: f32,
}

/// The probabilities of the tags of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The kind of tagger, on which the order of tags depends.
    pub kind: TaggerKind,
    /// The size of the image, upright if its Exif orientation was applied.
    pub image_size: Size,
    /// The tags of each category in the order of the tagger.
    pub categories: BTreeMap<Category, Vec<Score>>,
}

impl Scores {
    /// The tags of a category in the order of the tagger.
    #[must_use]
    pub fn of(&self, category: Category) -> &[Score] {
        self.categories.get(&category).map_or(&[], Vec::as_slice)
    }

    /// The most probable tag of a category; of equal ones the first.
    #[must_use]
    pub fn best(&self, category: Category) -> Option<&Score> {
        let scores = self.of(category).iter();
        scores.reduce(|best, score| {
            if score.probability > best.probability {
                score
            } else {
                best
            }
        })
    }

    /// The probability of a tag in any category. Underscores and backslashes are ignored: captions
    /// have `long hair` and `name \(series\)` for `long_hair` and `name_(series)`.
    #[must_use]
    pub fn probability(&self, written: &str) -> Option<f32> {
        fn plain(tag: &str) -> impl Iterator<Item = char> {
            let characters = tag.chars().filter(|character| *character != '\\');
            characters.map(|character| if character == '_' { ' ' } else { character })
        }
        let mut all = self.categories.values().flatten();
        let found = all.find(|score| plain(&score.tag).eq(plain(written)));
        found.map(|score| score.probability)
    }

    /// The file that keeps the scores of an image: `a.tags.json` next to `a.png`.
    #[must_use]
    pub fn path_for(image: &Path) -> PathBuf {
        let mut name: OsString = image.file_stem().unwrap_or_default().into();
        name.push(".tags.json");
        image.with_file_name(name)
    }

    /// Writes the ratings and all tags with a probability of at least [`LEAST_KEPT`].
    ///
    /// # Errors
    /// [`Error::Data`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&File::from(self)).unwrap_or_default();
        Ok(atomic::write(path, |file| writeln!(file, "{text}"))?)
    }

    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`Error::NoScores`] if there is no such file, [`Error::Io`] if it cannot be read,
    /// [`Error::Scores`] if it is none of these files.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoScores { path: path.into() });
            }
            text => text.map_err(Error::io(path, "read"))?,
        };
        let invalid = |reason: String| Error::Scores {
            path: path.into(),
            reason,
        };
        let file: File = serde_json::from_slice(&text).map_err(|e| invalid(e.to_string()))?;
        file.scores().map_err(invalid)
    }
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    kind: String,
    image_size: [u32; 2],
    tags: BTreeMap<String, Tags>,
}

impl From<&Scores> for File {
    fn from(scores: &Scores) -> Self {
        let kept = |category: Category, tags: &[Score]| {
            let is_kept =
                |tag: &&Score| category == Category::Rating || tag.probability >= LEAST_KEPT;
            Tags(tags.iter().filter(is_kept).cloned().collect())
        };
        let categories = scores.categories.iter();
        Self {
            kind: scores.kind.name().into(),
            image_size: [scores.image_size.width, scores.image_size.height],
            tags: categories
                .map(|(category, tags)| (category.name().into(), kept(*category, tags)))
                .collect(),
        }
    }
}

impl File {
    fn scores(self) -> Result<Scores, String> {
        let kind = TaggerKind::from_name(&self.kind);
        let mut categories = BTreeMap::new();
        for (name, Tags(tags)) in self.tags {
            let category = Category::from_name(&name)
                .ok_or_else(|| format!("`tags`: found the category `{name}`"))?;
            let unfit = tags
                .iter()
                .find(|tag| !(0.0..=1.0).contains(&tag.probability));
            if let Some(Score { tag, probability }) = unfit {
                return Err(format!(
                    "`{tag}`: found {probability}, expected a probability from 0 to 1"
                ));
            }
            categories.insert(category, tags);
        }
        let [width, height] = self.image_size;
        Ok(Scores {
            kind: kind
                .ok_or_else(|| format!("`kind`: found `{}`, expected `wd` or `cl`", self.kind))?,
            image_size: Size::new(width, height),
            categories,
        })
    }
}

/// A map from tags to probabilities that keeps its order.
#[derive(Debug)]
struct Tags(Vec<Score>);

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|score| (&score.tag, score.probability)))
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tags with their probabilities")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
        let mut scores = Vec::new();
        while let Some((tag, probability)) = map.next_entry()? {
            scores.push(Score { tag, probability });
        }
        Ok(Tags(scores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(tag: &str, probability: f32) -> Score {
        Score {
            tag: tag.into(),
            probability,
        }
    }

    #[test]
    fn a_file_keeps_order_and_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = Scores::path_for(&folder.path().join("a.b.png"));
        assert!(path.ends_with("a.b.tags.json"));
        let rating = vec![score("general", 1e-7), score("explicit", 0.7)];
        let general = vec![
            score("z", 0.123_456_79),
            score("a", 0.009),
            score("b", 0.01),
        ];
        let categories = BTreeMap::from([(Category::Rating, rating), (Category::General, general)]);
        let mut scores = Scores {
            kind: TaggerKind::Cl,
            image_size: Size::new(3, 4),
            categories,
        };
        scores.write(&path).unwrap();
        scores
            .categories
            .get_mut(&Category::General)
            .unwrap()
            .remove(1);
        assert_eq!(Scores::read(&path).unwrap(), scores);
        assert_eq!(scores.best(Category::Rating).unwrap().tag, "explicit");
        assert_eq!(scores.best(Category::Artist), None);
        let general = vec![score("long_hair", 0.5), score("a_(b)", 0.6)];
        scores.categories.insert(Category::General, general);
        assert_eq!(scores.probability("long hair"), Some(0.5));
        assert_eq!(scores.probability(r"a \(b\)"), Some(0.6));
        assert_eq!(scores.probability("a b"), None);
    }

    #[test]
    fn errors_name_file_and_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tags.json");
        for (text, part) in [
            (r#"{"kind": "wd"}"#, "missing field `image_size`"),
            (
                r#"{"kind": "x", "image_size": [1, 1], "tags": {}}"#,
                "`kind`: found `x`",
            ),
            (
                r#"{"kind": "wd", "image_size": [1, 1], "tags": {"a": {}}}"#,
                "category `a`",
            ),
            (
                r#"{"kind": "wd", "image_size": [1, 1], "tags": {"general": {"cat": 2}}}"#,
                "`cat`: found 2",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Scores::read(&path).unwrap_err().to_string();
            assert!(
                error.contains("a.tags.json") && error.contains(part),
                "{error}"
            );
        }
    }
}
