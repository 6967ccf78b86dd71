//! Optimizers: sd-scripts' old flags, and the arguments that the form adds.

use super::form::Form;
use crate::config::file::entries::Entry;
use crate::config::file::key::KeyClass;

/// Flags that older versions of sd-scripts had for two optimizers.
pub(super) fn convert_old_flags(form: &mut Form) {
    for (flag, optimizer) in [
        ("use_8bit_adam", "AdamW8bit"),
        ("use_lion_optimizer", "Lion"),
    ] {
        if form.is_on(flag)
            && let Some(entry) = form.take(flag)
        {
            let reason = format!("as `optimizer_type = \"{optimizer}\"`");
            form.report(&entry, KeyClass::Used, &reason);
            form.entries
                .push(entry.converted("optimizer_type", optimizer.into()));
        }
    }
}

/// The arguments and learning rates that the form sets for D-Adaptation and Prodigy.
pub(super) fn add_arguments(form: &mut Form) {
    let Some(optimizer) = form.find("optimizer_type").cloned() else {
        return;
    };
    let name = form.text("optimizer_type").to_ascii_lowercase();
    let mut pairs = vec!["decouple=True".to_owned(), "weight_decay=0.01".to_owned()];
    if name.starts_with("dada") {
        if ["dadaptation", "dadaptadam"].contains(&name.as_str()) {
            form.prepend("optimizer_args", pairs, &optimizer);
        }
        set_learning_rates_to_1(form);
    } else if name == "prodigy" {
        pairs.push("use_bias_correction=True".into());
        pairs.extend(prodigy_arguments(form));
        form.prepend("optimizer_args", pairs, &optimizer);
    }
}

fn set_learning_rates_to_1(form: &mut Form) {
    for key in ["learning_rate", "unet_lr", "text_encoder_lr"] {
        if let Some(entry) = form.take(key) {
            form.report(
                &entry,
                KeyClass::Used,
                "as 1, which SD-Trainer's form sets for all DAdapt optimizers",
            );
            form.entries.push(entry.converted(key, 1.into()));
        }
    }
}

fn prodigy_arguments(form: &mut Form) -> Vec<String> {
    let mut pairs = Vec::new();
    if form.is_on("lr_warmup_steps") {
        pairs.push("safeguard_warmup=True".into());
    }
    for (argument, key) in [("d_coef", "prodigy_d_coef"), ("d0", "prodigy_d0")] {
        let Some(entry) = form.take(key) else {
            continue;
        };
        if entry.is_off() {
            form.report(&entry, KeyClass::Ignored, "off");
        } else {
            pairs.push(format!("{argument}={}", value_text(&entry).trim()));
            form.report(&entry, KeyClass::Used, "in `optimizer_args`");
        }
    }
    pairs
}

fn value_text(entry: &Entry) -> String {
    match entry.value.as_str() {
        Some(text) => text.to_owned(),
        None => entry.value.to_string(),
    }
}
