//! Checkpoints of real size with random weights, for tests of loading, memory and speed without a
//! download.

mod plan;
mod text;
mod unet;
mod vae;

use std::io::{self, Write};

use half::{bf16, f16};
use lora_core::rng::{Purpose, Stream};
use rayon::prelude::*;
use safetensors::Dtype;

use self::plan::{Init, Plan, PlannedTensor};
pub use self::unet::UnetShape;
use crate::family::Family;

/// Keys, number formats and shapes of the family's single-file checkpoint, in the order of the
/// file.
#[must_use]
pub fn layout(family: Family) -> Vec<(String, Dtype, Vec<usize>)> {
    in_file_order(plan(family))
        .into_iter()
        .map(|planned| (planned.key, planned.dtype, planned.shape))
        .collect()
}

fn plan(family: Family) -> Plan {
    let mut plan = Plan::new(match family {
        Family::Sd1 | Family::Sd2 => Dtype::F16,
        Family::Sdxl => Dtype::BF16,
    });
    let unet = match family {
        Family::Sd1 => UnetShape::sd1(),
        Family::Sd2 => UnetShape::sd2(),
        Family::Sdxl => UnetShape::sdxl(),
    };
    unet.plan(&mut plan, "model.diffusion_model");
    vae::vae(&mut plan, "first_stage_model", [128, 256, 512, 512]);
    match family {
        Family::Sd1 => text::clip(
            &mut plan,
            "cond_stage_model.transformer.text_model",
            768,
            12,
        ),
        Family::Sd2 => text::open_clip(&mut plan, "cond_stage_model.model", 1024, 24),
        Family::Sdxl => {
            text::clip(
                &mut plan,
                "conditioner.embedders.0.transformer.text_model",
                768,
                12,
            );
            text::open_clip(&mut plan, "conditioner.embedders.1.model", 1280, 32);
        }
    }
    if family != Family::Sdxl {
        plan.add("betas", &[1000], Init::Table(beta));
        plan.add("alphas_cumprod", &[1000], Init::Table(alpha_cumprod));
        plan.add("sqrt_alphas_cumprod", &[1000], Init::Table(sqrt_alpha));
    }
    plan
}

fn beta(step: usize) -> f64 {
    let (first, last) = (0.000_85_f64.sqrt(), 0.012_f64.sqrt());
    (first + (last - first) * step as f64 / 999.0).powi(2)
}

fn alpha_cumprod(step: usize) -> f64 {
    (0..=step).map(|step| 1.0 - beta(step)).product()
}

fn sqrt_alpha(step: usize) -> f64 {
    alpha_cumprod(step).sqrt()
}

/// Writes a checkpoint with random weights in f16 (SDXL: bf16), scaled so that activations stay of
/// order one. The same seed gives the same file. Tensors are generated and written one by one.
///
/// # Errors
/// Those of writing to `out`.
pub fn write_random_checkpoint(family: Family, seed: u64, out: &mut impl Write) -> io::Result<()> {
    write_plan(plan(family), seed, out)
}

/// As [`write_random_checkpoint`], with only a UNet of any size, in f16.
///
/// # Errors
/// Those of writing to `out`.
pub fn write_random_unet(shape: &UnetShape, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut plan = Plan::new(Dtype::F16);
    shape.plan(&mut plan, "model.diffusion_model");
    write_plan(plan, seed, out)
}

fn write_plan(plan: Plan, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let tensors = in_file_order(plan);
    out.write_all(&header(&tensors)?)?;
    for (index, planned) in tensors.iter().enumerate() {
        let count: usize = planned.shape.iter().product();
        let bytes = |value: f64| match planned.dtype {
            Dtype::BF16 => bf16::from_f64(value).to_le_bytes(),
            _ => f16::from_f64(value).to_le_bytes(),
        };
        match planned.init {
            Init::Positions => {
                for position in 0..count as i64 {
                    out.write_all(&position.to_le_bytes())?;
                }
            }
            Init::Constant(value) => out.write_all(&bytes(f64::from(value)).repeat(count))?,
            Init::Table(value) => {
                for step in 0..count {
                    out.write_all(&bytes(value(step)))?;
                }
            }
            Init::Uniform { std } => write_uniform(seed, index as u64, count, std, bytes, out)?,
        }
    }
    Ok(())
}

/// The safetensors library's order: wide formats first, then by name.
fn in_file_order(Plan { mut tensors, .. }: Plan) -> Vec<PlannedTensor> {
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.key.cmp(&b.key)));
    tensors
}

fn header(plan: &[PlannedTensor]) -> io::Result<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut start = 0;
    for PlannedTensor {
        key, dtype, shape, ..
    } in plan
    {
        let end = start + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let entry =
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        entries.insert(key.clone(), entry);
        start = end;
    }
    let mut json = serde_json::to_vec(&entries)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// Writes uniform random numbers of this standard deviation, drawn in parallel chunks.
fn write_uniform(
    seed: u64,
    tensor: u64,
    count: usize,
    std: f32,
    number: impl Fn(f64) -> [u8; 2] + Sync,
    out: &mut impl Write,
) -> io::Result<()> {
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
                (0..size)
                    .flat_map(|_| number(f64::from((2.0 * stream.uniform() - 1.0) * bound)))
                    .collect()
            })
            .collect();
        drawn.iter().try_for_each(|bytes| out.write_all(bytes))?;
    }
    Ok(())
}
