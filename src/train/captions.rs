//! What the text encoders make of captions, made once for all epochs where captions stay the same:
//! in memory or in files beside the images.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::rng::{Purpose, Stream};
use lora_data::cache::{
    CachedText, FloatFormat, Origin, RetainedEntries, TextShape, Validity, is_newer_than, text_path,
};
use lora_data::{CaptionContext, CaptionOptions, CaptionSource, Dataset, Item};
use lora_models::text::{Encoded, multiply_weights};
use lora_models::{Layers, TextEncoders};

use super::cache_files::{CacheFiles, Found, Wanted, refuse_shared, values};
use super::host_batch::{CaptionReader, TextPlace, Tokens};
use crate::config::TrainConfig;
use crate::error::Result;

/// Captions are kept in memory, where nobody asks, as long as they take no more than this.
const MAX_BYTES: usize = 1_000_000_000;

/// What tells encoded captions from what else there could be in their files.
const SLOT: &str = "text";

/// The encoded captions of the data set.
#[derive(Debug)]
pub(super) enum TextCache {
    Memory(InMemory),
    Disk(Box<OnDisk>),
    /// None: captions are encoded in each step.
    Off {
        /// Whether they could be encoded once, but would take too much memory.
        is_too_large: bool,
    },
}

/// Each different caption, encoded, on the device.
#[derive(Debug)]
pub(super) struct InMemory {
    /// Index of each item's caption.
    caption_of: Vec<usize>,
    captions: Vec<String>,
    encoded: Vec<Encoded>,
}

impl TextCache {
    /// Chooses what the configuration asks for, and what is possible where it does not say.
    ///
    /// # Errors
    /// [`Error::SharedCache`](crate::Error::SharedCache).
    pub(super) fn new(
        config: &TrainConfig,
        dataset: &Dataset,
        shape: &TextWidths,
        tokens: usize,
    ) -> Result<Self> {
        let mut subsets = dataset.subsets().iter();
        let fixed = subsets.all(|subset| subset.config.captions.is_fixed());
        if config.trains_text_encoder()
            || !fixed
            || config.cache_text_encoder_outputs == Some(false)
        {
            return Ok(Self::Off {
                is_too_large: false,
            });
        }
        if config.cache_text_encoder_outputs_to_disk {
            refuse_shared(dataset.items().iter().map(|item| Wanted {
                cache: text_path(&item.path),
                image: &item.path,
                slot: SLOT.into(),
                key: fixed_caption(dataset, item),
            }))?;
            return Ok(Self::Disk(Box::new(OnDisk::new(shape.on_disk(tokens)))));
        }
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut captions = Vec::new();
        let caption_of = dataset.items().iter().map(|item| {
            let caption = fixed_caption(dataset, item);
            *index.entry(caption).or_insert_with_key(|caption| {
                captions.push(caption.clone());
                captions.len() - 1
            })
        });
        let caption_of = caption_of.collect();
        let bytes = captions.len() * shape.bytes(tokens);
        if config.cache_text_encoder_outputs.is_none() && bytes > MAX_BYTES {
            return Ok(Self::Off { is_too_large: true });
        }
        Ok(Self::Memory(InMemory {
            caption_of,
            captions,
            encoded: Vec::new(),
        }))
    }

    /// How many are to be encoded: different captions in memory, one file an image on disk.
    pub(super) fn total(&self, dataset: &Dataset) -> usize {
        match self {
            Self::Memory(texts) => texts.captions.len(),
            Self::Disk(_) => dataset.items().len(),
            Self::Off { .. } => 0,
        }
    }

    /// How many are done.
    pub(super) fn done(&self) -> usize {
        match self {
            Self::Memory(texts) => texts.encoded.len(),
            Self::Disk(texts) => texts.done,
            Self::Off { .. } => 0,
        }
    }

    /// What is to be told of the choice.
    pub(super) fn warning(&self) -> Option<String> {
        matches!(self, Self::Off { is_too_large: true }).then(|| {
            "the encoded captions would take more than 1 GB, so they are encoded in each step; \
             `cache_text_encoder_outputs_to_disk` (SDXL) or `cache_text_encoder_outputs` makes \
             them once"
                .into()
        })
    }

