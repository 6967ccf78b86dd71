//! The arguments of `lora-trainer tag`.

mod options;

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use lora_tag::{Category, OnConflict, Style};

use crate::cli::arguments::TRUE_OR_FALSE;

/// Options of SD-Trainer's tagger page and of sd-scripts' tagger, in their names.
#[derive(Debug, Args)]
pub(in crate::cli) struct TagArguments {
    /// Folder with images
    pub(super) folder: PathBuf,
    /// Print the captions and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print how often each tag was written
    #[arg(long)]
    pub(super) frequency_tags: bool,
    /// Print the tags of each image by category
    #[arg(long)]
    pub(super) debug: bool,
    #[command(flatten)]
    pub(super) model: ModelArguments,
    #[command(flatten)]
    pub(super) files: FileArguments,
    #[command(flatten)]
    tags: ChoiceArguments,
    #[command(flatten)]
    text: TextArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArguments {
    /// Tagger: its folder or .onnx file, a name such as wd-vit-v3, or OWNER/NAME on the Hugging
    /// Face Hub [default: wd-vit-v3; SmilingWolf/wd-v1-4-convnext-tagger-v2 in
    /// the style of sd-scripts]
    #[arg(
        long,
        visible_alias = "interrogator-model",
        alias = "repo-id",
        value_name = "MODEL"
    )]
    pub(super) model: Option<String>,
    /// Another folder to look for taggers in
    #[arg(long, value_name = "FOLDER")]
    pub(super) model_dir: Option<PathBuf>,
    /// Download the tagger from the Hugging Face Hub if it is not found (feature `hub`)
    #[arg(long)]
    pub(super) download: bool,
    /// Download it even if it is there
    #[arg(long)]
    pub(super) force_download: bool,
    /// Take the probabilities from the files of an earlier run with --scores, whose style decided
    /// how images were resized
    #[arg(long, conflicts_with_all = ["model", "scores", "download", "force_download"])]
    pub(super) from_scores: bool,
    /// Program that runs the tagger
    #[arg(long, value_parser = ["rten", "onnxruntime"], default_value = "rten")]
    runtime: String,
    /// Run the tagger by this libonnxruntime (feature `ort`) [default: $ORT_DYLIB_PATH]
    #[arg(long, value_name = "LIBRARY")]
    onnxruntime: Option<PathBuf>,
    /// Threads of the tagger [default: one per processor]
    #[arg(long, value_name = "N", value_parser = positive())]
    threads: Option<usize>,
    /// Images per batch; a model whose file fixes the batch takes that
    #[arg(long, alias = "batch-size", value_name = "N", default_value_t = 1, value_parser = positive())]
    pub(super) batch: usize,
    /// Threads that decode images ahead [default and 0: one per processor, at most 4]
    #[arg(long, alias = "max-data-loader-n-workers", value_name = "N", value_parser = number())]
    workers: Option<usize>,
    /// This program reads only ONNX models, so `false` is an error
    #[arg(long, hide = true, value_name = TRUE_OR_FALSE)]
    onnx: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileArguments {
    /// Tag images in subfolders, too
    #[arg(long, visible_alias = "batch-input-recursive", value_name = TRUE_OR_FALSE)]
    recursive: Option<bool>,
    /// What happens to an image that has a caption [default: ignore]
    #[arg(long, visible_alias = "batch-output-action-on-conflict", value_name = "ACTION",
        value_parser = on_conflict())]
    on_conflict: Option<OnConflict>,
    /// The same as --on-conflict append
    #[arg(long)]
    append_tags: bool,
    /// Extension of caption files
    #[arg(
        long,
        alias = "caption-extention",
        value_name = "EXTENSION",
        default_value = ".txt"
    )]
    caption_extension: String,
    /// Write caption files into this folder
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Write all captions into one file: .jsonl, or .json for `in_json`
    #[arg(long, value_name = "FILE", conflicts_with = "output_dir")]
    output_path: Option<PathBuf>,
    /// Write the probabilities of each image to NAME.tags.json, for --from-scores
    #[arg(long)]
    scores: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Choice of tags")]
