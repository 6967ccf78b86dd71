use std::collections::BTreeSet;

use serde_json::json;

use super::gui_keys::UI_ONLY;
use super::keys::keys;
use super::*;
use crate::config::file::entries::Entry;
use crate::config::{KeyClass, Value, option};

/// Every field of SD-Trainer's forms for LoRA.
const FORM: &str = "
    model_train_type pretrained_model_name_or_path resume vae v2 v_parameterization
    scale_v_pred_loss_like_noise_pred train_data_dir reg_data_dir prior_loss_weight resolution \
    enable_bucket
    min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale output_name output_dir \
    save_model_as save_precision
    save_every_n_epochs save_state save_last_n_epochs_state max_train_epochs train_batch_size \
    gradient_checkpointing
    gradient_accumulation_steps network_train_unet_only network_train_text_encoder_only \
    learning_rate unet_lr text_encoder_lr
    lr_scheduler lr_warmup_steps loss_type lr_scheduler_num_cycles optimizer_type min_snr_gamma \
    prodigy_d0 prodigy_d_coef
    optimizer_args_custom network_module network_weights network_dim network_alpha network_dropout \
    scale_weight_norms
    network_args_custom enable_block_weights down_lr_weight mid_lr_weight up_lr_weight \
    block_lr_zero_threshold
    enable_base_weight base_weights base_weights_multiplier lycoris_algo conv_dim conv_alpha \
    dropout train_norm lokr_factor
    dylora_unit enable_preview randomly_choice_prompt prompt_file positive_prompts \
    negative_prompts sample_width
    sample_height sample_cfg sample_seed sample_steps sample_sampler sample_every_n_epochs \
    sample_prompts log_with
    log_prefix log_tracker_name logging_dir wandb_api_key caption_extension shuffle_caption \
    weighted_captions keep_tokens
    keep_tokens_separator max_token_length caption_dropout_rate caption_dropout_every_n_epochs \
    caption_tag_dropout_rate
    noise_offset multires_noise_iterations multires_noise_discount color_aug flip_aug random_crop \
    seed clip_skip
    ui_custom_params mixed_precision full_fp16 full_bf16 no_half_vae xformers sdpa lowram \
    cache_latents
    cache_latents_to_disk cache_text_encoder_outputs cache_text_encoder_outputs_to_disk \
    persistent_data_loader_workers
    vae_batch_size ddp_timeout ddp_gradient_as_bucket_view gpu_ids learning_rate_te \
    learning_rate_te1 learning_rate_te2
    stop_text_encoder_training no_token_padding train_text_encoder guidance_scale sigmoid_scale \
    discrete_flow_shift";

/// Every option of sd-scripts' scripts for LoRA.
const SD_SCRIPTS: &str = "
    pretrained_model_name_or_path v2 v_parameterization vae no_half_vae tokenizer_cache_dir \
    disable_mmap_load_safetensors
    lowram highvram fp8_base fp8_base_unet
    train_data_dir reg_data_dir in_json dataset_config dataset_class dataset_repeats \
    caption_extension caption_extention
    caption_separator shuffle_caption keep_tokens keep_tokens_separator secondary_separator \
    enable_wildcard caption_prefix
    caption_suffix caption_dropout_rate caption_dropout_every_n_epochs caption_tag_dropout_rate \
    token_warmup_min
    token_warmup_step weighted_captions max_token_length color_aug flip_aug random_crop \
    face_crop_aug_range resolution
    enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale \
    resize_interpolation cache_latents
    cache_latents_to_disk vae_batch_size skip_cache_check cache_info cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk alpha_mask masked_loss conditioning_data_dir \
    prior_loss_weight debug_dataset
    max_data_loader_n_workers persistent_data_loader_workers validation_split validation_seed \
    validate_every_n_steps
    validate_every_n_epochs max_validation_steps
    train_batch_size max_train_steps max_train_epochs gradient_accumulation_steps \
    gradient_checkpointing
    cpu_offload_checkpointing seed mixed_precision full_fp16 full_bf16 xformers sdpa mem_eff_attn \
    torch_compile
    dynamo_backend clip_skip noise_offset noise_offset_random_strength adaptive_noise_scale \
    multires_noise_iterations
    multires_noise_discount ip_noise_gamma ip_noise_gamma_random_strength zero_terminal_snr \
    min_timestep max_timestep
    loss_type huber_schedule huber_c huber_scale min_snr_gamma scale_v_pred_loss_like_noise_pred \
    v_pred_like_loss
    debiased_estimation_loss deepspeed zero_stage offload_optimizer_device \
    offload_optimizer_nvme_path
    offload_param_device offload_param_nvme_path ddp_timeout ddp_gradient_as_bucket_view \
    ddp_static_graph initial_epoch
    initial_step skip_until_initial_step
    optimizer_type optimizer_args use_8bit_adam use_lion_optimizer learning_rate unet_lr \
    text_encoder_lr max_grad_norm
    lr_scheduler lr_scheduler_type lr_scheduler_args lr_warmup_steps lr_decay_steps \
    lr_scheduler_num_cycles
    lr_scheduler_power lr_scheduler_timescale lr_scheduler_min_lr_ratio fused_backward_pass
    network_module network_dim network_alpha network_dropout network_args network_weights \
    dim_from_weights
    network_train_unet_only network_train_text_encoder_only scale_weight_norms base_weights \
    base_weights_multiplier
    training_comment
    output_dir output_name save_model_as save_precision save_every_n_epochs save_every_n_steps \
    save_n_epoch_ratio
    save_last_n_epochs save_last_n_epochs_state save_last_n_steps save_last_n_steps_state save_state
    save_state_on_train_end resume no_metadata metadata_title metadata_author metadata_description \
    metadata_license
    metadata_tags metadata_usage_hint metadata_thumbnail metadata_merged_from \
    metadata_trigger_phrase
    metadata_preprocessor metadata_is_negative_embedding logging_dir log_with log_prefix \
    log_tracker_name wandb_run_name
    log_tracker_config wandb_api_key log_config sample_every_n_steps sample_every_n_epochs \
    sample_at_first sample_prompts
    sample_sampler huggingface_repo_id huggingface_repo_type huggingface_path_in_repo \
    huggingface_token
    huggingface_repo_visibility save_state_to_huggingface resume_from_huggingface async_upload \
    config_file output_config
    console_log_level console_log_file console_log_simple";

