//! From probabilities to the tags of a caption.

use std::collections::HashSet;

use crate::category::Category;
use crate::kind::TaggerKind;
use crate::options::{Position, Style, TagOptions};
use crate::scores::{Score, Scores};
use crate::spelling::{Spelling, character_and_series};

/// The categories of tags that are chosen by threshold, in the order of sd-scripts.
const BY_THRESHOLD: [Category; 6] = [
    Category::General,
    Category::Character,
    Category::Copyright,
    Category::Artist,
    Category::Meta,
    Category::Model,
];

/// A tag for the caption.
#[derive(Debug, Clone, Copy)]
struct Chosen<'a> {
    tag: &'a str,
    category: Category,
    probability: f32,
}

impl<'a> Chosen<'a> {
    fn new(category: Category, score: &'a Score) -> Self {
        Self {
            tag: &score.tag,
            category,
            probability: score.probability,
        }
    }
}

impl TagOptions {
    /// The caption of an image with these probabilities.
    #[must_use]
    pub fn caption(&self, scores: &Scores) -> String {
        self.tags(scores).join(&self.caption_separator)
    }

    /// The tags of the caption, each once.
    #[must_use]
    pub fn tags(&self, scores: &Scores) -> Vec<String> {
        let writer = Writer {
            options: self,
            spelling: Spelling::new(self),
        };
        let chosen = self.ordered(scores);
        let mut tags: Vec<String> = chosen.iter().flat_map(|tag| writer.written(*tag)).collect();
        writer.move_to_front(&mut tags);
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        tags
    }

    /// The chosen tags in the order of the caption.
    fn ordered<'a>(&'a self, scores: &'a Scores) -> Vec<Chosen<'a>> {
        let mut chosen = self.above_threshold(scores);
        let additional = self.additional_tags.iter().map(|tag| Chosen {
            tag,
            category: Category::General,
            probability: 1.0,
        });
        let quality = self.quality(scores);
        let rating = self.ratings(scores);
        let is_sorted = self.style == Style::SdTrainer || scores.kind == TaggerKind::Cl;
        if is_sorted {
            let among = |(position, tags): &(Position, Vec<Chosen<'a>>)| match position {
                Position::ByProbability => tags.clone(),
                Position::First | Position::Last => Vec::new(),
            };
            chosen.extend(among(&rating));
            chosen.extend(among(&quality));
            // Stable, so that characters precede equally probable tags.
            chosen.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        }
        if self.character_tags_first {
            let is_character = |tag: &Chosen<'_>| tag.category == Category::Character;
            let (mut characters, others): (Vec<_>, Vec<_>) =
                chosen.into_iter().partition(is_character);
            if self.reverses() && !is_sorted {
                characters.reverse();
            }
            chosen = [characters, others].concat();
        }
        let mut ordered = Vec::new();
        let mut last = Vec::new();
        for (position, tags) in [rating, quality] {
            match position {
                Position::Last => last.splice(0..0, tags).for_each(drop),
                Position::ByProbability if is_sorted => {}
                Position::First | Position::ByProbability => ordered.extend(tags),
            }
        }
        // They have probability 1, so they come before the tags of the image.
        let mut all: Vec<Chosen<'a>> = additional.collect();
        all.append(&mut ordered);
        all.append(&mut chosen);
        all.append(&mut last);
        all
    }

