//! The promises of this project as tests, one module per promise.
#![allow(missing_docs)]

mod bad_input;
mod bad_weights;
mod base;
mod caches;
mod check;
mod config;
mod consumers;
mod datasets;
mod documents;
mod external_crate;
mod families;
mod formats;
mod full_size;
mod generating;
mod golden;
mod gradient_checkpointing;
mod hashes;
mod in_memory_images;
mod lr_schedules;
mod metadata;
mod networks;
mod noise_loss;
mod optimizers;
mod options;
mod program;
mod prompt_weighting;
mod quickstart;
mod random_checkpoint;
mod sampling;
mod source_text;
mod stop;
mod tiny;
mod tokenizer;
mod training;
mod training_step;