#[test]
fn every_key_of_the_other_programs_is_known() {
    let names: BTreeSet<&str> = FORM
        .split_whitespace()
        .chain(SD_SCRIPTS.split_whitespace())
        .collect();
    assert!(names.len() > 230, "{}", names.len());
    let unknown: Vec<&&str> = names
        .iter()
        .filter(|name| option(name).is_none() && key(name).is_none())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn no_key_has_two_meanings() {
    let names: Vec<&str> = keys().map(|key| key.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let both: Vec<&&str> = names.iter().filter(|name| option(name).is_some()).collect();
    assert!(both.is_empty(), "{both:?}");
    for name in UI_ONLY {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn the_value_decides() {
    let class = |name: &str, value: Value| key(name).unwrap().verdict(&value).class;
    for (name, value, expected) in [
        ("xformers", json!(true), KeyClass::Implied),
        ("xformers", json!(false), KeyClass::Ignored),
        ("save_model_as", json!("Safetensors"), KeyClass::Implied),
        ("save_model_as", json!("ckpt"), KeyClass::Unsupported),
        ("save_state", json!(false), KeyClass::Ignored),
        ("save_state", json!("False"), KeyClass::Ignored),
        ("save_state", json!(true), KeyClass::Unsupported),
        ("resume", json!(""), KeyClass::Ignored),
        ("resume", json!("output/last-state"), KeyClass::Unsupported),
        ("initial_epoch", json!(0), KeyClass::Ignored),
        ("log_with", json!("tensorboard"), KeyClass::Implied),
        ("log_with", json!("wandb"), KeyClass::Unsupported),
        ("log_with", json!("none"), KeyClass::Ignored),
        ("validate_every_n_epochs", json!(1), KeyClass::Implied),
        ("validate_every_n_epochs", json!(2), KeyClass::Unsupported),
        ("ddp_timeout", json!(30), KeyClass::Ignored),
    ] {
        assert_eq!(class(name, value.clone()), expected, "{name} = {value}");
    }
}

#[test]
fn unsupported_values_have_a_substitute() {
    let instead = |option: &str, value: &str, more: &[(&str, Value)]| {
        let mut entries = vec![Entry::new(option, value.into(), None)];
        entries.extend(
            more.iter()
                .map(|(key, value)| Entry::new(key, value.clone(), None)),
        );
        instead_of(option, &entries[0], &entries).unwrap_or_default()
    };
    let args = (
        "network_args",
        json!(["conv_dim=8", "conv_alpha=4", "algo=locon"]),
    );
    assert!(
        instead("network_module", "lycoris.kohya", &[args])
            .contains("`conv_dim = 8` and `conv_alpha = 4`")
    );
    let form = [("lycoris_algo", json!("LoCon")), ("conv_dim", json!(4))];
    assert!(
        instead("network_module", "lycoris.kohya", &form)
            .contains("`conv_dim = 4` and `conv_alpha = 1`")
    );
    assert!(
        instead(
            "network_module",
            "lycoris.kohya",
            &[("lycoris_algo", json!("lokr"))]
        )
        .contains("there is no lokr")
    );
    assert!(instead("sample_sampler", "k_dpm_2_a", &[]).contains("euler_a"));
    assert!(instead("sample_sampler", "heun", &[]).contains("ddim"));
    assert!(instead("lr_scheduler", "adafactor:0.001", &[]).contains("AdaFactor"));
    assert!(instead("model_train_type", "flux-lora", &[]).contains("sdxl-lora"));
    for value in ["networks.oft", "networks.dylora", "networks.lora_fa"] {
        assert!(
            instead("network_module", value, &[]).contains("networks.lora\""),
            "{value}"
        );
    }
    assert_eq!(instead("network_module", "my.module", &[]), "");
}
