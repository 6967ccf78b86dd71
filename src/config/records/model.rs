//! The base checkpoint.

macro_rules! model_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Model {
        /// The base checkpoint: a `.safetensors`, `.ckpt` or `.pt` file, or a folder in diffusers'
        /// layout. The model family is detected from it.
        pretrained_model_name_or_path: PathBuf = PathBuf::new(), Kind::Path;

        /// SD-Trainer's name for the kind of base: `sd-lora` for SD 1.x and 2.x, `sdxl-lora` for
        /// SDXL. Detected from the checkpoint by default; a contradiction is an error.
        model_train_type: Option<ModelTrainType> = None, Kind::Choice(ModelTrainType::NAMES);

        /// Set if the base is SD 2.x. Detected from the checkpoint by default; a contradiction is
        /// an error.
        v2: Option<bool> = None, Kind::Flag;

        /// Set if the base is a v-prediction model. Detected from the checkpoint by default, for
        /// SD 2.x by a trial if necessary.
        v_parameterization: Option<bool> = None, Kind::Flag;

        /// A file or folder whose VAE replaces the checkpoint's.
        vae: Option<PathBuf> = None, Kind::Path;

        /// The number type of the UNet's weights in memory: `float`, or `bf16`, which takes half
        /// the memory. By default `bf16` for SDXL and with `mixed_precision = "bf16"`, else
        /// `float`.
        base_dtype: Option<BaseDtype> = None, Kind::Choice(BaseDtype::NAMES);
            by family: BaseDtype {
                Sd1 => BaseDtype::Float,
                Sd2 => BaseDtype::Float,
                Sdxl => BaseDtype::Bf16,
            }

        /// The number type of the base: `bf16` keeps its weights in bf16 unless `base_dtype` is
        /// set. Layers always compute in 32 bits, which covers the range of fp16.
        mixed_precision: MixedPrecision = MixedPrecision::No,
            Kind::Choice(MixedPrecision::NAMES);

        /// LoRA files that are merged into the base before training.
        base_weights: Vec<PathBuf> = Vec::new(), Kind::Texts;

        /// The strength of each file of `base_weights`; 1 for files without one.
        base_weights_multiplier: Vec<f64> = Vec::new(),
            Kind::Numbers { min: -1000.0, max: 1000.0, most: usize::MAX };

        /// Settings of the networks that the shapes of tensors do not show, such as the number of
        /// attention heads. They override the checkpoint's own configuration.
        model_config: ModelConfig = ModelConfig::default(), Kind::Table;

        /// The hidden layer of the text encoder that is used, counted from the last one, 1. 0 means
        /// unset; with `compat = "sd-scripts"` it selects the embeddings.
        clip_skip: Option<u32> = None, Kind::Integer { min: 0, max: 24 },
            families = &[Family::Sd1, Family::Sd2];

        /// The maximum number of tokens of a caption: 75, 150 or 225; 255 acts as 225.
        max_token_length: u32 = 225, Kind::OneOf(&[75, 150, 225, 255]);
    } } };
}
