//! The preview images of a run.

use std::path::PathBuf;

use image::RgbImage;
use jiff::ZonedDateTime;

use crate::contact_sheet::{contact_sheet, write_png};
use crate::error::{Error, Result};
use crate::prompt::{self, PreviewTime, Prompt};
use crate::settings::OutputSettings;
use crate::train::event::Preview;

/// Writes previews, and a sheet with those before and after training.
#[derive(Debug)]
pub(crate) struct Previews {
    dir: PathBuf,
    name: String,
    prompts: Vec<Prompt>,
    first: PreviewRow,
    last: PreviewRow,
}

/// The previews after an update, one per prompt.
#[derive(Debug, Default)]
struct PreviewRow {
    step: u64,
    images: Vec<RgbImage>,
}

/// A preview before it is written.
#[derive(Debug)]
pub(crate) struct NewPreview {
    /// The prompt's number, counted from 0.
    pub(crate) index: usize,
    pub(crate) at: PreviewTime,
    /// Updates so far.
    pub(crate) step: u64,
    pub(crate) prompt: Prompt,
    pub(crate) seed: u64,
    pub(crate) image: RgbImage,
}

impl Previews {
    pub(super) fn new(settings: &OutputSettings, prompts: Vec<Prompt>) -> Self {
        Self {
            dir: settings.dir.join("sample"),
            name: settings.name.clone(),
            prompts,
            first: PreviewRow::default(),
            last: PreviewRow::default(),
        }
    }

    /// The prompt of this number, counted from 0.
    pub(crate) fn prompt(&self, index: usize) -> Option<&Prompt> {
        self.prompts.get(index)
    }

    /// Writes a preview.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Image`].
    pub(crate) fn write(&mut self, new: NewPreview) -> Result<Preview> {
        let NewPreview {
            index,
            at,
            step,
            prompt,
            seed,
            image,
        } = new;
        let now = ZonedDateTime::now().datetime();
        let path = self
            .dir
            .join(prompt::file_name(&self.name, at, index, now, prompt.seed));
        std::fs::create_dir_all(&self.dir).map_err(Error::io(&self.dir, "create the folder"))?;
        write_png(&path, &image)?;
        let row = if step == 0 {
            &mut self.first
        } else {
            &mut self.last
        };
        if index == 0 {
            *row = PreviewRow {
                step,
                images: Vec::new(),
            };
        }
        row.images.push(image.clone());
        Ok(Preview {
            path,
            at,
            step,
            index,
            prompt,
            seed,
            image,
        })
    }

    /// Writes the previews from before training above those after `steps` updates, its last, if
    /// there are both.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Image`].
    pub(crate) fn write_contact_sheet(&self, steps: u64) -> Result<Option<PathBuf>> {
        let (first, last) = (&self.first, &self.last);
        if first.images.is_empty() || last.images.is_empty() || last.step != steps {
            return Ok(None);
        }
        let path = self.dir.join(format!("{}_before_after.png", self.name));
        let sheet = contact_sheet(&[first.images.clone(), last.images.clone()]);
        write_png(&path, &sheet)?;
        Ok(Some(path))
    }
}