    /// Whether the text encoders are needed in each step.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Off { .. })
    }

    /// Where batches find the captions.
    pub(super) fn place(&self) -> TextPlace {
        match self {
            Self::Memory(texts) => TextPlace::Memory(texts.caption_of.clone()),
            Self::Disk(texts) => TextPlace::Disk(texts.shape),
            Self::Off { .. } => TextPlace::Tokens,
        }
    }

    /// Captions in memory, by their indices.
    pub(super) fn of(&self, captions: &[usize]) -> Encoded {
        let Self::Memory(texts) = self else {
            unreachable!("the batch says where its captions are")
        };
        Encoded::cat(
            captions
                .iter()
                .map(|caption| texts.encoded[*caption].clone())
                .collect(),
        )
    }
}

impl InMemory {
    /// Encodes the next caption.
    pub(super) fn encode_next(
        &mut self,
        reader: &CaptionReader,
        encoders: &TextEncoders,
        clip_skip: usize,
    ) {
        let tokens = reader.read(&self.captions[self.encoded.len()]);
        self.encoded.push(encode(
            encoders,
            vec![tokens],
            clip_skip,
            &ForwardContext::base(),
        ));
    }
}

/// Encodes captions with their weights.
pub(super) fn encode(
    encoders: &TextEncoders,
    captions: Vec<Tokens>,
    clip_skip: usize,
    cx: &ForwardContext,
) -> Encoded {
    let (windows, weights): (Vec<_>, Vec<_>) = captions
        .into_iter()
        .map(|tokens| (tokens.windows, tokens.weights))
        .unzip();
    let Encoded { context, pooled } = encoders.encode(&windows, clip_skip, cx);
    let weights: Option<Vec<&[f32]>> = weights.iter().map(Option::as_deref).collect();
    match weights {
        Some(weights) => Encoded {
            context: multiply_weights(context, &weights),
            pooled,
        },
        None => Encoded { context, pooled },
    }
}

/// Channels of the text encoders' outputs.
#[derive(Debug, Clone)]
pub(super) struct TextWidths {
    states: Vec<usize>,
    pooled: Option<usize>,
}

impl TextWidths {
    pub(super) fn of(layers: &Layers) -> Self {
        Self {
            states: layers.text_widths.clone(),
            pooled: layers.pooled_width,
        }
    }

    /// Bytes of an encoded caption.
    pub(super) fn bytes(&self, tokens: usize) -> usize {
        size_of::<f32>() * (tokens * self.states.iter().sum::<usize>() + self.pooled.unwrap_or(0))
    }

    fn on_disk(&self, tokens: usize) -> TextShape {
        let width = |encoder: usize| self.states.get(encoder).copied().unwrap_or(0);
        TextShape {
            tokens,
            width1: width(0),
            width2: width(1),
            projection: self.pooled.unwrap_or(0),
        }
    }
}

/// The files of encoded captions beside the images.
#[derive(Debug)]
pub(super) struct OnDisk {
    shape: TextShape,
    /// Everything that the outputs depend on besides the caption.
    model: String,
    files: CacheFiles,
    done: usize,
}

impl OnDisk {
    fn new(shape: TextShape) -> Self {
        Self {
            shape,
            model: String::new(),
            files: CacheFiles::default(),
            done: 0,
        }
    }

    /// Says of which model the outputs must be, unless it is said.
    pub(super) fn set_model(&mut self, model: impl FnOnce() -> Result<String>) -> Result<()> {
        if self.model.is_empty() {
            self.model = model()?;
        }
        Ok(())
    }

