//! Images and captions.

macro_rules! data_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Data {
        /// A folder with images, or with folders named `N_name` whose images are repeated `N`
        /// times per epoch.
        train_data_dir: PathBuf = PathBuf::new(), Kind::Path;

        /// A folder of the same layout with regularisation images.
        reg_data_dir: Option<PathBuf> = None, Kind::Path;

        /// sd-scripts' metadata file: JSON with captions and tags by image name. Its file names are
        /// relative to `train_data_dir`.
        in_json: Option<PathBuf> = None, Kind::Path, excludes = &["reg_data_dir"];

        /// A dataset file in sd-scripts' `dataset_config` format, TOML or JSON. It replaces
        /// `train_data_dir`, `reg_data_dir` and `in_json`; the other options of images and
        /// captions are its defaults.
        dataset_config: Option<PathBuf> = None, Kind::Path;

        /// The number of repeats of images directly in `train_data_dir` or listed in `in_json`.
        dataset_repeats: u32 = 1, Kind::POSITIVE, aliases = &["num_repeats"];

        /// Include the images of nested folders.
        recursive: bool = false, Kind::Flag;

        /// The extension of caption files, with its dot.
        caption_extension: String = ".txt".into(), Kind::Text, aliases = &["caption_extention"];

        /// The caption of images without a caption file, unless their folder's name gives one.
        class_tokens: Option<String> = None, Kind::Text;

        /// Refuse images without a caption file and caption files without an image.
        strict_captions: bool = false, Kind::Flag;

        /// The separator between the tags of a caption.
        caption_separator: String = ",".into(), Kind::Text;

        /// Shuffle the tags of a caption on every use.
        shuffle_caption: bool = false, Kind::Flag;

        /// The number of tags at the start of a caption that are neither shuffled nor dropped.
        keep_tokens: u32 = 0, Kind::COUNT;

        /// A separator inside captions, such as `|||`: the tags before it stay in place. If it
        /// occurs twice, so do the tags after the second one.
        keep_tokens_separator: Option<String> = None, Kind::Text;

        /// A separator between tags that stay together, such as `;;;`.
        secondary_separator: Option<String> = None, Kind::Text;

        /// Choose one of `{a|b}` on every use, and one line of a caption with several lines.
        enable_wildcard: bool = false, Kind::Flag;

        /// Text before each caption.
        caption_prefix: Option<String> = None, Kind::Text;

        /// Text after each caption.
        caption_suffix: Option<String> = None, Kind::Text;

        /// The probability of an empty caption.
        caption_dropout_rate: f64 = 0.0, Kind::FRACTION;

        /// Use empty captions in every n-th epoch; 0: never.
        caption_dropout_every_n_epochs: u32 = 0, Kind::COUNT;

        /// The probability of dropping a tag. Tags that stay in place are never dropped.
        caption_tag_dropout_rate: f64 = 0.0, Kind::FRACTION;

        /// The number of tags at the start of the token warmup, besides those that stay in place.
        token_warmup_min: u32 = 1, Kind::COUNT;

        /// The step from which all tags are used; below 1, a fraction of the run. 0: no warmup.
        token_warmup_step: f64 = 0.0, Kind::NOT_NEGATIVE;

        /// Read weights such as `(cat:1.2)` in captions.
        weighted_captions: bool = false, Kind::Flag;

        /// The training resolution in pixels: with buckets the area, else the exact size.
        resolution: Option<Resolution> = None, Kind::Resolution;
            by family: Resolution {
                Sd1 => Resolution::square(512),
                Sd2 => Resolution::square(768),
                Sdxl => Resolution::square(1024),
            }

        /// Keep the aspect ratio of images and train them in batches of one size (buckets).
        enable_bucket: bool = true, Kind::Flag;

        /// The shortest side of a bucket in pixels, rounded down to `bucket_reso_steps`. Not used
        /// with `bucket_no_upscale`.
        min_bucket_reso: u32 = 256, Kind::POSITIVE;

        /// The longest side of a bucket in pixels, rounded up to `bucket_reso_steps`. Not used
        /// with `bucket_no_upscale`.
        max_bucket_reso: Option<u32> = None, Kind::POSITIVE;
            by family: u32 {
                Sd1 => 1024,
                Sd2 => 1536,
                Sdxl => 2048,
            }

        /// The sides of buckets are multiples of this number of pixels, itself a multiple of 8.
        bucket_reso_steps: u32 = 64, Kind::POSITIVE;

        /// Do not upscale images that are smaller than the resolution.
        bucket_no_upscale: bool = true, Kind::Flag;

        /// The filter for resizing. By default `area` for downscaling and `lanczos` for upscaling.
        resize_interpolation: Option<Interpolation> = None, Kind::Choice(Interpolation::NAMES);

        /// Flip images horizontally with a probability of one half.
        flip_aug: bool = false, Kind::Flag;

        /// Shift hue or gamma of a third of the images slightly.
        color_aug: bool = false, Kind::Flag;

        /// Crop images at a random position instead of the centre.
        random_crop: bool = false, Kind::Flag;

        /// Crop around the face whose position is in the file name. The crop is this many times as
        /// large as the face, at random between the two factors.
        face_crop_aug_range: Option<FaceCropRange> = None, Kind::FaceCrop;

        /// Use transparency as a loss mask.
        alpha_mask: bool = false, Kind::Flag, excludes = &["alpha_background"];

        /// The background colour of transparent pixels. By default the alpha channel is dropped.
        alpha_background: Option<Color> = None, Kind::Color;

        /// A folder with a loss mask for each image of `train_data_dir`; the red channel weights
        /// the loss.
        conditioning_data_dir: Option<PathBuf> = None, Kind::Path;

        /// Use the masks of `conditioning_data_dir`. On by default if there are any.
        masked_loss: Option<bool> = None, Kind::Flag;

        /// Encode each image only once, before training. On by default unless an augmentation
        /// changes the images on every use.
        cache_latents: Option<bool> = None, Kind::Flag;

        /// Keep latents in files next to the images, for later runs.
        cache_latents_to_disk: bool = false, Kind::Flag;

        /// Encode each caption only once, before training. On by default if captions do not change
        /// and the text encoder is not trained, unless the outputs take more than 1 GB.
        cache_text_encoder_outputs: Option<bool> = None, Kind::Flag;

        /// Keep text encoder outputs in files next to the images, for later runs.
        cache_text_encoder_outputs_to_disk: bool = false, Kind::Flag, families = &[Family::Sdxl];

        /// Keep the sizes of images in a file in their folder, for later runs. On by default with
        /// `cache_latents_to_disk`.
        cache_info: Option<bool> = None, Kind::Flag;

        /// The fraction of the images that is held out of training. The loss on them is measured
        /// after each epoch.
        validation_split: f64 = 0.0, Kind::Number { min: 0.0, max: 0.95 };

        /// The seed that selects the images of `validation_split`.
        validation_seed: u64 = 0, Kind::SEED;

        /// Skip unreadable images with a warning instead of refusing to train.
        skip_bad_images: bool = false, Kind::Flag;
    } } };
}
