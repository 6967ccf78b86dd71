//! TensorBoard's curves and images of a run.

use std::path::PathBuf;

use jiff::Timestamp;
#[cfg(feature = "tensorboard")]
use jiff::tz::TimeZone;

use crate::error::Result;
use crate::settings::OutputSettings;
use crate::train::event::Event;

/// Logs the events of a run.
#[derive(Debug)]
pub(crate) struct Logs {
    /// The folder of the run's events, if it has one.
    folder: Option<PathBuf>,
    /// Created with the first event.
    #[cfg(feature = "tensorboard")]
    writer: Option<crate::tensorboard::EventWriter>,
}

#[cfg(feature = "tensorboard")]
impl Logs {
    pub(super) fn new(settings: &OutputSettings, started_at: Timestamp) -> Self {
        let started_at = started_at.to_zoned_datetime(TimeZone::system()).datetime();
        Self {
            folder: settings
                .logs
                .as_ref()
                .map(|logs| crate::tensorboard::run_folder(&logs.dir, &logs.prefix, started_at)),
            writer: None,
        }
    }

    /// Logs an event.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub(crate) fn log(&mut self, event: &Event) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => crate::tensorboard::EventWriter::create(folder)?,
        };
        write_event(self.writer.insert(writer), event)
    }
}

/// A build without TensorBoard writes no logs.
#[cfg(not(feature = "tensorboard"))]
impl Logs {
    pub(super) fn new(_settings: &OutputSettings, _started_at: Timestamp) -> Self {
        Self { folder: None }
    }

    #[expect(clippy::unused_self, reason = "the counterpart with logs needs it")]
    pub(crate) fn log(&mut self, _event: &Event) -> Result<()> {
        Ok(())
    }
}

impl Logs {
    /// The folder of the run's events.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.folder.clone()
    }
}

/// Adds curves of loss, learning rates and gradient norm, and previews, under sd-scripts' names.
#[cfg(feature = "tensorboard")]
fn write_event(writer: &mut crate::tensorboard::EventWriter, event: &Event) -> Result<()> {
    use crate::error::Error;
    use crate::train::event::GroupRate;

    match event {
        Event::Step(step) => {
            writer.scalar("loss/current", step.loss, step.step)?;
            writer.scalar("loss/average", step.average_loss, step.step)?;
            writer.scalar("norm/grad_norm", step.grad_norm, step.step)?;
            for GroupRate { group, lr } in &step.learning_rates {
                writer.scalar(&format!("lr/{group}"), *lr as f32, step.step)?;
                if let Some(d) = step.d {
                    writer.scalar(&format!("lr/d*lr/{group}"), (d * lr) as f32, step.step)?;
                }
            }
            if let Some(norms) = step.weight_norms {
                writer.scalar("max_norm/keys_scaled", norms.keys_scaled as f32, step.step)?;
                writer.scalar("max_norm/average_key_norm", norms.mean as f32, step.step)?;
                writer.scalar("max_norm/max_key_norm", norms.max as f32, step.step)?;
            }
            Ok(())
        }
        Event::Epoch(end) => {
            writer.scalar("loss/epoch_average", end.average_loss, end.epoch)?;
            match end.validation_loss {
                Some(loss) => writer.scalar("loss/validation/epoch_average", loss, end.epoch),
                None => Ok(()),
            }
        }
        Event::Preview(preview) => {
            let png = std::fs::read(&preview.path).map_err(Error::io(&preview.path, "read"))?;
            let size = preview.image.dimensions();
            writer.image(
                &format!("sample_{}", preview.index),
                &png,
                size,
                preview.step,
            )
        }
        _ => Ok(()),
    }
}
