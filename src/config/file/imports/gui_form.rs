//! The rules by which SD-Trainer's GUI form converts its keys before it trains, so that files that
//! hold the form itself mean the same here.

mod custom;
mod form;
mod optimizer;
mod previews;
mod switches;

use self::form::Form;
use super::gui_keys::UI_ONLY;
use crate::config::file::entries::Entry;

/// Applies the rules: those for sd-scripts' old flags to every file, those of the form to files
/// that hold its keys.
pub(in crate::config::file) fn rewrite(entries: Vec<Entry>) -> Form {
    let mut form = Form::new(entries);
    optimizer::convert_old_flags(&mut form);
    if form
        .entries
        .iter()
        .any(|entry| UI_ONLY.contains(&entry.key.as_str()))
    {
        switches::remove_zero_discount(&mut form);
        switches::convert_backslashes(&mut form);
        switches::remove_sd_keys_for_sdxl(&mut form);
        switches::remove_lycoris_keys(&mut form);
        optimizer::add_arguments(&mut form);
        switches::switch_block_weights(&mut form);
        switches::switch_base_weights(&mut form);
        custom::add_arguments(&mut form);
        previews::convert_prompt(&mut form);
        custom::override_options(&mut form);
    }
    form
}
