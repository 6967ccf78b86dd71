//! All keys of SD-Trainer and sd-scripts that are no options here.

use super::external_key::ExternalKey;
use super::{data, gui_keys, model, output, training};

/// All keys.
pub(super) fn keys() -> impl Iterator<Item = &'static ExternalKey> {
    [
        model::KEYS,
        data::KEYS,
        training::KEYS,
        output::KEYS,
        gui_keys::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The key of this name.
pub(in crate::config::file) fn key(name: &str) -> Option<&'static ExternalKey> {
    keys().find(|key| key.name == name)
}
