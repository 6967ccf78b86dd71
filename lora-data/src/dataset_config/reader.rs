//! From a tree of values to data sets, with all that is wrong in it.

use std::collections::HashSet;

use super::DatasetConfigFile;
use super::keys::{Draft, Key, Level, Style, key, nearest};
use super::problem::{Problem, ProblemKind};
use crate::config::{DatasetConfig, Subset};
use crate::error::Error;
use crate::tree::{Node, Table, Value, shortened};

/// The problems found so far. Each table starts as a copy of the one above it, so that it is read,
/// and reported on, once.
#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn file(
        mut self,
        root: &Node,
        defaults: &DatasetConfig,
    ) -> Result<DatasetConfigFile, Vec<Problem>> {
        let mut file = DatasetConfigFile {
            datasets: Vec::new(),
            cache_info: None,
        };
        if let Some(root) = self.as_table(root, "") {
            let mut draft = Draft::new(defaults);
            self.table(root, Level::Root, "", &mut draft);
            let general =
                find(root, "general").and_then(|general| self.as_table(general, "general"));
            let sound = general
                .is_none_or(|general| self.table(general, Level::General, "general", &mut draft));
            let mut styles = Vec::new();
            let missing = "at least one data set (`[[datasets]]` in TOML)";
            for (dataset, place) in self.list(root, "datasets", "datasets", None, missing) {
                styles.push(self.dataset(dataset, &place, draft.clone(), sound, &mut file));
            }
            if let Some(general) = general {
                self.check_styles(general, "general", &styles);
            }
        }
        if self.problems.is_empty() {
            return Ok(file);
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(self.problems)
    }

    /// Reads a data set. `sound` says that what it takes over can be relied upon. Gives its style,
    /// if it is of one.
    fn dataset(
        &mut self,
        dataset: &Node,
        place: &str,
        mut draft: Draft,
        sound: bool,
        file: &mut DatasetConfigFile,
    ) -> Option<Style> {
        let table = self.as_table(dataset, place)?;
        if self.table(table, Level::Dataset, place, &mut draft) && sound {
            self.check_buckets(&draft.dataset, place, dataset.line);
        }
        let missing = "at least one subset (`[[datasets.subsets]]` in TOML)";
        let subsets = self.list(
            table,
            "subsets",
            &format!("{place}.subsets"),
            dataset.line,
            missing,
        );
        let style = self.style(&subsets, place, dataset.line);
        self.check_styles(table, place, &[style]);
        let mut read = Vec::with_capacity(subsets.len());
        for (subset, place) in &subsets {
            read.extend(self.subset(subset, place, draft.clone(), style, &mut file.cache_info));
        }
        file.datasets.push(DatasetConfig {
            subsets: read,
            ..draft.dataset
        });
        style
    }

    fn subset(
        &mut self,
        subset: &Node,
        place: &str,
        mut draft: Draft,
        style: Option<Style>,
        cache_info: &mut Option<bool>,
    ) -> Option<Subset> {
        let table = self.as_table(subset, place)?;
        self.table(table, Level::Subset, place, &mut draft);
        self.check_styles(table, place, &[style]);
        if style.is_some_and(|style| style != Style::Metadata) && !is_given(table, "image_dir") {
            let expected = "the folder that holds the images";
            self.report(
                subset.line,
                format!("{place}.image_dir"),
                ProblemKind::Missing { expected },
            );
        }
        if style != Some(Style::Metadata) {
            *cache_info = [*cache_info, draft.cache_info]
                .into_iter()
                .flatten()
                .reduce(|a, b| a || b);
        }
        Some(draft.into_subset(style?))
    }

    /// Reads the keys of a table into a draft; whether all is well with them.
    fn table(&mut self, table: &Table, level: Level, place: &str, draft: &mut Draft) -> bool {
        let before = self.problems.len();
        let mut given = HashSet::new();
        for (name, node) in table {
            let problem = if !given.insert(name) {
                Some(ProblemKind::GivenTwice)
            } else if let Some((place, allowed)) = table_place(name) {
                (level != allowed).then_some(ProblemKind::Misplaced { belongs: place })
            } else {
                match key(name) {
                    None => Some(ProblemKind::Unknown {
                        nearest: nearest(name),
                    }),
                    Some(Key { scope, .. }) if !scope.allows(level) => {
                        Some(ProblemKind::Misplaced {
                            belongs: scope.tables(),
                        })
                    }
                    Some(Key { set, .. }) => {
                        (set)(draft, &node.value)
                            .err()
                            .map(|expected| ProblemKind::Value {
                                found: node.value.to_string(),
                                expected,
                            })
                    }
                }
            };
            if let Some(kind) = problem {
                self.report(node.line, child(place, name), kind);
            }
        }
        let is_on = |name| find(table, name).is_some_and(|node| !node.value.is_off());
        if is_on("alpha_mask") && is_on("alpha_background") {
            let line = find(table, "alpha_background").and_then(|node| node.line);
            let conflict =
                "excludes `alpha_mask`, which takes transparency as the weight of the loss";
            self.report(
                line,
                child(place, "alpha_background"),
                ProblemKind::Conflict(conflict.into()),
            );
        }
        self.problems.len() == before
    }

    /// The style of a data set with these subsets, unless they are mixed.
    fn style(
        &mut self,
        subsets: &[(&Node, String)],
        place: &str,
        line: Option<usize>,
    ) -> Option<Style> {
        if subsets.is_empty() {
            return None;
        }
        for style in [Style::Conditioning, Style::Metadata] {
            let has = |(subset, _): &&(&Node, String)| {
                subset
                    .value
                    .as_table()
                    .is_some_and(|table| is_given(table, style.key()))
            };
            let (with, without): (Vec<_>, Vec<_>) = subsets.iter().partition(has);
            match (with.first(), without.first()) {
                (Some(_), None) => return Some(style),
                (None, _) => {}
                (Some((_, with)), Some((_, without))) => {
                    let conflict = format!(
                        "`{with}` has `{}` and `{without}` has none; expected all subsets of a \
                         data set to be alike in \
                         this, so put them into separate data sets",
                        style.key()
                    );
                    self.report(
                        line,
                        format!("{place}.subsets"),
                        ProblemKind::Conflict(conflict),
                    );
                    return None;
                }
            }
        }
        Some(Style::Folder)
    }

    /// Reports the keys of a table that none of these data sets has a use for.
    fn check_styles(&mut self, table: &Table, place: &str, styles: &[Option<Style>]) {
        let Some(styles) = styles.iter().copied().collect::<Option<Vec<_>>>() else {
            return;
        };
        let Some(first) = styles.first() else { return };
        for (name, node) in table {
            let useless =
                key(name).is_some_and(|key| styles.iter().all(|style| !key.styles.contains(style)));
            if useless && !node.value.is_off() {
                self.report(
                    node.line,
                    child(place, name),
                    ProblemKind::NoEffect { with: first.key() },
                );
            }
        }
    }

    fn check_buckets(&mut self, dataset: &DatasetConfig, place: &str, line: Option<usize>) {
        if dataset.buckets.resolution.area() == 0 {
            let expected = "pixels, such as 512, or width and height, such as [512, 768]";
            self.report(
                line,
                format!("{place}.resolution"),
                ProblemKind::Missing { expected },
            );
        } else if let Err(error) = dataset.buckets() {
            let (option, kind) = match error {
                Error::InvalidOption {
                    option,
                    found,
                    expected,
                } => (option, ProblemKind::Value { found, expected }),
                other => ("resolution", ProblemKind::Conflict(other.to_string())),
            };
            self.report(line, format!("{place}.{option}"), kind);
        }
    }

    fn as_table<'a>(&mut self, node: &'a Node, place: &str) -> Option<&'a Table> {
        let table = node.value.as_table();
        if table.is_none() {
            let expected = if place.is_empty() {
                "an object with `datasets` and `general`"
            } else {
                "a table"
            };
            let kind = ProblemKind::Value {
                found: node.value.to_string(),
                expected: expected.into(),
            };
            self.report(node.line, place.into(), kind);
        }
        table
    }

    /// The items of a list that needs some, with their places.
    fn list<'a>(
        &mut self,
        table: &'a Table,
        name: &str,
        place: &str,
        line: Option<usize>,
        missing: &'static str,
    ) -> Vec<(&'a Node, String)> {
        let node = find(table, name);
        let items = node.and_then(|node| node.value.as_list());
        match (node, items) {
            (_, Some(items)) if !items.is_empty() => {
                return items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| (item, format!("{place}[{i}]")))
                    .collect();
            }
            (Some(node), None) => {
                let expected = format!(
                    "a list of tables (`[[{}]]` in TOML)",
                    without_indices(place)
                );
                let kind = ProblemKind::Value {
                    found: node.value.to_string(),
                    expected,
                };
                self.report(node.line, place.into(), kind);
            }
            _ => self.report(
                line,
                place.into(),
                ProblemKind::Missing { expected: missing },
            ),
        }
        Vec::new()
    }

    fn report(&mut self, line: Option<usize>, place: String, kind: ProblemKind) {
        self.problems.push(Problem { line, place, kind });
    }
}

/// Where this is the name of a table, not of a key: in words, and as a level.
fn table_place(name: &str) -> Option<(&'static str, Level)> {
    match name {
        "general" | "datasets" => Some(("the top level of the file", Level::Root)),
        "subsets" => Some(("`[[datasets]]`", Level::Dataset)),
        _ => None,
    }
}

fn find<'a>(table: &'a Table, name: &str) -> Option<&'a Node> {
    table
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, node)| node)
}

fn is_given(table: &Table, name: &str) -> bool {
    find(table, name).is_some_and(|node| node.value != Value::Text(String::new()))
}

fn child(place: &str, name: &str) -> String {
    let name = shortened(name, 60);
    if place.is_empty() {
        name
    } else {
        format!("{place}.{name}")
    }
}

/// `datasets[0].subsets` as TOML's headers have it.
fn without_indices(place: &str) -> String {
    place
        .chars()
        .filter(|c| !matches!(c, '[' | ']' | '0'..='9'))
        .collect()
}
