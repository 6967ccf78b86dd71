//! Python module of lora-trainer.
