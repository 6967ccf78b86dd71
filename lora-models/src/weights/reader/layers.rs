//! Layers from the tensors of a network.

use lora_core::layers::{Conv2d, GroupNorm, LayerNorm, LayerSpec, Linear};
use lora_core::ops::ConvShape;

use super::Weights;

impl Weights {
    /// A linear layer from `name.weight` and, with `bias`, `name.bias`.
    #[must_use]
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Linear {
        let at = self.at(name);
        let weight = at.tensor("weight", [outputs, inputs]);
        let bias = bias.then(|| at.tensor("bias", [outputs]));
        let layer = Linear::new(self.layer_path(name), weight, bias);
        self.record_layer(layer.spec());
        layer
    }

    /// A convolution with bias.
    #[must_use]
    pub fn conv2d(&self, name: &str, inputs: usize, outputs: usize, shape: ConvShape) -> Conv2d {
        let at = self.at(name);
        let weight = at.tensor("weight", [outputs, inputs, shape.kernel, shape.kernel]);
        let bias = Some(at.tensor("bias", [outputs]));
        let layer = Conv2d::new(self.layer_path(name), weight, bias, shape);
        self.record_layer(layer.spec());
        layer
    }

    /// A group norm. Records a problem if the channels do not divide into the groups.
    #[must_use]
    pub fn group_norm(&self, name: &str, channels: usize, groups: usize, eps: f64) -> GroupNorm {
        if groups == 0 || !channels.is_multiple_of(groups) {
            self.problem(format!(
                "`{}`: {channels} channels do not divide into {groups} groups",
                self.layer_path(name)
            ));
        }
        let at = self.at(name);
        GroupNorm::new(
            at.tensor("weight", [channels]),
            at.tensor("bias", [channels]),
            groups,
            eps,
        )
    }

    /// A layer norm.
    #[must_use]
    pub fn layer_norm(&self, name: &str, width: usize, eps: f64) -> LayerNorm {
        let at = self.at(name);
        LayerNorm::new(
            at.tensor("weight", [width]),
            at.tensor("bias", [width]),
            eps,
        )
    }

    fn record_layer(&self, spec: LayerSpec) {
        self.source.state.borrow_mut().layers.push(spec);
    }
}
