//! Files that a run writes.

macro_rules! output_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Output {
        /// The folder for all files of the run.
        output_dir: PathBuf = "output".into(), Kind::Path;

        /// The name of the LoRA file, without its extension.
        output_name: String = "last".into(), Kind::Text;

        /// Save a LoRA every N epochs; the last one is always saved. 0: off.
        save_every_n_epochs: Option<u32> = None, Kind::COUNT, off_at_zero = true;

        /// Save a LoRA this many times over the run; takes precedence over `save_every_n_epochs`.
        /// 0: off.
        save_n_epoch_ratio: Option<u32> = None, Kind::COUNT, off_at_zero = true;

        /// Save a LoRA every N steps. 0: off.
        save_every_n_steps: Option<u32> = None, Kind::COUNT, off_at_zero = true;

        /// Keep the files of the last N epochs and delete earlier ones.
        save_last_n_epochs: Option<u32> = None, Kind::POSITIVE,
            needs = &["save_every_n_epochs", "save_n_epoch_ratio"];

        /// Keep the files of the last N steps and delete earlier ones.
        save_last_n_steps: Option<u32> = None, Kind::POSITIVE, needs = &["save_every_n_steps"];

        /// The data type of saved LoRA files.
        save_precision: SavePrecision = SavePrecision::Fp16, Kind::Choice(SavePrecision::NAMES);

        /// The folder for TensorBoard logs. By default there are none.
        logging_dir: Option<PathBuf> = None, Kind::Path;

        /// A prefix for the names of the folders in `logging_dir`.
        log_prefix: Option<String> = None, Kind::Text;

        /// Write only the `ss_` entries needed to load the file, and the modelspec entries.
        no_metadata: bool = false, Kind::Flag;

        /// The title in the metadata. By default `output_name`.
        metadata_title: Option<String> = None, Kind::Text;

        /// The author in the metadata.
        metadata_author: Option<String> = None, Kind::Text;

        /// The description in the metadata.
        metadata_description: Option<String> = None, Kind::Text;

        /// The licence in the metadata.
        metadata_license: Option<String> = None, Kind::Text;

        /// Tags in the metadata, separated by commas.
        metadata_tags: Option<String> = None, Kind::Text;

        /// A comment in the metadata.
        training_comment: Option<String> = None, Kind::Text;
    } } };
}
