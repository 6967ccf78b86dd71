//! From a tree of values to datasets, with all problems.

use std::collections::HashSet;

use super::draft::{Draft, Style};
use super::keys::{Key, Level, key, nearest};
use crate::config::tree::{Node, Table, Value};
use crate::config::{DatasetConfig, Subset};
use crate::error::{DatasetConfigProblem, DatasetConfigProblemKind, Error, shortened};

/// The contents of a dataset file.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfigFile {
    /// The datasets, at least one, each with at least one subset.
    pub datasets: Vec<DatasetConfig>,
    /// Save the sizes of images between runs: true if one subset sets it, `None` if no subset has
    /// the key.
    pub cache_info: Option<bool>,
}

/// The problems found so far. Each table starts with a copy of the values of the outer table, so
/// that every table is read, and its problems are reported, once.
#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<DatasetConfigProblem>,
}

impl Reader {
    pub(super) fn file(
        mut self,
        root: &Node,
        defaults: &DatasetConfig,
    ) -> Result<DatasetConfigFile, Vec<DatasetConfigProblem>> {
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
            let missing = "at least one dataset (`[[datasets]]` in TOML)";
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

    /// Reads a dataset. `sound` is true if the outer table has no problems. Returns its style
    /// unless its subsets are mixed.
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
            let expected = "the folder with the images";
            self.report(
                subset.line,
                format!("{place}.image_dir"),
                DatasetConfigProblemKind::Missing { expected },
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

    /// Reads the keys of a table into a draft. Returns true if there are no problems.
    fn table(&mut self, table: &Table, level: Level, place: &str, draft: &mut Draft) -> bool {
        let before = self.problems.len();
        let mut given = HashSet::new();
        for (name, node) in table {
            let problem = if !given.insert(name) {
                Some(DatasetConfigProblemKind::GivenTwice)
            } else if let Some((place, allowed)) = table_place(name) {
                (level != allowed).then_some(DatasetConfigProblemKind::Misplaced { belongs: place })
            } else {
                match key(name) {
                    None => Some(DatasetConfigProblemKind::Unknown {
                        nearest: nearest(name),
                    }),
                    Some(Key { scope, .. }) if !scope.allows(level) => {
                        Some(DatasetConfigProblemKind::Misplaced {
                            belongs: scope.tables(),
                        })
                    }
                    Some(Key { set, .. }) => (set)(draft, &node.value).err().map(|expected| {
                        DatasetConfigProblemKind::Value {
                            found: node.value.to_string(),
                            expected,
                        }
                    }),
                }
            };
            if let Some(kind) = problem {
                self.report(node.line, child(place, name), kind);
            }
        }
        let is_on = |name| find(table, name).is_some_and(|node| !node.value.is_off());
        if is_on("alpha_mask") && is_on("alpha_background") {
            let line = find(table, "alpha_background").and_then(|node| node.line);
            let conflict = "cannot be combined with `alpha_mask`, which uses transparency as \
                 the weight of the loss";
            self.report(
                line,
                child(place, "alpha_background"),
                DatasetConfigProblemKind::Conflict(conflict.into()),
            );
        }
        self.problems.len() == before
    }

    /// The style of a dataset with these subsets, unless they are mixed.
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
                        "`{with}` has `{}` but `{without}` does not; expected the key in all \
                         subsets of a dataset or in none (use separate datasets)",
                        style.key()
                    );
                    self.report(
                        line,
                        format!("{place}.subsets"),
                        DatasetConfigProblemKind::Conflict(conflict),
                    );
                    return None;
                }
            }
        }
        Some(Style::Folder)
    }

    /// Reports the keys of a table without effect on any of these datasets.
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
                    DatasetConfigProblemKind::NoEffect { with: first.key() },
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
                DatasetConfigProblemKind::Missing { expected },
            );
        } else if let Err(error) = dataset.buckets() {
            let (option, kind) = match error {
                Error::InvalidOption {
                    option,
                    found,
                    expected,
                } => (option, DatasetConfigProblemKind::Value { found, expected }),
                other => (
                    "resolution",
                    DatasetConfigProblemKind::Conflict(other.to_string()),
                ),
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
            let kind = DatasetConfigProblemKind::Value {
                found: node.value.to_string(),
                expected: expected.into(),
            };
            self.report(node.line, place.into(), kind);
        }
        table
    }

    /// The items of a list that must not be empty, with their places.
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
                let kind = DatasetConfigProblemKind::Value {
                    found: node.value.to_string(),
                    expected,
                };
                self.report(node.line, place.into(), kind);
            }
            _ => self.report(
                line,
                place.into(),
                DatasetConfigProblemKind::Missing { expected: missing },
            ),
        }
        Vec::new()
    }

    fn report(&mut self, line: Option<usize>, place: String, kind: DatasetConfigProblemKind) {
        self.problems
            .push(DatasetConfigProblem { line, place, kind });
    }
}

/// If this is the name of a table instead of a key: the place of the table, in words and as a
/// level.
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

/// `datasets[0].subsets` without indices, as in a TOML header.
fn without_indices(place: &str) -> String {
    place
        .chars()
        .filter(|c| !matches!(c, '[' | ']' | '0'..='9'))
        .collect()
}
