//! Datasets and subsets while their tables are read.

use std::path::PathBuf;

use Style::{Conditioning, Folder, Metadata};

use crate::config::{DatasetConfig, Source, Subset};
use crate::image::options::Alpha;

/// The kind of subsets in a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Images and captions in folders ("DreamBooth").
    Folder,
    /// Folders with a second image for each image ("ControlNet").
    Conditioning,
    /// Lists of images ("fine tuning").
    Metadata,
}

impl Style {
    /// The key that decides for this style.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Folder => "image_dir",
            Self::Conditioning => "conditioning_data_dir",
            Self::Metadata => "metadata_file",
        }
    }
}

/// A dataset and a subset of it while their tables are read.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Without its subsets.
    pub(super) dataset: DatasetConfig,
    /// Without its source.
    pub(super) subset: Subset,
    pub(super) image_dir: Option<PathBuf>,
    pub(super) metadata_file: Option<PathBuf>,
    pub(super) recursive: bool,
    pub(super) cache_info: Option<bool>,
}

impl Draft {
    pub(super) fn new(defaults: &DatasetConfig) -> Self {
        let mut subset = defaults
            .subsets
            .first()
            .cloned()
            .unwrap_or_else(|| Subset::new(""));
        subset.conditioning_data_dir = None;
        Self {
            dataset: DatasetConfig {
                subsets: Vec::new(),
                ..defaults.clone()
            },
            recursive: matches!(
                subset.source,
                Source::Folder {
                    recursive: true,
                    ..
                }
            ),
            subset,
            image_dir: None,
            metadata_file: None,
            cache_info: None,
        }
    }

    /// The finished subset. Options without effect on its style are switched off, even if outer
    /// tables or the defaults set them.
    pub(super) fn into_subset(self, style: Style) -> Subset {
        let Self {
            mut subset,
            image_dir,
            metadata_file,
            recursive,
            ..
        } = self;
        subset.source = match style {
            Metadata => Source::Metadata {
                file: metadata_file.unwrap_or_default(),
                image_dir,
            },
            Folder | Conditioning => Source::Folder {
                dir: image_dir.unwrap_or_default(),
                recursive,
            },
        };
        if style != Folder {
            subset.class_tokens = None;
            subset.is_reg = false;
        }
        if style == Conditioning && subset.alpha == Alpha::Mask {
            subset.alpha = Alpha::Drop;
        }
        subset
    }
}
