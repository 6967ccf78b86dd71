//! Files of SD-Trainer and sd-scripts: their keys that are no options here, and the rules of
//! SD-Trainer's GUI form.

mod data;
mod defaults;
mod external_key;
pub(super) mod gui_form;
mod gui_keys;
mod keys;
mod model;
mod output;
mod training;
mod values;

pub(super) use defaults::DEFAULTS;
pub(super) use external_key::Verdict;
pub(super) use keys::key;
pub(super) use values::{instead_of, is_unmade_choice};

#[cfg(test)]
mod tests;
