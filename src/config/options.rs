//! The option table: names, types, ranges, rules and help of all options.
//!
//! Each option is one record in the file of its group, such as `records/training.rs`:
//!
//! ```text
//! /// The help sentence, which also documents the field.
//! name: Type = default, kind, rule = value, ...;
//!     by family: Type { Sd1 => default, Sd2 => default, Sdxl => default }   // if it differs
//! ```
//!
//! The records are macros that `all_options!` chains together. From them come the struct
//! [`TrainConfig`] with its defaults (`train_config.rs`), the defaults of families
//! (`family_defaults.rs`) and the table here, from which TOML, `--set`, `init`, `options`,
//! docs/options.md and Python's keywords derive.

use lora_models::Family;
use serde_json::Value;

use super::kind::Kind;
use super::nearest::{nearest, one_of, or_nearest};
use super::network_args::{NETWORK_ARGS, network_arg};
use super::train_config::TrainConfig;
use super::values::{
    BaseDtype, BlockWeights, Compat, HuberSchedule, Interpolation, LossType, LrScheduler,
    MixedPrecision, ModelTrainType, NetworkModule, OptimizerType, OptionValue, Preset, Sampler,
    SavePrecision, arguments,
};
use crate::error::Mismatch;

/// The table's entry of a record.
macro_rules! option_spec {
    ($group:ident, $name:ident, [$($doc:literal),+], $kind:expr, $get:expr, $set:expr) => {
        OptionSpec {
            name: stringify!($name),
            aliases: &[],
            group: Group::$group,
            kind: $kind,
            families: &Family::ALL,
            excludes: &[],
            needs: &[],
            help: concat!($($doc),+).trim_ascii_start(),
            off_at_zero: false,
            get: $get,
            set: $set,
        }
    };
}

/// Declares the table of all options.
macro_rules! declare_table {
    ($(@group $group:ident {
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $type:ty = $default:expr, $kind:expr $(, $rule:ident = $value:expr)*;
            $(by family: $resolved:ty { $($family:ident => $by_family:expr),+ $(,)? })?
        )+
        $(
            @without_field
            $(#[doc = $setter_doc:literal])+
            $setter:ident: $setter_kind:expr $(, $setter_rule:ident = $setter_value:expr)*;
        )*
    })+) => {
        impl Group {
            /// Its options.
            pub fn options(self) -> &'static [OptionSpec] {
                match self {
                    $(Self::$group => {
                        static OPTIONS: &[OptionSpec] = &[
                            $(option_spec!(
                                $group, $field, [$($doc),+], $kind,
                                |config| config.$field.write(),
                                |config, value| {
                                    config.$field = OptionValue::read(value)?;
                                    Ok(())
                                }
                            )$(.$rule($value))*,)+
                            $(option_spec!(
                                $group, $setter, [$($setter_doc),+], $setter_kind,
                                // Its settings are written under their own names.
                                |_| Value::Null,
                                |_, _| Ok(())
                            )$(.$setter_rule($setter_value))*,)*
                        ];
                        OPTIONS
                    })+
                }
            }
        }
    };
}

all_options!(declare_table);

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

/// The names and aliases of all options.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    options().flat_map(OptionSpec::names)
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// The name, in sd-scripts' spelling.
    pub name: &'static str,
    /// Other names that are accepted.
    pub aliases: &'static [&'static str],
    /// The part of the documentation that it is in.
    pub group: Group,
    /// Its type and range.
    pub kind: Kind,
    /// The families that it has an effect for.
    pub families: &'static [Family],
    /// Options that must be off if this one is on.
    pub excludes: &'static [&'static str],
    /// Options of which at least one must be on if this one is on.
    pub needs: &'static [&'static str],
    /// A description, with the names of options and values in backticks.
    pub help: &'static str,
    off_at_zero: bool,
    get: fn(&TrainConfig) -> Value,
    set: fn(&mut TrainConfig, &Value) -> Result<(), Mismatch>,
}

impl OptionSpec {
    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The value in this configuration; `Null` if it is not set.
    pub fn get(&self, config: &TrainConfig) -> Value {
        (self.get)(config)
    }

    /// The value in a new configuration; `Null` if the option has none, or if it depends on the
    /// base's family.
    pub fn default(&self) -> Value {
        self.get(&TrainConfig::new("", ""))
    }

    /// The value in a new configuration for a base of this family; `Null` if the option has none.
    pub fn default_for(&self, family: Family) -> Value {
        self.get(&TrainConfig::new("", "").resolved(family))
    }

    /// True if the option is set to a value other than `false` and 0.
    pub fn is_on(&self, config: &TrainConfig) -> bool {
        match self.get(config) {
            Value::Null => false,
            Value::Bool(flag) => flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            _ => true,
        }
    }

    /// Sets the value. Numbers and flags may be given as text. `Null` or an empty text unsets an
    /// option that can be unset.
    ///
    /// # Errors
    /// A value of another type or out of range.
    pub fn set(&self, config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
        let is_empty = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        if is_empty && (self.set)(config, &Value::Null).is_ok() {
            return Ok(());
        }
        let mut value = self.kind.check(value)?;
        if self.off_at_zero && value.as_f64() == Some(0.0) {
            value = Value::Null;
        }
        (self.set)(config, &value)
    }

    // The rules of records.

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

    /// 0 unsets the option.
    const fn off_at_zero(mut self, is_off: bool) -> Self {
        self.off_at_zero = is_off;
        self
    }

    /// Reads the field in another way than by its type.
    const fn read_by(mut self, get: fn(&TrainConfig) -> Value) -> Self {
        self.get = get;
        self
    }

    /// Writes the field in another way than by its type.
    const fn written_by(
        mut self,
        set: fn(&mut TrainConfig, &Value) -> Result<(), Mismatch>,
    ) -> Self {
        self.set = set;
        self
    }
}

/// Sets the options that a value of `network_args` names.
fn set_network_args(config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
    let mut wrong = Vec::new();
    for (key, text) in &arguments(value)? {
        // `network_dropout` takes precedence, as in sd-scripts.
        if key == "dropout" && config.network_dropout.is_some() {
            continue;
        }
        let result = match network_arg(key).and_then(option) {
            Some(spec) => spec
                .set(config, &text.as_str().into())
                .map_err(|wrong| wrong.expected),
            None => Err(or_nearest(one_of(NETWORK_ARGS), key, NETWORK_ARGS)),
        };
        if let Err(expected) = result {
            wrong.push(Mismatch {
                found: format!("`{key}={text}`"),
                expected,
            });
        }
    }
    Mismatch::joined(wrong)
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
    /// Files that a run writes.
    Output,
    /// Preview images.
    Previews,
}

impl Group {
    /// All groups, in the order of the documentation.
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
}

#[cfg(test)]
pub(super) mod tests;
