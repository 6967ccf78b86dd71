//! Model-agnostic building blocks for LoRA training.
//!
//! ```text
//!            ┌─ frozen: W x + b ───────────────┐
//! input x ───┤                                 +──▶ output ──▶ loss ──▶ backward
//!            └─ adapter: alpha/rank up(down x) ┘                           │
//!                         ▲                                                ▼
//!                    AdapterSet ◀── optimizer ◀── clipping ◀── GradientSink
//! ```
//!
//! A module uses only modules below it:
//!
//! ```text
//! layers   gradient_checkpointing
//!       └──────┬─────┘
//!           forward     optim
//!              └────┬─────┘
//!                adapter      diffusion
//!                   │             │
//!                network         rng
//!                   │
//!                  ops
//!                   │
//!                memory
//! ```
//!
//! - [`layers`]: the frozen layers of a base model. Each knows its network and its path there;
//!   [`ForwardContext`] brings the adapters that a forward pass adds to them.
//! - [`gradient_checkpointing`]: parts of a network that the backward pass computes again.
//! - [`adapter`]: the adapters' parameters in a few stacked tensors, and their file format.
//! - [`optim`]: optimizers over the stacks, gradient clipping, learning-rate schedules.
//! - [`diffusion`]: noise schedule, objective and samplers.
//! - [`ops`]: the differentiable operations.
//! - [`rng`]: random numbers as a function of seed, step and purpose; also the adapters' initial
//!   values and dropout.
//! - [`memory`]: memory of the process.
//!
//! # Example
//!
//! One update of an adapter on a linear layer. `examples/own_linear.rs` trains one to the end.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use lora_core::ForwardContext;
//! use lora_core::adapter::{AdapterSet, AdapterSpec};
//! use lora_core::layers::{LayerPath, Linear, Network};
//! use lora_core::ops::GradientSink;
//! use lora_core::optim::{AdamWConfig, Optimizer, OptimizerConfig, global_norm};
//!
//! let device = Device::flex();
//! let path = LayerPath::new(Network::Unet, "proj_in");
//! let layer = Linear::new(path, Tensor::ones([3, 2], &device), None);
//! let spec = AdapterSpec {
//!     layer: layer.spec(),
//!     rank: 1,
//!     alpha: 1.0,
//!     name: "lora_unet_proj_in".into(),
//! };
//! let mut adapters = AdapterSet::new(&[spec], 0, &device)?;
//! let mut optimizer = Optimizer::new(OptimizerConfig::AdamW(AdamWConfig::default()));
//!
//! let x = Tensor::<2>::ones([4, 2], &device);
//! let before = layer.forward(x.clone(), &ForwardContext::base());
//!
//! let sink = GradientSink::default();
//! let cx = ForwardContext::base().with(adapters.bind_training(1.0, &sink));
//! let _ = layer.forward(x.clone(), &cx).mean().backward();
//! drop(cx);
//! let gradients = adapters.gradients(&sink);
//! let factor = global_norm(&gradients, 1.0).factor;
//! let rates: Vec<_> = adapters.stacks().iter().map(|stack| vec![1e-2; stack.count()]).collect();
//! optimizer.step(adapters.stacks_mut(), gradients, &factor, &rates);
//!
//! let cx = ForwardContext::base().with(adapters.bind(1.0));
//! let after = layer.forward(x, &cx);
//! assert!((after - before).max().into_scalar::<f32>() < 0.0); // the loss was the mean: it fell
//! # Ok::<(), lora_core::adapter::Error>(())
//! ```

pub mod adapter;
pub mod diffusion;
pub mod forward;
pub mod gradient_checkpointing;
pub mod layers;
pub mod memory;
mod named_enum;
mod network;
pub mod ops;
pub mod optim;
pub mod rng;

pub use forward::ForwardContext;
