//! Outputs of the text encoders for captions that stay the same, encoded once for all epochs: in
//! memory or in files next to the images.
//!
//! A [`TextPlan`] becomes a [`TextFiller`] when caching starts, and this a [`TextSource`] when
//! every caption is encoded.

use std::collections::HashMap;
use std::sync::Arc;

use lora_core::ForwardContext;
use lora_data::Dataset;
use lora_data::cache::TextShape;
use lora_models::text::TextEmbeddings;

use super::files::Lookup;
use super::fill_outcome::FillOutcome;
use super::fixed_caption::fixed_caption;
use super::text_files::{TextFiles, TextFilesPlan};
use crate::error::Result;
use crate::settings::{Caching, RunSettings};
use crate::train::model::base::Base;
use crate::train::model::caption_encoder::{CaptionReader, TextWidths, encode_captions};
use crate::warning::Warning;

/// The greatest size of an automatic cache in memory. Bytes.
const MAX_BYTES: usize = 1_000_000_000;

/// The planned source of encoded captions.
#[derive(Debug)]
pub(crate) enum TextPlan {
    Memory(Captions),
    Files(TextFilesPlan),
    /// Every step encodes its captions.
    TextEncoders {
        /// True if they could be encoded once, but would take too much memory.
        is_too_large: bool,
    },
}

/// All different captions.
#[derive(Debug)]
pub(crate) struct Captions {
    captions: Vec<String>,
    /// Index of each item's caption.
    caption_of: Vec<usize>,
}

impl TextPlan {
    /// The plan that the settings ask for, as far as captions stay the same and the text encoders
    /// are not trained.
    ///
    /// # Errors
    /// [`Error::SharedCache`](crate::Error::SharedCache) and
    /// [`Error::CacheUsedTwice`](crate::Error::CacheUsedTwice).
    pub(crate) fn new(
        settings: &RunSettings,
        dataset: &Dataset,
        widths: &TextWidths,
        trains_text_encoder: bool,
    ) -> Result<Self> {
        let caching = settings.caches.text_encoder_outputs;
        let mut subsets = dataset.subsets().iter();
        let is_fixed = subsets.all(|subset| subset.config.captions.is_fixed());
        if trains_text_encoder || !is_fixed || caching == Caching::Off {
            return Ok(Self::TextEncoders {
                is_too_large: false,
            });
        }
        let tokens = settings.text.sequence_length();
        if caching == Caching::Files {
            return Ok(Self::Files(TextFilesPlan::new(dataset, widths, tokens)?));
        }
        let captions = Captions::new(dataset);
        let bytes = captions.captions.len() * widths.bytes(tokens);
        if caching == Caching::MemoryIfPossible && bytes > MAX_BYTES {
            return Ok(Self::TextEncoders { is_too_large: true });
        }
        Ok(Self::Memory(captions))
    }

    /// True if captions are encoded once, before training.
    pub(crate) fn is_cached(&self) -> bool {
        !matches!(self, Self::TextEncoders { .. })
    }

    /// The number of captions to encode: different ones in memory, one per image on disk.
    pub(crate) fn total(&self, dataset: &Dataset) -> usize {
        match self {
            Self::Memory(captions) => captions.captions.len(),
            Self::Files(_) => dataset.items().len(),
            Self::TextEncoders { .. } => 0,
        }
    }

    /// Bytes of all encoded captions.
    pub(crate) fn bytes(
        &self,
        settings: &RunSettings,
        dataset: &Dataset,
        widths: &TextWidths,
    ) -> u64 {
        let per_caption = widths.bytes(settings.text.sequence_length());
        (self.total(dataset) * per_caption) as u64
    }

    /// A warning about the choice.
    pub(crate) fn warning(&self) -> Option<Warning> {
        matches!(self, Self::TextEncoders { is_too_large: true })
            .then_some(Warning::TextCacheTooLarge)
    }
}

impl Captions {
    fn new(dataset: &Dataset) -> Self {
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut captions = Vec::new();
        let mut caption_of = Vec::with_capacity(dataset.items().len());
        for item in dataset.items() {
            let caption = fixed_caption(dataset, item);
            let index = *index.entry(caption).or_insert_with_key(|caption| {
                captions.push(caption.clone());
                captions.len() - 1
            });
            caption_of.push(index);
        }
        Self {
            captions,
            caption_of,
        }
    }
}