struct ChoiceArguments {
    /// Program whose rules and defaults hold where SD-Trainer and sd-scripts differ
    /// [default: sd-trainer]
    #[arg(long, value_parser = style())]
    style: Option<Style>,
    /// Reproduce the faults of this program, and its style
    #[arg(long, value_parser = style(), conflicts_with = "style", value_name = "STYLE")]
    compat: Option<Style>,
    /// Least probability of a tag
    #[arg(long, alias = "thresh", default_value_t = 0.35, allow_negative_numbers = true,
        value_parser = fraction)]
    threshold: f32,
    /// Threshold of general tags [default: --threshold]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    general_threshold: Option<f32>,
    /// Threshold of characters [default: 0.6; --threshold in the style of sd-scripts]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    character_threshold: Option<f32>,
    /// Threshold of series [default: --threshold]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    copyright_threshold: Option<f32>,
    /// Threshold of artists [default: --threshold]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    artist_threshold: Option<f32>,
    /// Threshold of meta tags [default: --threshold]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    meta_threshold: Option<f32>,
    /// Threshold of generative models [default: --threshold]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = fraction)]
    model_threshold: Option<f32>,
    /// Leave out a category; can be repeated
    #[arg(long, value_name = "CATEGORY", value_parser = category())]
    exclude_category: Vec<Category>,
    /// Write the most probable rating among the other tags, which are sorted by probability
    #[arg(long, value_name = TRUE_OR_FALSE)]
    add_rating_tag: Option<bool>,
    /// Write the most probable rating, first
    #[arg(long)]
    use_rating_tags: bool,
    /// Write the most probable rating, last
    #[arg(long)]
    use_rating_tags_as_last_tag: bool,
    /// Write the most probable quality tag, first
    #[arg(long)]
    use_quality_tags: bool,
    /// Write the most probable quality tag, last
    #[arg(long)]
    use_quality_tags_as_last_tag: bool,
    /// Write tags of generative models [default: false; true in the style of sd-scripts]
    #[arg(long, value_name = TRUE_OR_FALSE)]
    add_model_tag: Option<bool>,
    /// Tags that are added to every caption, separated as in captions (--caption-separator)
    #[arg(long, value_name = "TAGS")]
    additional_tags: Option<String>,
    /// Tags that are never written, separated as in captions
    #[arg(long, visible_alias = "undesired-tags", value_name = "TAGS")]
    exclude_tags: Option<String>,
    /// Write characters before other tags
    #[arg(long)]
    character_tags_first: bool,
    /// Tags that are moved to the front if present, separated as in captions
    #[arg(long, value_name = "TAGS")]
    always_first_tags: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Spelling of tags")]
struct TextArguments {
    /// Write underscores as spaces, but for emoticons [default: true; false in the style of
    /// sd-scripts]
    #[arg(long, value_name = TRUE_OR_FALSE)]
    replace_underscore: Option<bool>,
    /// Tags that keep their underscores, separated by commas [default: emoticons]
    #[arg(long, value_name = "TAGS")]
    replace_underscore_excludes: Option<String>,
    /// Write underscores as spaces in tags of more than three characters
    #[arg(long, value_name = TRUE_OR_FALSE)]
    remove_underscore: Option<bool>,
    /// Put a backslash before brackets and backslashes [default: true; false in the style of
    /// sd-scripts]
    #[arg(long, value_name = TRUE_OR_FALSE)]
    escape_tag: Option<bool>,
    /// Replaced tags: SOURCE,TARGET;SOURCE,TARGET with \, and \; in tags
    #[arg(
        long,
        value_name = "RULES",
        default_value = "",
        hide_default_value = true
    )]
    tag_replacement: String,
    /// Write name_(series) of a character as two tags
    #[arg(long)]
    character_tag_expand: bool,
    /// Text between tags
    #[arg(long, value_name = "TEXT", default_value = ", ")]
    caption_separator: String,
}

fn positive() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32)
        .range(1..)
        .map(|number| number as usize)
}

fn number() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32).map(|number| number as usize)
}

/// Parses a threshold. The range is checked with all other options.
fn fraction(text: &str) -> Result<f32, &'static str> {
    text.parse()
        .map_err(|_| "expected a number from 0 to 1, such as 0.35")
}

/// Parses one of some names.
fn named<T: Clone + Send + Sync + 'static>(
    names: impl IntoIterator<Item = &'static str>,
    parse: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names)
        .try_map(move |name: String| parse(&name).ok_or("not one of the names"))
}

fn style() -> impl TypedValueParser<Value = Style> {
    named(Style::NAMES, Style::from_name)
}

fn on_conflict() -> impl TypedValueParser<Value = OnConflict> {
    named(
        [&OnConflict::NAMES[..], &["overwrite"]].concat(),
        OnConflict::from_name,
    )
}

fn category() -> impl TypedValueParser<Value = Category> {
    named(Category::ALL.map(Category::name), Category::from_name)
}
