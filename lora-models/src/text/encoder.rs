//! The text transformer of CLIP (Radford et al. 2021).

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::gradient_checkpointing::recompute_in_backward;
use lora_core::layers::LayerNorm;
use lora_core::ops::linear;

use super::layer::{EncoderLayer, LAYER_NORM_EPS};
use super::tokenizer::{END, Tokenizer, WINDOW, Window};
use crate::model_config::{HiddenAct, TextEncoderConfig};
use crate::weights::Weights;

/// A CLIP text encoder.
#[derive(Debug)]
pub struct TextEncoder {
    /// `[vocabulary, d]`
    token_embedding: Tensor<2>,
    /// `[77, d]`
    position_embedding: Tensor<2>,
    /// Each is a segment of recomputation.
    layers: Vec<Arc<EncoderLayer>>,
    final_layer_norm: LayerNorm,
    /// Of the pooled state, where there is one. `[d', d]`
    text_projection: Option<Tensor<2>>,
}

impl TextEncoder {
    /// Builds the network from its tensors. Layer count and width are read from their shapes; by
    /// default a head has 64 channels and the activation is the given one.
    #[must_use]
    pub fn new(weights: &Weights, config: &TextEncoderConfig, hidden_act: HiddenAct) -> Self {
        let text_projection = projection(weights);
        let weights = weights.at("text_model");
        let vocabulary = match weights.width(&[("embeddings.token_embedding.weight", 0)]) {
            0 => Tokenizer::VOCABULARY,
            vocabulary => vocabulary,
        };
        let width = weights.width(&[
            ("embeddings.token_embedding.weight", 1),
            ("embeddings.position_embedding.weight", 1),
            ("final_layer_norm.weight", 0),
            ("final_layer_norm.bias", 0),
        ]);
        let heads = config
            .num_attention_heads
            .unwrap_or_else(|| (width / 64).max(1));
        if heads == 0 || !width.is_multiple_of(heads) {
            weights.problem(format!(
                "the text encoder's width {width} does not divide into {heads} heads"
            ));
        }
        let hidden_act = config.hidden_act.unwrap_or(hidden_act);
        let count = match weights.count("encoder.layers") {
            0 => {
                weights.problem("the text encoder has no layers".into());
                0
            }
            // A known width has a known depth; asking for all layers then names those that are
            // missing.
            count => count.max(usual_depth(width)),
        };
        let layer = |index| {
            let weights = weights.at("encoder.layers").at(index);
            Arc::new(EncoderLayer::new(&weights, width, heads, hidden_act))
        };
        Self {
            token_embedding: weights
                .tensor("embeddings.token_embedding.weight", [vocabulary, width]),
            position_embedding: weights
                .tensor("embeddings.position_embedding.weight", [WINDOW, width]),
            layers: (0..count).map(layer).collect(),
            final_layer_norm: weights.layer_norm("final_layer_norm", width, LAYER_NORM_EPS),
            text_projection,
        }
    }

