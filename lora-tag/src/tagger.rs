//! Taggers: models that give each tag that they know a probability.

mod catalog;
#[cfg(feature = "hub")]
pub(crate) mod hub;
mod input;
pub(crate) mod labels;
mod lookup;
mod model_files;
mod runtime;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use lora_data::{Alpha, Pixels, Size, decode_with_alpha};

pub use self::catalog::default_tagger;
use self::input::Layout;
use self::labels::Label;
pub use self::lookup::ModelPlaces;
use self::model_files::ModelFiles;
pub use self::runtime::Runtime;
use self::runtime::{Model, Shape};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::kind::TaggerKind;
use crate::options::{Style, TagOptions};
use crate::scores::{Score, Scores};

/// The side of the input if the file does not fix it: that of all common taggers.
const USUAL_SIDE: usize = 448;

/// How a tagger is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaggerOptions {
    /// The program that runs the model.
    pub runtime: Runtime,
    /// The number of threads; `None` takes one per processor.
    pub threads: Option<usize>,
}

/// A tagger that is ready to run.
#[derive(Debug)]
pub struct Tagger {
    model: Box<dyn Model>,
    path: PathBuf,
    kind: TaggerKind,
    labels: Vec<Label>,
    input: InputShape,
}

/// An image at the size of a tagger's input.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggerInput {
    /// The pixels, red, green, blue, `[side, side, 3]`.
    pub pixels: Pixels,
    /// The size of the image before it was resized.
    pub image_size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InputShape {
    layout: Layout,
    side: usize,
    batch: Option<usize>,
}

impl Tagger {
    /// Loads a tagger from its folder or its `.onnx` file. The tags are in `selected_tags.csv` or
    /// `tag_mapping.json` next to it; kind, size and layout are read from the files.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::ModelFiles`] for missing files, [`Error::Model`] for a model that
    /// is damaged, has unknown operators, or does not have the input of a tagger or as many outputs
    /// as there are tags, [`Error::Labels`] for an unreadable list of tags, [`Error::Runtime`].
    pub fn open(path: impl AsRef<Path>, options: &TaggerOptions) -> Result<Self> {
        let files = ModelFiles::find(path.as_ref())?;
        let threads = options
            .threads
            .or_else(|| available_parallelism().ok().map(Into::into))
            .unwrap_or(1);
        let invalid = |reason| Error::Model {
            path: files.model.clone(),
            reason,
        };
        let model = runtime::load(&files.model, &options.runtime, threads.max(1))?;
        let input = InputShape::new(model.input_shape().as_ref()).map_err(invalid)?;
        let expected = match input.layout {
            Layout::ChannelsLast => TaggerKind::Wd,
            Layout::ChannelsFirst => TaggerKind::Cl,
        };
        let by_layout = files.labels.iter().find(|(kind, _)| *kind == expected);
        let (kind, labels) = by_layout.unwrap_or(&files.labels[0]);
        let tagger = Self {
            labels: labels::read(labels)?,
            kind: *kind,
            input,
            model,
            path: files.model.clone(),
        };
        if let Some(outputs) = tagger
            .model
            .output_shape()
            .as_ref()
            .and_then(|s| s.last()?.as_ref())
        {
            tagger.check_outputs(*outputs, labels)?;
        }
        Ok(tagger)
    }

    /// The path of the model.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of tagger.
    #[must_use]
    pub fn kind(&self) -> TaggerKind {
        self.kind
    }

