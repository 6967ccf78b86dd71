//! The categories of tags.

use std::fmt;

use serde::{Serialize, Serializer};

/// The category of a tag, as Danbooru and the taggers group them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// How explicit the image is: `general`, `sensitive`, `questionable`, `explicit`.
    Rating,
    /// How good the image is: `best quality`.
    Quality,
    /// What can be seen: `1girl`, `smile`.
    General,
    /// Who can be seen: `hatsune_miku`.
    Character,
    /// The series that a character is from.
    Copyright,
    /// Who made the image.
    Artist,
    /// Facts about the file: `highres`.
    Meta,
    /// The generative model that made the image.
    Model,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 8] = [
        Self::Rating,
        Self::Quality,
        Self::General,
        Self::Character,
        Self::Copyright,
        Self::Artist,
        Self::Meta,
        Self::Model,
    ];

    /// Its name in lower case: `general`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rating => "rating",
            Self::Quality => "quality",
            Self::General => "general",
            Self::Character => "character",
            Self::Copyright => "copyright",
            Self::Artist => "artist",
            Self::Meta => "meta",
            Self::Model => "model",
        }
    }

    /// The category of this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.name().eq_ignore_ascii_case(name))
    }

    /// The category of Danbooru's number, which `selected_tags.csv` has: 0 general, 1 artist,
    /// 3 copyright, 4 character, 5 meta, and 9 rating.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::General,
            1 => Self::Artist,
            3 => Self::Copyright,
            4 => Self::Character,
            5 => Self::Meta,
            9 => Self::Rating,
            _ => return None,
        })
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
