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
use crate::hidden_act::HiddenAct;
use crate::model_config::TextEncoderConfig;
use crate::weights::Weights;

/// A CLIP text encoder.
#[derive(Debug)]
pub struct TextEncoder {
    /// `[vocabulary, d]`
    token_embedding: Tensor<2>,
    /// `[77, d]`
    position_embedding: Tensor<2>,
    /// Each layer is one segment of gradient checkpointing.
    layers: Vec<Arc<EncoderLayer>>,
    final_layer_norm: LayerNorm,
    /// The projection of the pooled state, if there is one. `[d', d]`
    text_projection: Option<Tensor<2>>,
}

impl TextEncoder {
    /// Builds the network from its tensors. Layer count and width are read from their shapes. If
    /// the configuration does not set them, heads have 64 channels and the activation is
    /// `hidden_act`.
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
        let layers = (0..depth(&weights, width))
            .map(|index| {
                let weights = weights.at("encoder.layers").at(index);
                Arc::new(EncoderLayer::new(&weights, width, heads, hidden_act))
            })
            .collect();
        Self {
            token_embedding: weights
                .tensor("embeddings.token_embedding.weight", [vocabulary, width]),
            position_embedding: weights
                .tensor("embeddings.position_embedding.weight", [WINDOW, width]),
            layers,
            final_layer_norm: weights.layer_norm("final_layer_norm", width, LAYER_NORM_EPS),
            text_projection,
        }
    }

    /// Number of tokens in the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.token_embedding.dims()[0]
    }

    /// Channels of the states.
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

    /// The hidden state after `layers` layers; after 0 layers it is the embeddings.
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

    /// Token embeddings plus position embeddings. `[windows, 77, d]`
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

    /// The state after these layers.
    fn through(&self, state: Tensor<3>, layers: Range<usize>, cx: &ForwardContext) -> Tensor<3> {
        self.layers[layers].iter().fold(state, |state, layer| {
            let layer = Arc::clone(layer);
            recompute_in_backward([state], cx, move |[state], cx| layer.forward(state, cx))
        })
    }

    /// The hidden state before the last layer, without the final norm. If there is a projection,
    /// also the pooled state: the last state after the final norm, at each window's first end
    /// token, projected.
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
            linear(first_end_states(&states, windows), weight, None)
        });
        (states, pooled)
    }

    /// The hidden state `clip_skip` - 1 layers before the last, after the final norm. With
    /// `clip_skip` 1 it is the network's output, with the number of layers + 1 the embeddings.
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

    /// The encoder hidden states of captions with the same number of windows: the first state, the
    /// 75 inner states of each window, the last state.
    ///
    /// # Shapes
    /// - result: `[captions, 75 windows + 2, d]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward); if there are no captions or their numbers of windows differ.
    #[must_use]
    pub fn encoder_hidden_states(
        &self,
        captions: &[Vec<Window>],
        clip_skip: usize,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        let windows: Vec<Window> = captions.iter().flatten().copied().collect();
        join_windows(self.forward(&windows, clip_skip, cx), captions)
    }
}

/// The states of captions from those of their windows: the first state, the 75 inner states of each
/// window, the last state.
///
/// # Shapes
/// - states: `[captions · windows, 77, d]`
/// - result: `[captions, 75 windows + 2, d]`
pub(super) fn join_windows(states: Tensor<3>, captions: &[Vec<Window>]) -> Tensor<3> {
    let count = captions[0].len();
    assert!(
        captions.iter().all(|windows| windows.len() == count),
        "captions with the same number of windows"
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

/// The state at each window's first end token. `[windows, d]`
fn first_end_states(states: &Tensor<3>, windows: &[Window]) -> Tensor<2> {
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
    Tensor::cat(rows.collect(), 0)
}

/// The number of layers. An encoder of a known width has at least its usual number, so that missing
/// layers at the end are reported.
fn depth(weights: &Weights, width: usize) -> usize {
    let count = weights.count("encoder.layers");
    if count == 0 {
        weights.problem("the text encoder has no layers".into());
        return 0;
    }
    count.max(usual_depth(width))
}

/// The number of layers of the text encoders of Stable Diffusion by their width: CLIP-L, OpenCLIP-H
/// without its last layer, OpenCLIP bigG.
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

/// The ids of all windows in one tensor. `[77 windows]`
fn ids(windows: &[Window], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = windows.iter().flatten().map(|id| *id as i32).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), device)
}
