use serde_json::json;

use super::*;
use crate::config::values::OptionValue as _;
use crate::config::{Arguments, OptimizerType, Preset};

mod toml;

const START: &str =
    "pretrained_model_name_or_path = 'base.safetensors'\ntrain_data_dir = 'images'\n";

fn read(text: &str) -> ConfigFile {
    let (file, problems) = ConfigFile::parse(&format!("{START}{text}"), &[]).unwrap();
    assert_eq!(problems, [], "{text}");
    file
}

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = ConfigFile::parse(&format!("{START}{text}"), &[]).unwrap();
    problems.iter().map(ToString::to_string).collect()
}

fn class(file: &ConfigFile, key: &str) -> (KeyClass, String) {
    let used: Vec<&ConfigKey> = file.keys.iter().filter(|used| used.key == key).collect();
    assert_eq!(used.len(), 1, "{key} in {:?}", file.keys);
    (used[0].class, used[0].reason.clone())
}

#[test]
fn every_key_has_a_class_and_a_line() {
    let file = read(
        "xformers = true\nseed = 3\nddp_timeout = 30\ncaption_extention = '.cap'\nmixed_precision \
         = 'fp16'\n",
    );
    let classes: Vec<(&str, Option<usize>, KeyClass)> = file
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.line, key.class))
        .collect();
    assert_eq!(
        classes,
        [
            ("pretrained_model_name_or_path", Some(1), KeyClass::Used),
            ("train_data_dir", Some(2), KeyClass::Used),
            ("xformers", Some(3), KeyClass::Implied),
            ("seed", Some(4), KeyClass::Used),
            ("ddp_timeout", Some(5), KeyClass::Ignored),
            ("caption_extention", Some(6), KeyClass::Used),
            ("mixed_precision", Some(7), KeyClass::Implied),
        ]
    );
    assert_eq!(
        class(&file, "caption_extention").1,
        "as `caption_extension`"
    );
    assert_eq!(class(&file, "ddp_timeout").1, "training uses one device");
}

#[test]
fn all_problems_come_with_their_lines() {
    let found = problems(
        "xformer = true\nsave_state = true\nnetwork_dim = 'big'\nunet_lr = -1\nsample_sampler = \
         'heun'\nconv_alpha = 4\n\
         network_module = 'lycoris.kohya'\nnetwork_args = ['algo=loha', 'conv_dim=4']\n",
    );
    let expected = [
        "line 3: `xformer`: no such option",
        "line 4: `save_state`: true is not supported; only LoRA files are saved; \
         `network_weights` continues from one, with a new optimizer",
        "line 5: `network_dim`: found \"big\", expected an integer from 1 to 4096",
        "line 6: `unet_lr`: found -1, expected a number ≥ 0",
        "line 7: `sample_sampler`: \"heun\" is not supported; `sample_sampler = \"ddim\"` \
         is nearest",
        "line 8: `conv_alpha`: needs `conv_dim` or `conv_block_dims`",
        "line 9: `network_module`: \"lycoris.kohya\" is not supported; use `network_module \
         = \"networks.lora\"`, which is plain LoRA; there is no loha",
    ];
    assert_eq!(found, expected);
}

#[test]
fn unsupported_keys_may_be_off() {
    read(
        "save_state = false\nresume = ''\nfp8_base = 0\nlr_scheduler_type = ''\nlog_with = \
         'none'\nloss_type = ''\n",
    );
}

#[test]
fn old_flags_choose_the_optimizer() {
    let file = read("use_8bit_adam = true\nuse_lion_optimizer = false\n");
    assert_eq!(file.config.optimizer_type, OptimizerType::AdamW8bit);
    assert_eq!(
        class(&file, "use_8bit_adam").1,
        "as `optimizer_type = \"AdamW8bit\"`"
    );
    let overrides = [("optimizer_type".into(), json!("Prodigy"))];
    let (file, problems_beside) =
        ConfigFile::parse(&format!("{START}use_8bit_adam = true\n"), &overrides).unwrap();
    assert_eq!(
        (file.config.optimizer_type, problems_beside.len()),
        (OptimizerType::Prodigy, 0)
    );
    let twice = problems("optimizer_type = 'Lion'\nuse_8bit_adam = true\n");
    assert_eq!(
        twice,
        ["line 4: `use_8bit_adam`: already set as `optimizer_type`"]
    );
}

