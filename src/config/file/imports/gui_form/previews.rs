//! The form's fields for preview images.

use super::form::Form;
use crate::config::file::key::KeyClass;

const PREVIEWS: [&str; 3] = ["sample_prompts", "sample_sampler", "sample_every_n_epochs"];

/// The fields that make up a prompt.
const PROMPT: [&str; 8] = [
    "positive_prompts",
    "negative_prompts",
    "sample_width",
    "sample_height",
    "sample_cfg",
    "sample_seed",
    "sample_steps",
    "randomly_choice_prompt",
];

/// Makes `sample_prompts` of the form's file or fields.
pub(super) fn convert_prompt(form: &mut Form) {
    if !form.is_on("enable_preview") {
        form.remove(&PREVIEWS, KeyClass::Ignored, "`enable_preview` is off");
        return;
    }
    form.remove(
        &["enable_preview"],
        KeyClass::Used,
        "previews are generated",
    );
    if form.is_on("prompt_file")
        && let Some(file) = form.take("prompt_file")
    {
        let reason = "`prompt_file` takes precedence";
        form.remove(&["sample_prompts"], KeyClass::Ignored, reason);
        form.report(&file, KeyClass::Used, "as `sample_prompts`");
        form.entries
            .push(file.converted("sample_prompts", file.value.clone()));
        form.remove(&PROMPT, KeyClass::Ignored, reason);
    } else if form.is_on("positive_prompts") && !form.is_on("randomly_choice_prompt") {
        form.remove(
            &["sample_prompts"],
            KeyClass::Ignored,
            "`positive_prompts` takes precedence",
        );
        join_prompt(form);
    }
}

/// The form's prompt in one line of sd-scripts' format.
fn join_prompt(form: &mut Form) {
    let Some(positive) = form.take("positive_prompts") else {
        return;
    };
    let reason = "in `sample_prompts`";
    let mut line = one_line(positive.text());
    form.report(&positive, KeyClass::Used, reason);
    if let Some(negative) = form.take("negative_prompts") {
        if !negative.is_off() {
            line = format!("{line} --n {}", one_line(negative.text()));
        }
        form.report(&negative, KeyClass::Used, reason);
    }
    for (key, flag, default) in [
        ("sample_width", "w", "512"),
        ("sample_height", "h", "512"),
        ("sample_cfg", "l", "7"),
        ("sample_steps", "s", "24"),
        ("sample_seed", "d", "2333"),
    ] {
        let value = if form.is_on(key) {
            form.text(key)
        } else {
            default.into()
        };
        line = format!("{line} --{flag} {value}");
        form.remove(&[key], KeyClass::Used, reason);
    }
    form.entries
        .push(positive.converted("sample_prompts", line.into()));
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
