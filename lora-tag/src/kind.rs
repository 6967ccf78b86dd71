//! The kinds of taggers.

/// A family of taggers. It decides what goes into the model and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaggerKind {
    /// SmilingWolf's WD taggers: `selected_tags.csv`; pixels from 0 to 255 in, probabilities out.
    Wd,
    /// cella110n's CL tagger: `tag_mapping.json`; pixels from -1 to 1 in, logits out.
    Cl,
}

impl TaggerKind {
    /// Its name in files: `wd` or `cl`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wd => "wd",
            Self::Cl => "cl",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Wd, Self::Cl]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