/// Encodes captions, or finds their files, one by one.
#[derive(Debug)]
pub(crate) enum TextFiller {
    Memory {
        captions: Captions,
        encoded: Vec<TextEmbeddings>,
    },
    Files(Box<TextFiles>),
    TextEncoders,
}

/// The parts that encode captions.
#[derive(Debug)]
pub(crate) struct CaptionEncoding<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) reader: &'a CaptionReader,
    pub(crate) base: &'a mut Base,
    pub(crate) clip_skip: usize,
}

impl CaptionEncoding<'_> {
    /// The text encoders' outputs for a caption.
    pub(super) fn encode(&mut self, caption: &str) -> Result<TextEmbeddings> {
        let tokens = vec![self.reader.read(caption)];
        let encoders = self.base.text_encoders()?;
        Ok(encode_captions(
            encoders,
            tokens,
            self.clip_skip,
            &ForwardContext::base(),
        ))
    }
}

impl TextFiller {
    pub(crate) fn new(plan: TextPlan, settings: &RunSettings, base: &Base) -> Result<Self> {
        match plan {
            TextPlan::Memory(captions) => Ok(Self::Memory {
                captions,
                encoded: Vec::new(),
            }),
            TextPlan::Files(plan) => {
                let files = TextFiles::new(plan, settings, base.checkpoint())?;
                Ok(Self::Files(Box::new(files)))
            }
            TextPlan::TextEncoders { .. } => Ok(Self::TextEncoders),
        }
    }

    /// The number of captions that are done.
    pub(crate) fn done(&self) -> usize {
        match self {
            Self::Memory { encoded, .. } => encoded.len(),
            Self::Files(files) => files.done(),
            Self::TextEncoders => 0,
        }
    }

    /// The number of captions to encode.
    pub(crate) fn total(&self, dataset: &Dataset) -> usize {
        match self {
            Self::Memory { captions, .. } => captions.captions.len(),
            Self::Files(_) => dataset.items().len(),
            Self::TextEncoders => 0,
        }
    }

    /// Encodes the next caption, or finds its file. `None` if all are done. Warnings are added to
    /// `warnings`, even if encoding fails.
    pub(crate) fn fill_next(
        &mut self,
        mut with: CaptionEncoding<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<FillOutcome>> {
        match self {
            Self::TextEncoders => Ok(None),
            Self::Memory { captions, encoded } => {
                let Some(caption) = captions.captions.get(encoded.len()) else {
                    return Ok(None);
                };
                encoded.push(with.encode(caption)?);
                Ok(Some(FillOutcome::Encoded))
            }
            Self::Files(files) => {
                let Some(item) = with.dataset.items().get(files.done()) else {
                    return Ok(None);
                };
                match files.find(with.dataset, item)? {
                    Lookup::Usable(_) => {
                        files.use_file();
                        return Ok(Some(FillOutcome::Reused));
                    }
                    Lookup::Stale { path, reason } => {
                        warnings.extend(files.count_stale(path, reason));
                    }
                    Lookup::Missing => {}
                }
                let caption = fixed_caption(with.dataset, item);
                let encoded = with.encode(&caption)?;
                files.write(item, &caption, encoded)?;
                Ok(Some(FillOutcome::Encoded))
            }
        }
    }

    /// Warnings about all files.
    pub(crate) fn summary(&self) -> Vec<Warning> {
        match self {
            Self::Files(files) => files.summary(),
            Self::Memory { .. } | Self::TextEncoders => Vec::new(),
        }
    }

    /// All encoded captions.
    pub(crate) fn finish(self) -> TextSource {
        match self {
            Self::Memory { captions, encoded } => TextSource::Memory {
                store: Arc::new(encoded),
                caption_of: captions.caption_of,
            },
            Self::Files(files) => TextSource::Files(files.shape()),
            Self::TextEncoders => TextSource::TextEncoders,
        }
    }
}

/// The source of the encoded captions of batches.
#[derive(Debug)]
pub(crate) enum TextSource {
    /// On the device.
    Memory {
        store: Arc<Vec<TextEmbeddings>>,
        /// Index of each item's caption.
        caption_of: Vec<usize>,
    },
    /// In the files next to the images.
    Files(TextShape),
    /// From tokens, in every step.
    TextEncoders,
}

impl TextSource {
    /// True if every step needs the text encoders.
    pub(crate) fn needs_text_encoders(&self) -> bool {
        matches!(self, Self::TextEncoders)
    }
}