#[test]
fn a_file_takes_precedence_over_its_preset() {
    let file = read("shuffle_caption = false\n[more]\npreset = 'novice'\n");
    assert_eq!(
        (file.config.preset, file.config.shuffle_caption),
        (Some(Preset::Novice), false)
    );
    assert_eq!(file.config.optimizer_type, OptimizerType::AdamW8bit);
    let set: Vec<&str> = file
        .preset_set
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(set, ["optimizer_type", "save_every_n_epochs"]);
    let overrides = [
        ("preset".into(), json!("novice")),
        ("optimizer_type".into(), json!("Lion")),
    ];
    let (file, problems) = ConfigFile::parse(START, &overrides).unwrap();
    assert_eq!(
        (problems.len(), file.config.optimizer_type),
        (0, OptimizerType::Lion)
    );
    assert_eq!(file.keys.last().unwrap().line, None);
}

#[test]
fn presets_of_sd_trainer() {
    let text = "[metadata]\nname = 'a preset'\ntrain_type = 'sd-lora'\n[data]\nnetwork_dim = \
         8\nsdpa = true\n";
    let overrides = [
        (
            "pretrained_model_name_or_path".into(),
            json!("base.safetensors"),
        ),
        ("train_data_dir".into(), json!("images")),
    ];
    let (file, problems) = ConfigFile::parse(text, &overrides).unwrap();
    assert_eq!((problems.len(), file.config.network_dim), (0, 8));
    assert_eq!(
        class(&file, "name"),
        (KeyClass::Ignored, "describes the preset".into())
    );
    // Without the second section it is no preset.
    let (_, problems) = ConfigFile::parse("[metadata]\nname = 'a'\n", &overrides).unwrap();
    assert_eq!(problems.len(), 1);
}

#[test]
fn the_form_s_prompt_becomes_a_line() {
    let form = "enable_preview = true\npositive_prompts = '1girl,\n solo'\nnegative_prompts = \
         'lowres'\nsample_width = 640\n\
                sample_cfg = 5\nsample_prompts = 'not this'\nsample_every_n_epochs = 2\n";
    let file = read(&form.replace("'1girl,\n solo'", "\"1girl,\\n solo\""));
    let prompt = file.config.sample_prompts.as_deref();
    assert_eq!(
        prompt,
        Some("1girl, solo --n lowres --w 640 --h 512 --l 5 --s 24 --d 2333")
    );
    assert_eq!(class(&file, "sample_prompts").0, KeyClass::Ignored);
    assert_eq!(
        class(&file, "negative_prompts"),
        (KeyClass::Used, "in `sample_prompts`".into())
    );

    let file = read(
        "enable_preview = false\npositive_prompts = 'a'\nsample_every_n_epochs = 2\nsample_sampler \
         = 'euler_a'\n",
    );
    assert_eq!(
        (
            file.config.sample_prompts,
            file.config.sample_every_n_epochs
        ),
        (None, None)
    );
    let file = read(
        "enable_preview = true\nprompt_file = 'p.txt'\npositive_prompts = 'a'\nsample_width = \
         640\n",
    );
    assert_eq!(file.config.sample_prompts.as_deref(), Some("p.txt"));
    assert!(
        problems("enable_preview = true\nrandomly_choice_prompt = true\n")[0]
            .contains("`randomly_choice_prompt`: true")
    );
}

