//! The values that options have where they are not given.

use std::path::PathBuf;

use lora_models::Family;

use super::{
    Arguments, BaseDtype, Compat, HuberSchedule, LossType, LrScheduler, MixedPrecision,
    ModelConfig, ModelTrainType, NetworkModule, OptimizerArgs, OptimizerType, Preset, Resolution,
    Sampler, SavePrecision, TrainConfig, WarmupSteps,
};

impl TrainConfig {
    /// The default settings for this base checkpoint and folder of images.
    #[expect(clippy::too_many_lines, reason = "one line a field")]
    pub fn new(
        pretrained_model_name_or_path: impl Into<PathBuf>,
        train_data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            pretrained_model_name_or_path: pretrained_model_name_or_path.into(),
            model_train_type: None,
            v2: None,
            v_parameterization: None,
            vae: None,
            base_dtype: None,
            mixed_precision: MixedPrecision::No,
            base_weights: Vec::new(),
            base_weights_multiplier: Vec::new(),
            model_config: ModelConfig::default(),
            clip_skip: None,
            max_token_length: 225,
            train_data_dir: train_data_dir.into(),
            reg_data_dir: None,
            in_json: None,
            dataset_config: None,
            dataset_repeats: 1,
            recursive: false,
            caption_extension: ".txt".into(),
            class_tokens: None,
            strict_captions: false,
            caption_separator: ",".into(),
            shuffle_caption: false,
            keep_tokens: 0,
            keep_tokens_separator: None,
            secondary_separator: None,
            enable_wildcard: false,
            caption_prefix: None,
            caption_suffix: None,
            caption_dropout_rate: 0.0,
            caption_dropout_every_n_epochs: 0,
            caption_tag_dropout_rate: 0.0,
            token_warmup_min: 1,
            token_warmup_step: 0.0,
            weighted_captions: false,
            resolution: None,
            enable_bucket: true,
            min_bucket_reso: 256,
            max_bucket_reso: None,
            bucket_reso_steps: 64,
            bucket_no_upscale: true,
            resize_interpolation: None,
            flip_aug: false,
            color_aug: false,
            random_crop: false,
            face_crop_aug_range: None,
            alpha_mask: false,
            alpha_background: None,
            conditioning_data_dir: None,
            masked_loss: None,
            cache_latents: None,
            cache_latents_to_disk: false,
            cache_text_encoder_outputs: None,
            cache_text_encoder_outputs_to_disk: false,
            cache_info: None,
            skip_bad_images: false,
            validation_split: 0.0,
            validation_seed: 0,
            preset: None,
            train_batch_size: 1,
            gradient_accumulation_steps: 1,
            max_train_epochs: None,
            max_train_steps: None,
            seed: 1337,
            gradient_checkpointing: false,
            prior_loss_weight: 1.0,
            ema_decay: None,
            loss_type: LossType::L2,
            huber_schedule: HuberSchedule::Snr,
            huber_c: 0.1,
            huber_scale: 1.0,
            min_snr_gamma: None,
            debiased_estimation_loss: false,
            scale_v_pred_loss_like_noise_pred: false,
            v_pred_like_loss: None,
            min_timestep: 0,
            max_timestep: 1000,
            zero_terminal_snr: None,
            noise_offset: None,
            noise_offset_random_strength: false,
            adaptive_noise_scale: None,
            multires_noise_iterations: None,
            multires_noise_discount: 0.3,
            ip_noise_gamma: None,
            ip_noise_gamma_random_strength: false,
            device: "auto".into(),
            compat: Compat::None,
            learning_rate: None,
            unet_lr: None,
            text_encoder_lr: Vec::new(),
            loraplus_lr_ratio: None,
            loraplus_unet_lr_ratio: None,
            loraplus_text_encoder_lr_ratio: None,
            optimizer_type: OptimizerType::AdamW,
            optimizer_args: OptimizerArgs::default(),
            max_grad_norm: 1.0,
            lr_scheduler: LrScheduler::CosineWithRestarts,
            lr_warmup_steps: WarmupSteps::Steps(0),
            lr_decay_steps: WarmupSteps::Steps(0),
            lr_scheduler_num_cycles: 1,
            lr_scheduler_power: 1.0,
            lr_scheduler_timescale: None,
            lr_scheduler_min_lr_ratio: None,
            lr_scheduler_args: Arguments::default(),
            network_module: NetworkModule::Lora,
            network_dim: 32,
            network_alpha: None,
            conv_dim: None,
            conv_alpha: None,
            network_dropout: None,
            rank_dropout: None,
            module_dropout: None,
            scale_weight_norms: None,
            block_dims: Vec::new(),
            block_alphas: Vec::new(),
            conv_block_dims: Vec::new(),
            conv_block_alphas: Vec::new(),
            down_lr_weight: None,
            mid_lr_weight: None,
            up_lr_weight: None,
            block_lr_zero_threshold: 0.0,
            include_patterns: Vec::new(),
            exclude_patterns: Vec::new(),
            network_weights: None,
            dim_from_weights: false,
            network_train_unet_only: false,
            network_train_text_encoder_only: false,
            output_dir: "output".into(),
            output_name: "last".into(),
            save_every_n_epochs: None,
            save_n_epoch_ratio: None,
            save_every_n_steps: None,
            save_last_n_epochs: None,
            save_last_n_steps: None,
            save_precision: SavePrecision::Fp16,
            logging_dir: None,
            log_prefix: None,
            no_metadata: false,
            metadata_title: None,
            metadata_author: None,
            metadata_description: None,
            metadata_license: None,
            metadata_tags: None,
            training_comment: None,
            sample_prompts: None,
            sample_every_n_epochs: None,
            sample_every_n_steps: None,
            sample_at_first: false,
            sample_sampler: Sampler::EulerA,
        }
    }

    /// These settings with what depends on the base's family filled in where it is not given.
    #[must_use]
    pub fn resolved(&self, family: Family) -> Self {
        Self {
            clip_skip: self.clip_skip.or_else(|| self.clip_skip_of_preset(family)),
            resolution: Some(self.resolution_for(family)),
            max_bucket_reso: Some(self.max_bucket_reso_for(family)),
            base_dtype: Some(self.base_dtype_for(family)),
            ..self.clone()
        }
    }

    /// The training resolution with a base of this family.
    pub fn resolution_for(&self, family: Family) -> Resolution {
        self.resolution
            .unwrap_or(Resolution::square(match self.family_of_defaults(family) {
                Family::Sd1 => 512,
                Family::Sd2 => 768,
                Family::Sdxl => 1024,
            }))
    }

    /// The longest side of a bucket with a base of this family. Pixels.
    pub fn max_bucket_reso_for(&self, family: Family) -> u32 {
        self.max_bucket_reso
            .unwrap_or(match self.family_of_defaults(family) {
                Family::Sd1 => 1024,
                Family::Sd2 => 1536,
                Family::Sdxl => 2048,
            })
    }

    /// The number type of the UNet's weights in memory with a base of this family.
    pub fn base_dtype_for(&self, family: Family) -> BaseDtype {
        self.base_dtype
            .unwrap_or(match self.family_of_defaults(family) {
                _ if self.mixed_precision == MixedPrecision::Bf16 => BaseDtype::Bf16,
                Family::Sd1 | Family::Sd2 => BaseDtype::Float,
                Family::Sdxl => BaseDtype::Bf16,
            })
    }

    /// The family that the configuration itself speaks of, SD 1.x where it speaks of none.
    pub(crate) fn likely_family(&self) -> Family {
        match (self.model_train_type, self.v2) {
            (Some(ModelTrainType::SdxlLora), _) => Family::Sdxl,
            (_, Some(true)) => Family::Sd2,
            _ => Family::Sd1,
        }
    }

    /// SD-Trainer's form shows the same values for every family.
    fn family_of_defaults(&self, family: Family) -> Family {
        match self.compat {
            Compat::None => family,
            Compat::SdScripts => Family::Sd1,
        }
    }

    fn clip_skip_of_preset(&self, family: Family) -> Option<u32> {
        (self.preset == Some(Preset::Novice) && family == Family::Sd1).then_some(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_follows_from_the_family() {
        let sizes = |config: &TrainConfig| {
            Family::ALL.map(|family| {
                let config = config.resolved(family);
                (
                    config.resolution.unwrap().width,
                    config.max_bucket_reso.unwrap(),
                    config.base_dtype.unwrap(),
                )
            })
        };
        let config = TrainConfig::new("", "");
        let sd1 = (512, 1024, BaseDtype::Float);
        assert_eq!(
            sizes(&config),
            [
                sd1,
                (768, 1536, BaseDtype::Float),
                (1024, 2048, BaseDtype::Bf16)
            ]
        );
        assert_eq!(
            sizes(&TrainConfig {
                compat: Compat::SdScripts,
                ..config.clone()
            }),
            [sd1; 3]
        );
        let given = TrainConfig {
            resolution: Some(Resolution::square(640)),
            max_bucket_reso: Some(896),
            base_dtype: Some(BaseDtype::Bf16),
            ..config
        };
        assert_eq!(sizes(&given), [(640, 896, BaseDtype::Bf16); 3]);
        assert_eq!(given.resolved(Family::Sdxl), given);
    }
}
