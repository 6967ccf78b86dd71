//! A training step over a UNet, composed of lora-core's parts, so that another program can use the
//! same noise.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, Factor, StackGradient};
use lora_core::diffusion::Objective;
use lora_core::ops::GradientSink;
use lora_core::optim::{AdamWConfig, Optimizer, OptimizerConfig, global_norm};
use lora_models::Family;
use lora_models::UNet2DConditionModel;
use lora_models::lora::{Naming, RankAlpha, Targets};
use lora_models::random::UnetShape;

use super::support::array::{Array, random, values, write};
use super::support::serve::Served;
use super::support::{Result, checkpoint};

const TIMESTEP: usize = 500;
const TOKENS: usize = 77;
/// Width of SDXL's pooled caption.
const POOLED: usize = 1280;
const SIZES: [f32; 6] = [256.0, 256.0, 0.0, 16.0, 256.0, 256.0];
const LR: f64 = 1e-4;

/// The settings that the shapes of the weights do not show.
#[derive(Debug, Clone)]
pub(super) struct Size {
    /// Attention heads of each level.
    pub(super) heads: Vec<usize>,
    /// Latent pixels per side.
    pub(super) side: usize,
}

/// A step with adapters on the transformers of a UNet.
pub(super) struct Step {
    name: &'static str,
    shape: UnetShape,
    size: Size,
    gradient_checkpointing: bool,
    /// The checkpoint, unless it is a file with only the UNet.
    family: Option<Family>,
    state: Option<State>,
}

struct State {
    unet: UNet2DConditionModel,
    adapters: AdapterSet,
    optimizer: Optimizer,
    inputs: Vec<Array>,
}

impl Step {
    pub(super) fn new(
        name: &'static str,
        shape: UnetShape,
        size: Size,
        gradient_checkpointing: bool,
        family: Option<Family>,
    ) -> Self {
        Self {
            name,
            shape,
            size,
            gradient_checkpointing,
            family,
            state: None,
        }
    }

    fn path(&self) -> Result<PathBuf> {
        match self.family {
            Some(family) => checkpoint::of_family(family),
            None => checkpoint::of_unet(&self.name.replace('/', "-"), &self.shape),
        }
    }

    fn rank(&self) -> usize {
        if self.family == Some(Family::Sdxl) {
            16
        } else {
            32
        }
    }

    fn load(&mut self) -> Result<&mut State> {
        let device = Device::flex();
        let (unet, layers) =
            super::open(&self.path()?, &self.size.heads)?.unet(&device, FloatDType::F32)?;
        let linear = RankAlpha {
            rank: self.rank(),
            alpha: self.rank() as f32,
        };
        let targets = Targets {
            linear,
            text_encoder: false,
            ..Targets::default()
        };
        let mut adapters = targets.adapter_set(&layers, Naming::Sd, 0, &device)?;
        // Fresh adapters have factors of zero, which hide the gradients of the others.
        for (index, stack) in adapters.stacks_mut().iter_mut().enumerate() {
            let shape = stack.values.dims();
            let scale = if stack.factor == Factor::Up {
                0.02
            } else {
                1.0 / (shape[2] as f64).sqrt()
            };
            stack.update(|_| random(shape, 100 + index as u64) * scale);
        }
        let side = self.size.side;
        let mut inputs = vec![
            Array::named("latents", random([1, 4, side, side], 1)),
            Array::named("noise", random([1, 4, side, side], 2)),
            Array::named(
                "context",
                random([1, TOKENS, self.shape.cross_attention_dim], 3),
            ),
            Array::named("factors", factors(&adapters)),
        ];
        if unet.added_cond_width().is_some() {
            inputs.push(Array::named("pooled", random([1, POOLED], 4)));
            inputs.push(Array::named(
                "sizes",
                Tensor::<2>::from_floats([SIZES], &device),
            ));
        }
        let optimizer = Optimizer::new(OptimizerConfig::AdamW(AdamWConfig::default()));
        Ok(self.state.insert(State {
            unet,
            adapters,
            optimizer,
            inputs,
        }))
    }

    /// The relative difference between the slope of the loss along its gradient, by finite
    /// differences, and the norm of the gradient.
    pub(super) fn gradient_difference(&mut self) -> Result<f64> {
        let gradient_checkpointing = self.gradient_checkpointing;
        let state = self.load()?;
        let (_, loss, gradients) = state.forward_and_backward(gradient_checkpointing);
        let norm = f64::from(global_norm(&gradients, 0.0).norm.into_scalar::<f32>());
        // Far enough for the loss to change in its third digit.
        let distance = 1e-3 * loss / norm;
        let mut at = |sign: f64| {
            let mut moved = state.adapters.clone();
            for (stack, gradient) in moved.stacks_mut().iter_mut().zip(&gradients) {
                stack.update(|values| values + gradient.values.clone() * (sign * distance / norm));
            }
            std::mem::swap(&mut state.adapters, &mut moved);
            let loss = state.loss();
            std::mem::swap(&mut state.adapters, &mut moved);
            loss
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * distance);
        let difference = (slope / norm - 1.0).abs();
        assert!(
            difference < 0.01,
            "{}: slope {slope:e}, norm of the gradient {norm:e}",
            self.name
        );
        Ok(difference)
    }
}

