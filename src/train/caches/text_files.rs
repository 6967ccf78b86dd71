//! Outputs of the text encoders in files next to the images.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lora_data::cache::{
    CachedText, FloatFormat, Origin, RetainedEntries, TextShape, Validity, is_newer_than, text_path,
};
use lora_data::{CaptionSource, Dataset, Item};
use lora_models::Checkpoint;
use lora_models::text::TextEmbeddings;

use super::files::{CacheEntry, CacheFiles, Lookup, refuse_shared, values};
use super::fixed_caption::fixed_caption;
use crate::error::Result;
use crate::settings::RunSettings;
use crate::train::model::caption_encoder::TextWidths;
use crate::warning::{CacheContent, Warning};

/// The name of encoded captions among other arrays in a file.
const SLOT: &str = "text";

/// The contents of the files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextFilesPlan {
    shape: TextShape,
}

impl TextFilesPlan {
    /// # Errors
    /// Images that would share a file.
    pub(super) fn new(dataset: &Dataset, widths: &TextWidths, tokens: usize) -> Result<Self> {
        refuse_shared(dataset.items().iter().map(|item| CacheEntry {
            cache: text_path(&item.path),
            image: &item.path,
            slot: SLOT.into(),
            key: fixed_caption(dataset, item),
        }))?;
        let width = |encoder: usize| widths.states.get(encoder).copied().unwrap_or(0);
        Ok(Self {
            shape: TextShape {
                tokens,
                width1: width(0),
                width2: width(1),
                projection: widths.pooled.unwrap_or(0),
            },
        })
    }
}

/// Finds usable files of encoded captions and writes the others.
#[derive(Debug)]
pub(crate) struct TextFiles {
    shape: TextShape,
    /// Everything that the outputs depend on besides the caption.
    model: String,
    files: CacheFiles,
    done: usize,
}

impl TextFiles {
    pub(super) fn new(
        plan: TextFilesPlan,
        settings: &RunSettings,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        Ok(Self {
            shape: plan.shape,
            model: model_key(settings, checkpoint)?,
            files: CacheFiles::new(CacheContent::TextEncoderOutputs),
            done: 0,
        })
    }

    pub(super) fn shape(&self) -> TextShape {
        self.shape
    }

    /// The number of images whose caption is done.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Looks for the outputs for the caption of an image.
    pub(super) fn find(&mut self, dataset: &Dataset, item: &Item) -> Result<Lookup> {
        let path = text_path(&item.path);
        let key = self.key(&fixed_caption(dataset, item));
        let origin = Origin {
            slot: SLOT,
            source: None,
            key: &key,
        };
        let reason = match self.files.records(&item.path)?.check(&path, &origin)? {
            Validity::Valid => return Ok(Lookup::Usable(path)),
            Validity::Missing => return Ok(Lookup::Missing),
            Validity::Stale(reason) => reason.to_string(),
            Validity::Unknown => match is_usable_external(dataset, item, &path, self.shape) {
                Ok(true) => {
                    self.files.count_external();
                    return Ok(Lookup::Usable(path));
                }
                Ok(false) => "it is older than its caption, or the caption has additions".into(),
                Err(error) if error.is_bad_cache() => error.to_string(),
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Lookup::Stale { path, reason })
    }

    /// Counts a file that is computed again. The first few give a warning each.
    pub(super) fn count_stale(&mut self, path: PathBuf, reason: String) -> Option<Warning> {
        self.files.count_stale(path, reason)
    }

    /// Uses the file that is there for the next image.
    pub(super) fn use_file(&mut self) {
        self.done += 1;
    }

    /// Writes the outputs for the caption of the next image.
    pub(super) fn write(
        &mut self,
        item: &Item,
        caption: &str,
        encoded: TextEmbeddings,
    ) -> Result<()> {
        let key = self.key(caption);
        let origin = Origin {
            slot: SLOT,
            source: None,
            key: &key,
        };
        let text = cached_text(self.shape, encoded);
        let path = text_path(&item.path);
        self.files.write(
            &item.path,
            &path,
            &origin,
            None,
            RetainedEntries::default(),
            |file| text.write(file, FloatFormat::F32),
        )?;
        self.done += 1;
        Ok(())
    }

    /// Warnings about all files.
    pub(super) fn summary(&self) -> Vec<Warning> {
        self.files.summary()
    }

    fn key(&self, caption: &str) -> String {
        format!("{}; {caption}", self.model)
    }
}

/// Everything that encoded captions depend on besides their text.
fn model_key(settings: &RunSettings, checkpoint: &Checkpoint) -> Result<String> {
    let mut model = format!("text encoders {} f32", checkpoint.text_encoders_digest()?);
    for (file, multiplier) in &settings.base.merged {
        model += &format!("; with {} at {multiplier}", crate::hash::sha256(file)?);
    }
    let weights = if settings.text.weighted {
        "with weights"
    } else {
        "as text"
    };
    Ok(format!(
        "{model}; {} tokens, {weights}; compat {}",
        settings.text.max_token_length, settings.compat
    ))
}

fn cached_text(shape: TextShape, encoded: TextEmbeddings) -> CachedText {
    let TextEmbeddings {
        encoder_hidden_states: all,
        pooled,
    } = encoded;
    let TextShape {
        tokens,
        width1,
        width2,
        ..
    } = shape;
    let states = |first: usize, width: usize| {
        values(all.clone().slice([0..1, 0..tokens, first..first + width]))
    };
    CachedText {
        shape,
        hidden_state1: states(0, width1),
        hidden_state2: states(width1, width2),
        pool2: pooled.map(values).unwrap_or_default(),
    }
}

/// Captions from files, as the UNet takes them.
pub(crate) fn encoded_from_files(texts: Vec<CachedText>, device: &Device) -> TextEmbeddings {
    let encoded = texts.into_iter().map(|text| {
        let TextShape {
            tokens,
            width1,
            width2,
            projection,
        } = text.shape;
        let states = |values: Vec<f32>, width| {
            Tensor::<3>::from_data(TensorData::new(values, [1, tokens, width]), device)
        };
        let states = vec![
            states(text.hidden_state1, width1),
            states(text.hidden_state2, width2),
        ];
        let pooled = TensorData::new(text.pool2, [1, projection]);
        TextEmbeddings {
            encoder_hidden_states: Tensor::cat(states, 2),
            pooled: Some(Tensor::from_data(pooled, device)),
        }
    });
    TextEmbeddings::cat(encoded.collect())
}

/// True if a file of another program can be used: sd-scripts encodes captions as their files have
/// them.
fn is_usable_external(
    dataset: &Dataset,
    item: &Item,
    path: &Path,
    shape: TextShape,
) -> lora_data::Result<bool> {
    CachedText::read(path, shape)?;
    if fixed_caption(dataset, item) != item.caption {
        return Ok(false);
    }
    let extension = &dataset.subset_of(item).config.caption_extension;
    match lora_data::caption::find_file(&item.path, extension) {
        Some(caption) if item.caption_source == CaptionSource::File => {
            is_newer_than(path, &caption)
        }
        _ => is_newer_than(path, &item.path),
    }
}