#[test]
fn the_form_s_optimizers() {
    let prodigy = read(
        "optimizer_type = 'Prodigy'\nprodigy_d_coef = '2.0'\nprodigy_d0 = ''\nlr_warmup_steps = \
         10\nunet_lr = 1\ntext_encoder_lr = 1\n\
         lr_scheduler = 'cosine'\noptimizer_args_custom = ['d0=1e-5']\n",
    );
    let args = [
        "decouple=True",
        "weight_decay=0.01",
        "use_bias_correction=True",
        "safeguard_warmup=True",
        "d_coef=2.0",
        "d0=1e-5",
    ];
    assert_eq!(
        prodigy.config.optimizer_args,
        Arguments::read(&json!(args)).unwrap()
    );
    let adapt = read(
        "optimizer_type = 'DAdaptAdam'\nunet_lr = '1e-4'\ntext_encoder_lr = '1e-5'\nenable_preview \
         = false\n",
    );
    assert!(class(&adapt, "unet_lr").1.starts_with("as 1, which"));
    assert_eq!(
        (adapt.config.unet_lr, adapt.config.text_encoder_lr.clone()),
        (Some(1.0), vec![1.0])
    );
    assert_eq!(adapt.config.optimizer_args.get("decouple"), Some("True"));
    let adam = read("optimizer_type = 'AdamW8bit'\nprodigy_d_coef = '2.0'\nunet_lr = '1e-4'\n");
    assert_eq!(
        (adam.config.unet_lr, adam.config.optimizer_args.is_empty()),
        (Some(1e-4), true)
    );
}

#[test]
fn the_form_s_switches() {
    let form = "down_lr_weight = '1,1'\nmid_lr_weight = '0.5'\nbase_weights \
         = \"a.safetensors\\n\\nb.safetensors\\n\"\n\
                base_weights_multiplier = \"0.5\\n1\"\nconv_dim = 4\nconv_alpha = 1\nlycoris_algo \
                = 'locon'\n";
    let off = read(&format!(
        "{form}enable_block_weights = false\nenable_base_weight = false\n"
    ))
    .config;
    assert_eq!(
        (off.down_lr_weight, off.base_weights.len(), off.conv_dim),
        (None, 0, None)
    );
    let on = read(&format!(
        "{form}enable_block_weights = true\nenable_base_weight = true\n"
    ))
    .config;
    assert!(on.down_lr_weight.is_some() && on.mid_lr_weight.is_some());
    assert_eq!(
        (on.base_weights.len(), on.base_weights_multiplier),
        (2, vec![0.5, 1.0])
    );
    let custom =
        read("network_args_custom = ['conv_dim=8']\nnetwork_args = ['rank_dropout=0.1']\n").config;
    assert_eq!((custom.conv_dim, custom.rank_dropout), (Some(8), Some(0.1)));
    let sdxl =
        read("model_train_type = 'sdxl-lora'\nenable_preview = false\nv2 = false\nclip_skip = 2\n")
            .config;
    assert_eq!((sdxl.v2, sdxl.clip_skip), (None, None));
}

#[test]
fn custom_params_take_precedence() {
    let file = read(
        "unet_lr = '1e-4'\nnetwork_dim = 32\nui_custom_params = \"network_dim = 8\\nxformers = \
         true\"\n",
    );
    assert_eq!(
        (file.config.network_dim, file.config.unet_lr),
        (8, Some(1e-4))
    );
    assert_eq!(
        class(&file, "network_dim"),
        (
            KeyClass::Ignored,
            "`ui_custom_params` takes precedence".into()
        )
    );
    assert_eq!(
        class(&file, "ui_custom_params: xformers").0,
        KeyClass::Implied
    );
    let overrides = [("network_dim".into(), json!(4))];
    let text = format!("{START}ui_custom_params = 'network_dim = 8'\n");
    assert_eq!(
        ConfigFile::parse(&text, &overrides)
            .unwrap()
            .0
            .config
            .network_dim,
        4
    );
    let found = problems("ui_custom_params = 'network_dim = '\n");
    assert!(
        found.len() == 1 && found[0].starts_with("line 3: `ui_custom_params`: found"),
        "{found:?}"
    );
    let found = problems("ui_custom_params = 'network_dimm = 4'\n");
    assert_eq!(
        found,
        ["line 3: `ui_custom_params: network_dimm`: no such option; did you mean `network_dim`?"]
    );
}