/// All factors in a row, in the order of the slots, down before up.
fn factors(adapters: &AdapterSet) -> Tensor<1> {
    flat(adapters, |stack| adapters.stacks()[stack].values.clone())
}

fn flat(adapters: &AdapterSet, of_stack: impl Fn(usize) -> Tensor<3>) -> Tensor<1> {
    let slots = adapters
        .slots()
        .iter()
        .flat_map(|slot| [Factor::Down, Factor::Up].map(|factor| slot.place(factor)));
    let parts = slots.map(|place| of_stack(place.stack).narrow(0, place.row, 1).reshape([-1]));
    Tensor::cat(parts.collect(), 0)
}

impl State {
    fn forward(&self, cx: &ForwardContext) -> (Tensor<4>, Tensor<1>) {
        let [latents, noise]: [Tensor<4>; 2] = [self.inputs[0].get(), self.inputs[1].get()];
        let objective = Objective::default();
        let noisy = objective.schedule.add_noise(&latents, &noise, &[TIMESTEP]);
        let target = objective.target(&latents, &noise, &[TIMESTEP]);
        let vector = self
            .unet
            .added_cond(self.inputs.get(4).map(Array::get), &[SIZES]);
        let context = self.inputs[2].get();
        let prediction =
            self.unet
                .forward(noisy, &[TIMESTEP as f32], &context, vector.as_ref(), cx);
        let loss = objective.loss(prediction.clone(), target, &[TIMESTEP]).mean;
        (prediction, loss)
    }

    fn loss(&self) -> f64 {
        let (_, loss) = self.forward(&ForwardContext::base().with(self.adapters.bind(1.0)));
        f64::from(loss.into_scalar::<f32>())
    }

    fn forward_and_backward(
        &self,
        gradient_checkpointing: bool,
    ) -> (Tensor<4>, f64, Vec<StackGradient>) {
        let sink = GradientSink::default();
        let cx = ForwardContext::base()
            .with(self.adapters.bind_training(1.0, &sink))
            .with_gradient_checkpointing(gradient_checkpointing);
        let (prediction, loss) = self.forward(&cx);
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        let _ = loss.backward();
        (prediction.inner(), value, self.adapters.gradients(&sink))
    }

    fn step(&mut self, gradient_checkpointing: bool) {
        let (_, loss, gradients) = self.forward_and_backward(gradient_checkpointing);
        assert!(loss.is_finite());
        let norm = global_norm(&gradients, 1.0);
        let rates: Vec<_> = self
            .adapters
            .stacks()
            .iter()
            .map(|stack| vec![LR; stack.count()])
            .collect();
        self.optimizer
            .step(self.adapters.stacks_mut(), gradients, &norm.factor, &rates);
    }
}

impl Served for Step {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare(&mut self, folder: &Path) -> Result<()> {
        let gradient_checkpointing = self.gradient_checkpointing;
        let state = self.load()?;
        write(&folder.join("inputs.safetensors"), &state.inputs)?;
        let (prediction, _, gradients) = state.forward_and_backward(gradient_checkpointing);
        let gradients = flat(&state.adapters, |stack| gradients[stack].values.clone());
        assert!(
            values(gradients.clone()).iter().any(|value| *value != 0.0),
            "no gradients"
        );
        let results = [
            Array::named("prediction", prediction),
            Array::named("gradients", gradients),
        ];
        write(&folder.join("results-ours.safetensors"), &results)?;
        let slots = state.adapters.slots().iter();
        let slots: Vec<_> = slots
            .map(|slot| {
                (
                    slot.layer.path.to_string(),
                    slot.layer.inputs,
                    slot.layer.outputs,
                )
            })
            .collect();
        let row = serde_json::json!({
            "slots": slots,
            "rank": self.rank(),
            "timestep": TIMESTEP,
            "lr": LR,
            "gradient_checkpointing": gradient_checkpointing,
            "checkpoint": self.path()?,
            "heads": self.size.heads,
            "channels": self.shape.channels,
            "depths": self.shape.depths,
            "resnets": self.shape.resnets,
            "context": self.shape.cross_attention_dim,
            "linear_projections": self.shape.use_linear_projection,
            "label": self.shape.added_cond_width,
        });
        Ok(std::fs::write(folder.join("row.json"), row.to_string())?)
    }

    fn run(&mut self) {
        let gradient_checkpointing = self.gradient_checkpointing;
        self.state
            .as_mut()
            .expect("loaded")
            .step(gradient_checkpointing);
    }

    fn release(&mut self) {
        self.state = None;
    }
}
