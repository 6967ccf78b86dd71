//! Reading a checkpoint, compared with reading its file and widening the numbers.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType};
use half::slice::{HalfBitsSliceExt as _, HalfFloatSliceExt as _};
use half::{bf16, f16};
use lora_core::memory::return_freed_memory;
use lora_models::{Checkpoint, Family, ModelConfig, UNet2DConditionModel, random};

use super::support::array::{Array, write};
use super::support::serve::Served;
use super::support::{Result, Timings, checkpoint, process, report};

pub(super) const NAMES: [(&str, Family); 2] = [
    ("checkpoint/sd15", Family::Sd1),
    ("checkpoint/sdxl", Family::Sdxl),
];

/// The UNet from a file of 16-bit numbers in the page cache.
pub(super) struct Loading {
    name: &'static str,
    family: Family,
    path: PathBuf,
    loaded: Option<UNet2DConditionModel>,
}

impl Loading {
    pub(super) fn new(name: &'static str, family: Family) -> Self {
        Self {
            name,
            family,
            path: PathBuf::new(),
            loaded: None,
        }
    }
}

fn unet(path: &Path) -> Result<UNet2DConditionModel> {
    Ok(Checkpoint::open(path, &ModelConfig::default())?
        .unet(&Device::flex(), FloatDType::F32)?
        .0)
}

/// The simplest way to get as many f32 numbers: one thread reads a piece at a time and widens it.
fn read_and_widen(path: &Path, family: Family) -> Result<Vec<f32>> {
    const PIECE: usize = 1 << 20;
    let parameters = unet_parameters(family);
    let mut file = File::open(path)?;
    let mut values = vec![0.0; parameters];
    let mut bytes = vec![0; 2 * PIECE];
    for piece in values.chunks_mut(PIECE) {
        let bytes = &mut bytes[..2 * piece.len()];
        file.read_exact(bytes)?;
        let bits: Vec<u16> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|bits| u16::from_le_bytes(*bits))
            .collect();
        match family {
            Family::Sdxl => bits.reinterpret_cast::<bf16>().convert_to_f32_slice(piece),
            Family::Sd1 | Family::Sd2 => bits.reinterpret_cast::<f16>().convert_to_f32_slice(piece),
        }
    }
    Ok(values)
}

fn unet_parameters(family: Family) -> usize {
    let layout = random::layout(family);
    let unet = layout
        .iter()
        .filter(|(key, ..)| key.starts_with("model.diffusion_model."));
    unet.map(|(.., shape)| shape.iter().product::<usize>())
        .sum()
}

/// Both, in turn.
pub(super) fn measure(name: &str, family: Family) -> Result<()> {
    let path = checkpoint::of_family(family)?;
    let (mut ours, mut plain) = (Timings::default(), Timings::default());
    let mut peaks = [0; 2];
    for _ in 0..3 {
        process::reset_peak_memory();
        ours.time(|| unet(&path).map(drop))?;
        peaks[0] = process::peak_memory().unwrap_or(0);
        return_freed_memory();
        process::reset_peak_memory();
        plain.time(|| {
            read_and_widen(&path, family).map(|values| drop(std::hint::black_box(values)))
        })?;
        peaks[1] = process::peak_memory().unwrap_or(0);
    }
    let parameters = unet_parameters(family) as f64;
    let plain_name = format!("{name}/read_and_widen");
    for (what, timings, peak) in [(name, &ours, peaks[0]), (&plain_name, &plain, peaks[1])] {
        let (median, best) = (timings.median(), timings.best());
        let rate = 2.0 * parameters / 1e6 / best;
        let peak = peak as f64 / 1e9;
        report(
            what,
            &format!(
                "median {median:.2} s, best {best:.2} s, {rate:.0} MB/s; peak memory {peak:.2} GB"
            ),
        );
    }
    let above = peaks[0] as f64 / 1e6 - 4.0 * parameters / 1e6;
    report(
        name,
        &format!(
            "{:.2} of reading and widening, {above:.0} MB above the weights",
            ours.best() / plain.best()
        ),
    );
    Ok(())
}

impl Served for Loading {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare(&mut self, folder: &Path) -> Result<()> {
        self.path = checkpoint::of_family(self.family)?;
        let row = serde_json::json!({"checkpoint": self.path});
        std::fs::write(folder.join("row.json"), row.to_string())?;
        let channels = unet(&self.path)?.latent_channels();
        let channels = burn::tensor::Tensor::<1>::from_floats([channels as f32], &Device::flex());
        write(
            &folder.join("results-ours.safetensors"),
            &[Array::named("latent_channels", channels)],
        )
    }

    fn run(&mut self) {
        self.loaded = None;
        self.loaded = Some(unet(&self.path).expect("read a moment ago"));
    }

    fn release(&mut self) {
        self.loaded = None;
    }
}
