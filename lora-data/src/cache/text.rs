//! Cache files of SDXL's text encoder outputs.

use std::io::{self, Seek, Write};
use std::path::Path;

use super::npz::{Npz, NpzWriter};
use crate::error::Result;

const HIDDEN_STATE1: &str = "hidden_state1";
const HIDDEN_STATE2: &str = "hidden_state2";
const POOL2: &str = "pool2";

/// The sizes of the outputs of SDXL's text encoders for one caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextShape {
    /// Number of tokens, including start and end: 77, 152 or 227.
    pub tokens: usize,
    /// Width of the first text encoder; 768.
    pub width1: usize,
    /// Width of the second text encoder; 1280.
    pub width2: usize,
    /// Width of the second text encoder's projection; 1280.
    pub projection: usize,
}

/// The storage format of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatFormat {
    /// 32 bits, also for bfloat16 values, since NumPy has no bfloat16.
    #[default]
    F32,
    /// 16 bits. An array with a number beyond ±65504 is still stored in 32 bits.
    F16,
}

/// The outputs of SDXL's text encoders for one caption.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedText {
    /// The sizes.
    pub shape: TextShape,
    /// The first text encoder's hidden states. `[tokens, width1]`
    pub hidden_state1: Vec<f32>,
    /// The second text encoder's hidden states. `[tokens, width2]`
    pub hidden_state2: Vec<f32>,
    /// The second text encoder's pooled and projected output. `[projection]`
    pub pool2: Vec<f32>,
}

impl CachedText {
    /// Reads a file whose arrays have these sizes.
    ///
    /// # Errors
    /// Those of [`CachedLatents::read`](super::CachedLatents::read).
    pub fn read(path: &Path, shape: TextShape) -> Result<Self> {
        let mut npz = Npz::open(path)?;
        let tokens = shape.tokens as u64;
        Ok(Self {
            shape,
            hidden_state1: npz.floats(HIDDEN_STATE1, &[tokens, shape.width1 as u64])?,
            hidden_state2: npz.floats(HIDDEN_STATE2, &[tokens, shape.width2 as u64])?,
            pool2: npz.floats(POOL2, &[shape.projection as u64])?,
        })
    }

    /// Writes a file under the names that sd-scripts reads.
    ///
    /// # Errors
    /// The errors of `out`, and [`io::ErrorKind::InvalidInput`] if lengths and sizes do not match.
    pub fn write(&self, out: impl Write + Seek, format: FloatFormat) -> io::Result<()> {
        let TextShape {
            tokens,
            width1,
            width2,
            projection,
        } = self.shape;
        let mut npz = NpzWriter::new(out);
        for (key, shape, values) in [
            (HIDDEN_STATE1, &[tokens, width1][..], &self.hidden_state1),
            (HIDDEN_STATE2, &[tokens, width2], &self.hidden_state2),
            (POOL2, &[projection], &self.pool2),
        ] {
            let fits = values
                .iter()
                .all(|value| half::f16::from_f32(*value).is_finite());
            if format == FloatFormat::F16 && fits {
                npz.f16(key, shape, values)?;
            } else {
                npz.f32(key, shape, values)?;
            }
        }
        npz.finish()
    }
}

#[cfg(test)]
mod tests;
