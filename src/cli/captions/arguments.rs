//! The arguments of `lora-trainer captions`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use lora_tag::captions::{CaptionsOptions, Filter};

/// The arguments of `lora-trainer captions`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Folder with images and captions
    pub(super) folder: PathBuf,
    /// Include subfolders
    #[arg(long, global = true)]
    pub(super) recursive: bool,
    /// Extension of caption files
    #[arg(long, global = true, default_value = ".txt", value_name = "EXTENSION")]
    pub(super) caption_extension: String,
    /// Text between tags
    #[arg(long, global = true, default_value = ",", value_name = "TEXT")]
    pub(super) caption_separator: String,
    #[command(subcommand)]
    pub(super) command: CaptionsCommand,
}

impl Arguments {
    /// True if the command writes nothing.
    pub(in crate::cli) fn only_reads(&self) -> bool {
        matches!(
            self.command,
            CaptionsCommand::Open(FolderCommand::Stats { .. } | FolderCommand::List { .. })
        )
    }

    /// True if the command starts a text editor.
    pub(in crate::cli) fn opens_editor(&self) -> bool {
        matches!(
            self.command,
            CaptionsCommand::Open(FolderCommand::Edit { .. })
        )
    }

    pub(super) fn options(&self) -> CaptionsOptions {
        CaptionsOptions {
            recursive: self.recursive,
            caption_extension: self.caption_extension.clone(),
            caption_separator: self.caption_separator.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum CaptionsCommand {
    #[command(flatten)]
    Open(FolderCommand),
    /// Undo the last command that changed files; the next undo undoes the one before it
    Undo {
        /// List the commands that can be undone, the newest first
        #[arg(long)]
        list: bool,
        /// Delete the history; images and captions that were deleted are then gone
        #[arg(long, conflicts_with = "list")]
        clear: bool,
    },
}

/// The commands that read the folder of images.
#[derive(Debug, Subcommand)]
pub(super) enum FolderCommand {
    /// Report missing, empty and long captions, tags and duplicate images
    Stats {
        /// Number of tags to list
        #[arg(long, default_value_t = 20, value_name = "NUMBER")]
        top: usize,
        /// Print the report, with all tags and files, as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        filter: FilterArguments,
    },
    /// List images, or their tags
    List {
        /// List the tags, with the number of captions that have them
        #[arg(long)]
        tags: bool,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        filter: FilterArguments,
    },
    #[command(flatten)]
    EditTags(EditCommand),
    /// Open the caption of an image in $VISUAL or $EDITOR; a missing caption is created
    Edit {
        /// Image: its path, or its name in the folder
        image: PathBuf,
    },
    /// Move images with their captions and scores into another folder
    Move {
        /// Folder, which is created if it is missing
        destination: PathBuf,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Delete images with their captions and scores; `undo` restores them
    Delete {
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Write captions from sd-scripts' JSON metadata (in_json), or from file names
    Import {
        /// JSON file; its keys are the paths of images
        #[arg(required_unless_present = "from_file_names")]
        file: Option<PathBuf>,
        /// The name of each image, without its extension, is its caption
        #[arg(long, conflicts_with_all = ["file", "field"])]
        from_file_names: bool,
        /// Field with the caption [default: caption and tags, joined]
        #[arg(long, value_enum)]
        field: Option<Field>,
        /// Replace existing captions
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Write captions into sd-scripts' JSON metadata (in_json)
    Export {
        /// JSON file to write
        file: PathBuf,
        /// Field for the captions
        #[arg(long, value_enum, default_value_t = Field::Caption)]
        field: Field,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        filter: FilterArguments,
    },
}

/// The edits of all captions.
#[derive(Debug, Subcommand)]
pub(super) enum EditCommand {
    /// Add tags that a caption does not have; images without a caption get one
    Add {
        /// Tags, separated by commas
        tags: String,
        /// Add them before the other tags [default: after them]
        #[arg(long)]
        first: bool,
        /// Add them as tag number N, counted from 1
        #[arg(long, value_name = "N", conflicts_with = "first")]
        at: Option<usize>,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Remove tags
    Remove {
        /// Tags, separated by commas
        tags: String,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Replace a tag, or text
    Replace {
        /// Tag to replace; with --text any part of the caption
        from: String,
        /// New tag or text; "" removes
        to: String,
        /// FROM is a regular expression for any part of a tag or text; in TO, $1 is a group
        #[arg(long)]
        regex: bool,
        /// Search the whole text of captions, not tag by tag
        #[arg(long)]
        text: bool,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Sort the tags of each caption
    Sort {
        /// Order: letters, the most frequent first, the best score first, or the shortest first
        #[arg(long, value_enum)]
        by: SortKey,
        /// Reverse the order
        #[arg(long)]
        reverse: bool,
        /// Leave the first N tags in place
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep: usize,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Remove tags that a caption has twice
    Dedupe {
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Remove tags at the end of captions that have too many CLIP tokens
    Truncate {
        /// The most tokens: 75, or 150 or 225 for a higher max_token_length
        #[arg(long, value_name = "N")]
        tokens: usize,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Move tags to the front of the captions that have them
    MoveFirst {
        /// Tags, separated by commas, in their new order
        tags: String,
        #[command(flatten)]
        change: ChangeArguments,
    },
}

/// The captions to change.
#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Show the changes without making them
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
#[command(group = ArgGroup::new("wanted").args(["with", "with_regex", "missing"]).multiple(true))]
pub(super) struct FilterArguments {
    /// Only captions with this tag, a literal tag or a glob such as "* hair"; can be repeated
    #[arg(long, value_name = "TAG")]
    with: Vec<String>,
    /// Only captions without this tag; can be repeated
    #[arg(long, value_name = "TAG")]
    without: Vec<String>,
    /// Only captions with a tag that matches this regular expression; can be repeated
    #[arg(long, value_name = "REGEX")]
    with_regex: Vec<String>,
    /// Only captions without a tag that matches this regular expression; can be repeated
    #[arg(long, value_name = "REGEX")]
    without_regex: Vec<String>,
    /// Only images without a caption
    #[arg(long)]
    missing: bool,
    /// Only images whose name, or path in the folder, matches this glob; can be repeated
    #[arg(long, value_name = "GLOB")]
    images: Vec<String>,
    /// One of --with, --with-regex and --missing is enough
    #[arg(long, requires = "wanted")]
    any: bool,
}

impl FilterArguments {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            with: self.with.clone(),
            without: self.without.clone(),
            with_regex: self.with_regex.clone(),
            without_regex: self.without_regex.clone(),
            missing: self.missing,
            images: self.images.clone(),
            any: self.any,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SortKey {
    Alphabet,
    Frequency,
    Score,
    Length,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Field {
    Caption,
    Tags,
}