    /// The tags whose probability reaches the threshold of their category.
    fn above_threshold<'a>(&self, scores: &'a Scores) -> Vec<Chosen<'a>> {
        let mut categories = BY_THRESHOLD;
        if self.style == Style::SdTrainer {
            categories[..2].reverse();
        }
        let ignores_categories =
            self.compat && self.style == Style::SdTrainer && scores.kind == TaggerKind::Wd;
        let mut chosen = Vec::new();
        for category in categories {
            if !self.writes(category) {
                continue;
            }
            let threshold = if ignores_categories {
                self.threshold_of(Category::General)
            } else {
                self.threshold_of(category)
            };
            let scores = scores.of(category).iter();
            chosen.extend(
                scores
                    .filter(|score| score.probability >= threshold)
                    .map(|score| Chosen::new(category, score)),
            );
        }
        chosen
    }

    /// The rating, if it is written.
    fn ratings<'a>(&self, scores: &'a Scores) -> (Position, Vec<Chosen<'a>>) {
        let Some(position) = self.rating.filter(|_| self.writes(Category::Rating)) else {
            return (Position::Last, Vec::new());
        };
        let chosen = |score| Chosen::new(Category::Rating, score);
        let all = scores.of(Category::Rating).iter();
        let best = scores.best(Category::Rating).into_iter();
        let threshold = self.threshold_of(Category::Rating);
        let ratings = match (self.compat, self.style, scores.kind) {
            (true, Style::SdTrainer, TaggerKind::Wd) => all
                .filter(|score| score.probability >= threshold)
                .map(chosen)
                .collect(),
            (true, Style::SdTrainer, TaggerKind::Cl) => best
                .filter(|score| score.probability >= threshold)
                .map(chosen)
                .collect(),
            (true, Style::SdScripts, TaggerKind::Cl) => best
                .filter(|score| score.probability >= self.least_threshold())
                .map(chosen)
                .collect(),
            _ => best.map(chosen).collect(),
        };
        (position, ratings)
    }

    /// The quality tag, if it is written.
    fn quality<'a>(&self, scores: &'a Scores) -> (Position, Vec<Chosen<'a>>) {
        let best = scores
            .best(Category::Quality)
            .filter(|_| self.writes(Category::Quality));
        let chosen = |score: Option<&'a Score>| {
            let chosen = score.map(|score| Chosen::new(Category::Quality, score));
            chosen.into_iter().collect()
        };
        match (self.quality, self.style) {
            (Some(position), Style::SdScripts) if self.compat => {
                let least = self.least_threshold();
                (
                    position,
                    chosen(best.filter(|score| score.probability >= least)),
                )
            }
            (Some(position), _) => (position, chosen(best)),
            (None, Style::SdTrainer) => {
                let threshold = self.threshold_of(Category::Quality);
                let enough = best.filter(|score| score.probability >= threshold);
                (Position::ByProbability, chosen(enough))
            }
            (None, Style::SdScripts) => (Position::Last, Vec::new()),
        }
    }

    /// True if tags of this category may be written.
    fn writes(&self, category: Category) -> bool {
        !self.exclude_categories.contains(&category)
            && (category != Category::Model || self.model.unwrap_or(self.style == Style::SdScripts))
    }

    /// sd-scripts moves tags to the front one by one, which reverses their order.
    fn reverses(&self) -> bool {
        self.compat && self.style == Style::SdScripts
    }
}

/// Spells, replaces and excludes tags.
#[derive(Debug)]
struct Writer<'a> {
    options: &'a TagOptions,
    spelling: Spelling,
}

impl Writer<'_> {
    /// What a tag contributes to the caption: nothing, itself, or a character and its series.
    fn written(&self, chosen: Chosen<'_>) -> Vec<String> {
        if self.is_excluded(chosen.tag) {
            return Vec::new();
        }
        let expands = self.options.character_tag_expand && chosen.category == Category::Character;
        // A replacement of the whole tag takes precedence over its expansion.
        let parts = match character_and_series(chosen.tag).filter(|_| expands) {
            Some((name, series)) if self.replacement(chosen.tag).is_none() => vec![name, series],
            _ => vec![chosen.tag],
        };
        parts
            .into_iter()
            .filter_map(|tag| self.spelled(tag))
            .collect()
    }

    /// Moves the tags of `always_first_tags` to the front.
    fn move_to_front(&self, tags: &mut Vec<String>) {
        let mut front = Vec::new();
        for tag in &self.options.always_first_tags {
            let forms = self.spelling.forms(tag);
            let found = tags.iter().position(|known| forms.contains(known));
            front.extend(found.map(|index| tags.remove(index)));
        }
        if self.options.reverses() {
            front.reverse();
        }
        tags.splice(0..0, front);
    }

    fn spelled(&self, tag: &str) -> Option<String> {
        let replaced = match self.replacement(tag) {
            Some(target) => target.to_owned(),
            None => self.spelling.spaced(tag).into_owned(),
        };
        let is_written = !replaced.is_empty() && !self.is_excluded(&replaced);
        is_written.then(|| self.spelling.escaped(&replaced))
    }

    fn replacement(&self, tag: &str) -> Option<&str> {
        let replacements = &self.options.replacements;
        let mut forms = self.spelling.forms(tag).into_iter();
        forms.find_map(|form| replacements.target(&form))
    }

    fn is_excluded(&self, tag: &str) -> bool {
        let forms = self.spelling.forms(tag);
        let mut excluded = self.options.exclude_tags.iter();
        excluded.any(|excluded| forms.contains(excluded))
    }
}

#[cfg(test)]
mod tests;