    /// Number of tokens that it knows.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.token_embedding.dims()[0]
    }

    /// Channels of a state.
    #[must_use]
    pub fn width(&self) -> usize {
        self.token_embedding.dims()[1]
    }

    /// Channels of the projected pooled state, if there is a projection.
    #[must_use]
    pub fn projection_width(&self) -> Option<usize> {
        self.text_projection.as_ref().map(|weight| weight.dims()[0])
    }

    /// Number of layers.
    #[must_use]
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// The state after that many layers; 0 is the embeddings'.
    ///
    /// # Shapes
    /// - result: `[windows, 77, d]`
    ///
    /// # Panics
    /// If there are fewer layers, or for a token id that is not in the vocabulary.
    #[must_use]
    pub fn hidden_state(
        &self,
        windows: &[Window],
        layers: usize,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        self.through(self.embedded(windows), 0..layers, cx)
    }

    /// Token and position embeddings. `[windows, 77, d]`
    fn embedded(&self, windows: &[Window]) -> Tensor<3> {
        let device = self.token_embedding.device();
        let [_, width] = self.token_embedding.dims();
        let ids = ids(windows, &device);
        let tokens =
            self.token_embedding
                .clone()
                .select(0, ids)
                .reshape([windows.len(), WINDOW, width]);
        tokens + self.position_embedding.clone().unsqueeze()
    }

    fn through(&self, state: Tensor<3>, layers: Range<usize>, cx: &ForwardContext) -> Tensor<3> {
        self.layers[layers].iter().fold(state, |state, layer| {
            let layer = Arc::clone(layer);
            recompute_in_backward([state], cx, move |[state], cx| layer.forward(state, cx))
        })
    }

    /// The state before the last layer, without the final norm; and, where there is a projection,
    /// the normed last state at each window's first end token, projected.
    ///
    /// # Shapes
    /// - states: `[windows, 77, d]`
    /// - pooled: `[windows, d']`
    #[must_use]
    pub fn penultimate(
        &self,
        windows: &[Window],
        cx: &ForwardContext,
    ) -> (Tensor<3>, Option<Tensor<2>>) {
        let last = self.layers.len().saturating_sub(1);
        let states = self.through(self.embedded(windows), 0..last, cx);
        let pooled = self.text_projection.as_ref().map(|weight| {
            let states = self.final_layer_norm.forward(self.through(
                states.clone(),
                last..self.layers.len(),
                cx,
            ));
            let [_, _, d] = states.dims();
            let rows = windows.iter().enumerate().map(|(index, window)| {
                let end = window
                    .iter()
                    .position(|id| *id == END)
                    .unwrap_or(WINDOW - 1);
                states
                    .clone()
                    .slice([index..index + 1, end..end + 1, 0..d])
                    .reshape([1, d])
            });
            linear(Tensor::cat(rows.collect(), 0), weight, None)
        });
        (states, pooled)
    }

    /// The last state but `clip_skip` - 1, through the final norm; `clip_skip` 1 is the network's
    /// output, the number of layers + 1 gives the embeddings.
    ///
    /// # Shapes
    /// - result: `[windows, 77, d]`
    ///
    /// # Panics
    /// If `clip_skip` is 0 or larger than the number of layers + 1.
    #[must_use]
    pub fn forward(&self, windows: &[Window], clip_skip: usize, cx: &ForwardContext) -> Tensor<3> {
        let layers = self.layers.len() + 1 - clip_skip;
        self.final_layer_norm
            .forward(self.hidden_state(windows, layers, cx))
    }

    /// The context of captions of the same number of windows: the first state, the 75 inner ones of
    /// each window, the last state.
    ///
    /// # Shapes
    /// - result: `[captions, 75 windows + 2, d]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward); if there are no captions or their numbers of windows differ.
    #[must_use]
    pub fn context(
        &self,
        captions: &[Vec<Window>],
        clip_skip: usize,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        let windows: Vec<Window> = captions.iter().flatten().copied().collect();
        join_windows(self.forward(&windows, clip_skip, cx), captions)
    }
}

/// The states of captions from those of their windows: the first state, the 75 inner ones of each
/// window, the last state.
///
/// # Shapes
/// - states: `[captions · windows, 77, d]`
/// - result: `[captions, 75 windows + 2, d]`
pub(super) fn join_windows(states: Tensor<3>, captions: &[Vec<Window>]) -> Tensor<3> {
    let count = captions[0].len();
    assert!(
        captions.iter().all(|windows| windows.len() == count),
        "captions of one number of windows"
    );
    if count == 1 {
        return states;
    }
    let [_, _, d] = states.dims();
    let b = captions.len();
    let states = states.reshape([b, count, WINDOW, d]);
    let part = |window: usize, from: usize, to: usize| {
        states
            .clone()
            .slice([0..b, window..window + 1, from..to, 0..d])
            .reshape([b, to - from, d])
    };
    let mut parts = vec![part(0, 0, 1)];
    parts.extend((0..count).map(|window| part(window, 1, WINDOW - 1)));
    parts.push(part(count - 1, WINDOW - 1, WINDOW));
    Tensor::cat(parts, 1)
}

/// The layers of the encoders of real models: CLIP-L, OpenCLIP-H but its last, OpenCLIP bigG.
fn usual_depth(width: usize) -> usize {
    match width {
        768 => 12,
        1024 => 23,
        1280 => 32,
        _ => 0,
    }
}

fn projection(weights: &Weights) -> Option<Tensor<2>> {
    let [outputs, inputs] = weights.shape("text_projection.weight")?[..] else {
        return None;
    };
    Some(weights.tensor("text_projection.weight", [outputs, inputs]))
}

/// All ids in a row.
fn ids(windows: &[Window], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = windows.iter().flatten().map(|id| *id as i32).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), device)
}