    /// The tags that it knows, with their categories, in the order of the model's outputs.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Category)> {
        let labels = self.labels.iter();
        labels.map(|label| (label.tag.as_str(), label.category))
    }

    /// The number of tags that it knows.
    #[must_use]
    pub fn tag_count(&self) -> usize {
        self.labels.len()
    }

    /// The width and height of its input in pixels.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.input.side as u32
    }

    /// The number of images per batch, if the file fixes it.
    #[must_use]
    pub fn fixed_batch(&self) -> Option<usize> {
        self.input.batch
    }

    /// Reads an image and resizes it to the size of the input, by the rules of the options' style.
    ///
    /// # Errors
    /// [`Error::Data`] if the image is unreadable.
    pub fn read(&self, image: &Path, options: &TagOptions) -> Result<TaggerInput> {
        read_input(image, self.side(), self.kind, options)
    }

    /// Resizes an image to the size of the input.
    #[must_use]
    pub fn input(&self, image: &Pixels, style: Style) -> TaggerInput {
        TaggerInput {
            pixels: input::square(image, self.side(), self.kind, style),
            image_size: image.size(),
        }
    }

    /// The probabilities of all tags for each of these images, which run as one batch. If the file
    /// fixes the batch to a larger number, it is filled up.
    ///
    /// # Errors
    /// [`Error::Model`] if the model fails on them or gives no probabilities.
    pub fn scores(&self, images: &[TaggerInput]) -> Result<Vec<Scores>> {
        let InputShape {
            layout,
            side,
            batch,
        } = self.input;
        let mut all = Vec::with_capacity(images.len());
        for images in images.chunks(batch.unwrap_or(images.len()).max(1)) {
            let count = batch.unwrap_or(images.len());
            let mut values = Vec::with_capacity(count * 3 * side * side);
            for image in images {
                input::append(&mut values, &image.pixels, layout, self.kind);
            }
            values.resize(count * 3 * side * side, 0.0);
            let shape = match layout {
                Layout::ChannelsLast => [count, side, side, 3],
                Layout::ChannelsFirst => [count, 3, side, side],
            };
            let (shape, values) = self
                .model
                .run(values, shape)
                .map_err(|reason| self.invalid(reason))?;
            let labels = self.labels.len();
            if shape.iter().product::<usize>() != count * labels {
                return Err(self.invalid(format!(
                    "its output has the shape {shape:?}; expected [{count}, {labels}], one number \
                     per tag"
                )));
            }
            for (image, outputs) in images.iter().zip(values.chunks_exact(labels)) {
                all.push(self.scored(image.image_size, outputs)?);
            }
        }
        Ok(all)
    }

    fn scored(&self, image_size: Size, outputs: &[f32]) -> Result<Scores> {
        let mut categories: BTreeMap<Category, Vec<Score>> = BTreeMap::new();
        for (label, output) in self.labels.iter().zip(outputs) {
            let probability = match self.kind {
                TaggerKind::Wd => *output,
                TaggerKind::Cl => sigmoid(*output),
            };
            // Rounding may leave the range by little.
            if !(-1e-3..=1.001).contains(&probability) {
                return Err(self.invalid(format!(
                    "its output for `{}` is {output}; expected a probability from 0 to 1",
                    label.tag
                )));
            }
            categories.entry(label.category).or_default().push(Score {
                tag: label.tag.clone(),
                probability: probability.clamp(0.0, 1.0),
            });
        }
        Ok(Scores {
            kind: self.kind,
            image_size,
            categories,
        })
    }

    fn check_outputs(&self, outputs: usize, labels: &Path) -> Result<()> {
        if outputs == self.labels.len() {
            return Ok(());
        }
        Err(self.invalid(format!(
            "it has {outputs} outputs, but `{}` has {} tags; they belong to different taggers",
            labels.display(),
            self.labels.len()
        )))
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Model {
            path: self.path.clone(),
            reason,
        }
    }
}

/// Reads an image and resizes it to the input of a tagger.
pub(crate) fn read_input(
    image: &Path,
    side: u32,
    kind: TaggerKind,
    options: &TagOptions,
) -> Result<TaggerInput> {
    let decoded = decode_with_alpha(
        image,
        &input::decode_options(options),
        Alpha::Background([255; 3]),
    )?;
    Ok(TaggerInput {
        pixels: input::square(&decoded.pixels, side, kind, options.style),
        image_size: decoded.pixels.size(),
    })
}

impl InputShape {
    fn new(shape: Option<&Shape>) -> Result<Self, String> {
        let expected = "expected [batch, side, side, 3] or [batch, 3, side, side]";
        let Some(shape) = shape else {
            return Err(format!("its input has no shape; {expected}"));
        };
        let (batch, layout, sides) = match shape[..] {
            [batch, height, width, Some(3)] => (batch, Layout::ChannelsLast, [height, width]),
            [batch, Some(3), height, width] => (batch, Layout::ChannelsFirst, [height, width]),
            _ => {
                return Err(format!(
                    "its input has the shape {}; {expected}",
                    shown(shape)
                ));
            }
        };
        match sides.map(|side| side.unwrap_or(USUAL_SIDE)) {
            [height, width] if height == width && height > 0 => Ok(Self {
                layout,
                side: height,
                batch: batch.filter(|batch| *batch > 0),
            }),
            _ => Err(format!(
                "its input has the shape {}; {expected}",
                shown(shape)
            )),
        }
    }
}

/// A shape for a message, with `?` for sizes that are not fixed.
fn shown(shape: &Shape) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or_else(|| "?".into(), |size| size.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

/// The probability of a logit, as SD-Trainer computes it: NaN counts as 0, and infinities as 1
/// and 0.
fn sigmoid(logit: f32) -> f32 {
    let logit = match logit {
        logit if logit.is_nan() => 0.0,
        f32::INFINITY => 1.0,
        f32::NEG_INFINITY => 0.0,
        logit => logit.clamp(-30.0, 30.0),
    };
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_inputs() {
        let input = |shape: &[Option<usize>]| InputShape::new(Some(&shape.to_vec()));
        let wd = input(&[None, Some(448), Some(448), Some(3)]).unwrap();
        assert_eq!(
            (wd.layout, wd.side, wd.batch),
            (Layout::ChannelsLast, 448, None)
        );
        let cl = input(&[Some(1), Some(3), None, None]).unwrap();
        assert_eq!(
            (cl.layout, cl.side, cl.batch),
            (Layout::ChannelsFirst, 448, Some(1))
        );
        for (shape, found) in [
            (&[None, Some(4)][..], "[?, 4]"),
            (&[None, Some(4), Some(5), Some(3)], "[?, 4, 5, 3]"),
            (&[None, Some(4), Some(4), Some(1)], "[?, 4, 4, 1]"),
        ] {
            let error = input(shape).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
        assert!(InputShape::new(None).is_err());
    }

    #[test]
    fn logits_that_are_not_finite() {
        assert_eq!(sigmoid(f32::NAN), 0.5);
        assert_eq!(sigmoid(f32::NEG_INFINITY), 0.5);
        assert!((sigmoid(f32::INFINITY) - 0.731_058_6).abs() < 1e-6);
        assert!(sigmoid(1e30) > 0.999_999);
    }
}
