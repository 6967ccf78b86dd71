//! The base checkpoint.

macro_rules! model_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Model {
        /// The base checkpoint: a `.safetensors`, `.ckpt` or `.pt` file, or a folder in diffusers'
        /// layout. The model family is detected from it.
        pretrained_model_name_or_path: PathBuf = PathBuf::new(), Kind::Path;

        /// SD-Trainer's name for the kind of base: `sd-lora` for SD 1.x and 2.x, `sdxl-lora` for
        /// SDXL. Detected from the checkpoint by default; an error if it does not match the
        /// checkpoint.
        model_train_type: Option<ModelTrainType> = None, Kind::Choice(ModelTrainType::NAMES);

        /// Set if the base is SD 2.x. Detected from the checkpoint by default; an error if it does
        /// not match the checkpoint.
        v2: Option<bool> = None, Kind::Flag;

        /// Set if the base is a v-prediction model. Detected from the checkpoint by default; for SD
        /// 2.x by a test prediction if the checkpoint does not declare it.
        v_parameterization: Option<bool> = None, Kind::Flag;

        /// A file or folder whose VAE replaces the checkpoint's.
        vae: Option<PathBuf> = None, Kind::Path;

        /// The data type of the UNet's weights in memory: `float`, or `bf16`, which takes half the
        /// memory. By default `bf16` for SDXL and with `mixed_precision = "bf16"`, else `float`.
        base_dtype: Option<BaseDtype> = None, Kind::Choice(BaseDtype::NAMES);
            by family: BaseDtype {
                Sd1 => BaseDtype::Float,
                Sd2 => BaseDtype::Float,
                Sdxl => BaseDtype::Bf16,
            }

        /// `bf16` stores the UNet's weights in bf16 unless `base_dtype` is set. Without `compat`,
        /// `fp16` changes nothing, since all computation is in f32.
        mixed_precision: MixedPrecision = MixedPrecision::No,
            Kind::Choice(MixedPrecision::NAMES);

        /// LoRA files that are merged into the base before training.
        base_weights: Vec<PathBuf> = Vec::new(), Kind::Texts;

        /// The strength of each file of `base_weights`; 1 for files without one.
        base_weights_multiplier: Vec<f64> = Vec::new(),
            Kind::Numbers { min: -1000.0, max: 1000.0, most: usize::MAX };

        /// Settings of the networks that cannot be read from the tensor shapes, such as the number
        /// of attention heads. They override the checkpoint's own configuration.
        model_config: ModelConfig = ModelConfig::default(), Kind::Table;

        /// Use the N-th last hidden layer of the text encoder; 1 is the last. 0 means unset; with
        /// `compat = "sd-scripts"` it selects the embeddings.
        clip_skip: Option<u32> = None, Kind::Integer { min: 0, max: 24 },
            families = &[Family::Sd1, Family::Sd2];

        /// The maximum number of tokens of a caption: 75, 150 or 225; 255 acts as 225.
        max_token_length: u32 = 225, Kind::OneOf(&[75, 150, 225, 255]);
    } } };
}
