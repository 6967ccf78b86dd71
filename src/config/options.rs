//! The table of all options: names, types, ranges, rules and help. TOML, command line and
//! documentation derive from it.

use lora_models::Family;
use serde_json::Value;

use super::TrainConfig;
use super::value::{Mismatch, OptionValue};

mod kind;
mod network_args;

pub use kind::Kind;
pub(crate) use network_args::NETWORK_ARGS;
pub(super) use network_args::option_name as network_arg;

/// The row of the field of this name. With `off_at_zero`, 0 is the same as not given.
macro_rules! option {
    ($group:ident, $field:ident, $kind:expr, $help:expr, off_at_zero $(,)?) => {
        OptionSpec {
            set: |config, value| {
                config.$field = OptionValue::read(value)?;
                config.$field = config.$field.filter(|number| f64::from(*number) != 0.0);
                Ok(())
            },
            ..option!($group, $field, $kind, $help)
        }
    };
    ($group:ident, $field:ident, $kind:expr, $help:expr $(,)?) => {
        OptionSpec {
            name: stringify!($field),
            aliases: &[],
            group: Group::$group,
            kind: $kind,
            families: &lora_models::Family::ALL,
            excludes: &[],
            needs: &[],
            help: $help,
            get: |config| OptionValue::write(&config.$field),
            set: |config, value| {
                config.$field = OptionValue::read(value)?;
                Ok(())
            },
        }
    };
}

mod data;
mod model;
mod network;
mod optimizer;
mod output;
mod previews;
mod training;

/// All options, in the order of the documentation.
pub fn options() -> impl Iterator<Item = &'static OptionSpec> {
    Group::ALL.into_iter().flat_map(Group::options)
}

/// The option of this name or alias.
pub fn option(name: &str) -> Option<&'static OptionSpec> {
    options().find(|spec| spec.names().any(|known| known == name))
}

/// The option name or alias that is nearest to `name`, if any is near.
pub fn nearest_option(name: &str) -> Option<&'static str> {
    nearest(name, names())
}

/// The one of these names that is nearest to `name`, if any is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
    known
        .map(|known| (known, similarity(known)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .and_then(|(known, similarity)| (similarity >= 0.6).then_some(known))
}

/// The names and aliases of all options.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    options().flat_map(OptionSpec::names)
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// The name, in sd-scripts' spelling.
    pub name: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// Where it stands in the documentation.
    pub group: Group,
    /// Its type and range.
    pub kind: Kind,
    /// The families that it has an effect for.
    pub families: &'static [Family],
    /// Options that must be off where this one is on.
    pub excludes: &'static [&'static str],
    /// Options of which at least one must be on where this one is.
    pub needs: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
    get: fn(&TrainConfig) -> Value,
    set: fn(&mut TrainConfig, &Value) -> Result<(), Mismatch>,
}

impl OptionSpec {
    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The value in this configuration; `Null` where it is not given.
    pub fn get(&self, config: &TrainConfig) -> Value {
        (self.get)(config)
    }

    /// The value in a new configuration; `Null` where the option has none, or where it depends on
    /// the base's family.
    pub fn default(&self) -> Value {
        self.get(&TrainConfig::new("", ""))
    }

    /// The value that a new configuration comes to with a base of this family; `Null` where the
    /// option has none.
    pub fn default_for(&self, family: Family) -> Value {
        self.get(&TrainConfig::new("", "").resolved(family))
    }

    /// Whether it is given at a value that does something.
    pub fn is_on(&self, config: &TrainConfig) -> bool {
        match self.get(config) {
            Value::Null => false,
            Value::Bool(flag) => flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            _ => true,
        }
    }

    /// Sets the value. Numbers and flags may be given as text; `Null` or an empty text takes an
    /// option back that need not be given.
    ///
    /// # Errors
    /// A value of another type or out of range.
    pub fn set(&self, config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
        let empty = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        if empty && (self.set)(config, &Value::Null).is_ok() {
            return Ok(());
        }
        (self.set)(config, &self.kind.check(value)?)
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn families(mut self, families: &'static [Family]) -> Self {
        self.families = families;
        self
    }

    const fn excludes(mut self, names: &'static [&'static str]) -> Self {
        self.excludes = names;
        self
    }

    const fn needs(mut self, names: &'static [&'static str]) -> Self {
        self.needs = names;
        self
    }
}

/// A part of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// The base checkpoint.
    Model,
    /// Images and captions.
    Data,
    /// Length, loss and noise.
    Training,
    /// Learning rates, optimizer and schedule.
    Optimizer,
    /// The adapters.
    Network,
    /// What is written.
    Output,
    /// Preview images.
    Previews,
}

impl Group {
    /// All parts, in their order.
    pub const ALL: [Self; 7] = [
        Self::Model,
        Self::Data,
        Self::Training,
        Self::Optimizer,
        Self::Network,
        Self::Output,
        Self::Previews,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Model => "Base model",
            Self::Data => "Images and captions",
            Self::Training => "Training: length, loss and noise",
            Self::Optimizer => "Learning rates, optimizer and schedule",
            Self::Network => "Adapters",
            Self::Output => "Output",
            Self::Previews => "Previews",
        }
    }

    /// Its options.
    pub fn options(self) -> &'static [OptionSpec] {
        match self {
            Self::Model => model::OPTIONS,
            Self::Data => data::OPTIONS,
            Self::Training => training::OPTIONS,
            Self::Optimizer => optimizer::OPTIONS,
            Self::Network => network::OPTIONS,
            Self::Output => output::OPTIONS,
            Self::Previews => previews::OPTIONS,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
