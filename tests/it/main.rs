//! The promises of this project as tests, one module a promise.
#![allow(missing_docs)]

mod golden;
mod hashes;
mod lr_schedules;
mod metadata;
mod networks;
mod noise_loss;
mod optimizers;
mod prompt_weighting;
mod random_checkpoint;
mod sampling;
mod tiny;
mod tokenizer;
mod training_step;