    /// Looks for the outputs of the next image's caption.
    pub(super) fn find(&mut self, dataset: &Dataset) -> Result<Found> {
        let item = &dataset.items()[self.done];
        let path = text_path(&item.path);
        let caption = fixed_caption(dataset, item);
        let key = self.key(&caption);
        let origin = Origin {
            slot: SLOT,
            source: None,
            key: &key,
        };
        let reason = match self.files.records(&item.path)?.check(&path, &origin)? {
            Validity::Valid => return Ok(Found::Usable(path)),
            Validity::Missing => return Ok(Found::Nothing),
            Validity::Stale(reason) => reason.to_string(),
            Validity::Unknown => match foreign(dataset, item, &path, self.shape) {
                Ok(true) => {
                    self.files.use_foreign();
                    return Ok(Found::Usable(path));
                }
                Ok(false) => "it is older than its caption, or the caption has additions".into(),
                Err(error) if error.is_bad_cache() => error.to_string(),
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Found::Outdated(format!(
            "`{}` is made again: {reason}",
            path.display()
        )))
    }

    /// Takes the usable file of the next image.
    pub(super) fn take(&mut self) {
        self.done += 1;
    }

    /// Encodes the caption of the next image and writes what comes of it.
    pub(super) fn encode_next(
        &mut self,
        dataset: &Dataset,
        reader: &CaptionReader,
        encoders: &TextEncoders,
        clip_skip: usize,
    ) -> Result<()> {
        let item = &dataset.items()[self.done];
        let caption = fixed_caption(dataset, item);
        let encoded = encode(
            encoders,
            vec![reader.read(&caption)],
            clip_skip,
            &ForwardContext::base(),
        );
        let key = self.key(&caption);
        let origin = Origin {
            slot: SLOT,
            source: None,
            key: &key,
        };
        let text = self.to_file(&encoded);
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

    fn to_file(&self, encoded: &Encoded) -> CachedText {
        let TextShape {
            tokens,
            width1,
            width2,
            ..
        } = self.shape;
        let part = |first: usize, width: usize| {
            values(
                encoded
                    .context
                    .clone()
                    .slice([0..1, 0..tokens, first..first + width]),
            )
        };
        CachedText {
            shape: self.shape,
            hidden_state1: part(0, width1),
            hidden_state2: part(width1, width2),
            pool2: encoded.pooled.clone().map(values).unwrap_or_default(),
        }
    }

    pub(super) fn files(&mut self) -> &mut CacheFiles {
        &mut self.files
    }

    fn key(&self, caption: &str) -> String {
        format!("{}; {caption}", self.model)
    }
}

/// Captions from files, as the UNet takes them.
pub(super) fn from_files(texts: Vec<CachedText>, device: &Device) -> Encoded {
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
        Encoded {
            context: Tensor::cat(
                vec![
                    states(text.hidden_state1, width1),
                    states(text.hidden_state2, width2),
                ],
                2,
            ),
            pooled: Some(Tensor::from_data(
                TensorData::new(text.pool2, [1, projection]),
                device,
            )),
        }
    });
    Encoded::cat(encoded.collect())
}

/// The caption of an image with all its tags, whatever is left out at times.
pub(super) fn whole_caption(dataset: &Dataset, item: &Item) -> String {
    let options = CaptionOptions {
        shuffle_caption: false,
        caption_dropout_rate: 0.0,
        caption_dropout_every_n_epochs: 0,
        caption_tag_dropout_rate: 0.0,
        token_warmup_step: 0.0,
        ..dataset.subset_of(item).config.captions.clone()
    };
    let at = CaptionContext {
        epoch: 1,
        step: 0,
        total_steps: 1,
    };
    // Only wildcards are drawn: one choice is as good as another.
    options.process(
        &item.caption,
        &at,
        &mut Stream::new(0, Purpose::Caption, 0, 0),
    )
}

/// The caption of an image where captions stay the same.
pub(super) fn fixed_caption(dataset: &Dataset, item: &Item) -> String {
    let at = CaptionContext {
        epoch: 1,
        step: 0,
        total_steps: 1,
    };
    // Nothing is drawn.
    let mut stream = Stream::new(0, Purpose::Caption, 0, 0);
    dataset.caption(item, &at, &mut stream)
}

/// Whether a file of another program can be used: sd-scripts encodes captions as they stand in
/// their files.
fn foreign(
    dataset: &Dataset,
    item: &Item,
    path: &Path,
    shape: TextShape,
) -> lora_data::Result<bool> {
    CachedText::read(path, shape)?;
    if fixed_caption(dataset, item) != item.caption {
        return Ok(false);
    }
    match lora_data::caption::find_file(
        &item.path,
        &dataset.subset_of(item).config.caption_extension,
    ) {
        Some(caption) if item.caption_source == CaptionSource::File => {
            is_newer_than(path, &caption)
        }
        _ => is_newer_than(path, &item.path),
    }
}
