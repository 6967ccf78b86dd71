//! Trains a style on the bundled small base model. Run it from the root of the repository:
//!
//! ```text
//! cargo run --release --example train
//! ```

use lora_trainer::config::Resolution;
use lora_trainer::{Event, TrainConfig, Trainer};

fn main() -> Result<(), lora_trainer::Error> {
    let config = TrainConfig {
        resolution: Some(Resolution::square(128)),
        train_batch_size: 4,
        max_train_steps: Some(50),
        unet_lr: Some(1e-3),
        network_train_unet_only: true,
        ..TrainConfig::new("assets/tiny-base.safetensors", "assets/train")
    };
    for event in Trainer::new(config)? {
        match event? {
            Event::Step(step) => println!(
                "step {}/{}: loss {:.4}",
                step.step, step.total_steps, step.loss
            ),
            Event::Saved(saved) => println!("saved {}", saved.path.display()),
            _ => {}
        }
    }
    Ok(())
}
