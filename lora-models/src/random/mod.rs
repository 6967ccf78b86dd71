//! Checkpoints of real size with random weights, to try loading, memory and speed without a download.

mod layout;

use std::io::{self, Write};

use half::f16;
use lora_core::rng::{Purpose, Stream};
use rayon::prelude::*;
use safetensors::Dtype;

use self::layout::{Init, Planned};

/// Model families that a random checkpoint can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Stable Diffusion 1.5.
    Sd15,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 1] = [Self::Sd15];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd15 => "sd15",
        }
    }

    /// Keys, number formats and shapes of the family's single-file checkpoint, in the order of the file.
    #[must_use]
    pub fn layout(self) -> Vec<(String, Dtype, Vec<usize>)> {
        self.plan().into_iter().map(|planned| (planned.key, planned.dtype, planned.shape)).collect()
    }

    fn plan(self) -> Vec<Planned> {
        let mut plan = match self {
            Self::Sd15 => layout::sd15(),
        };
        // The safetensors library's order: wide formats first, then by name.
        plan.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.key.cmp(&b.key)));
        plan
    }
}

/// Writes a checkpoint with random f16 weights that keep activations of order one. The same seed gives the same file. The
/// tensors are made and written one after another.
///
/// # Errors
/// What `out` reports.
pub fn write_random_checkpoint(family: Family, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let plan = family.plan();
    out.write_all(&header(&plan)?)?;
    for (index, planned) in plan.iter().enumerate() {
        let count: usize = planned.shape.iter().product();
        match planned.init {
            Init::Positions => {
                for position in 0..count as i64 {
                    out.write_all(&position.to_le_bytes())?;
                }
            }
            Init::Constant(value) => out.write_all(&f16::from_f32(value).to_le_bytes().repeat(count))?,
            Init::Table(of) => {
                for step in 0..count {
                    out.write_all(&f16::from_f64(of(step)).to_le_bytes())?;
                }
            }
            Init::Uniform { std } => write_uniform(seed, index as u64, count, std, out)?,
        }
    }
    Ok(())
}

fn header(plan: &[Planned]) -> io::Result<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut start = 0;
    for Planned { key, dtype, shape, .. } in plan {
        let end = start + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        entries.insert(key.clone(), entry);
        start = end;
    }
    let mut json = serde_json::to_vec(&entries)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// Uniform numbers of this standard deviation, drawn chunk by chunk in parallel.
fn write_uniform(seed: u64, tensor: u64, count: usize, std: f32, out: &mut impl Write) -> io::Result<()> {
    const CHUNK: usize = 1 << 16;
    const CHUNKS_AT_ONCE: usize = 64;
    let bound = 3_f32.sqrt() * std;
    let chunks: Vec<usize> = (0..count.div_ceil(CHUNK)).collect();
    for group in chunks.chunks(CHUNKS_AT_ONCE) {
        let drawn: Vec<Vec<u8>> = group
            .par_iter()
            .map(|chunk| {
                let mut stream = Stream::new(seed, Purpose::RandomWeights, *chunk as u64, tensor);
                let size = CHUNK.min(count - chunk * CHUNK);
                (0..size).flat_map(|_| f16::from_f32((2.0 * stream.uniform() - 1.0) * bound).to_le_bytes()).collect()
            })
            .collect();
        drawn.iter().try_for_each(|bytes| out.write_all(bytes))?;
    }
    Ok(())
}
