//! Reading a checkpoint, against reading its file and widening the numbers.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType};
use half::f16;
use half::slice::{HalfBitsSliceExt as _, HalfFloatSliceExt as _};
use lora_models::{Family, UNet2DConditionModel, random};

use super::support::array::{Array, write};
use super::support::serve::Served;
use super::support::{Result, Timings, checkpoint, process, report};

pub(super) const NAME: &str = "checkpoint/unet";

/// The UNet of SD 1.5 from a file in f16, in the system's cache.
#[derive(Default)]
pub(super) struct Loading {
    path: PathBuf,
    loaded: Option<UNet2DConditionModel>,
}

fn unet(path: &Path) -> Result<UNet2DConditionModel> {
    Ok(super::open(path, 8)?.unet(&Device::flex(), FloatDType::F32)?.0)
}

/// The plainest way to have as many numbers as f32: one thread reads piece after piece and widens it.
fn read_and_widen(path: &Path) -> Result<Vec<f32>> {
    const PIECE: usize = 1 << 20;
    let parameters = unet_parameters();
    let mut file = File::open(path)?;
    let mut values = vec![0.0; parameters];
    let mut bytes = vec![0; 2 * PIECE];
    for piece in values.chunks_mut(PIECE) {
        let bytes = &mut bytes[..2 * piece.len()];
        file.read_exact(bytes)?;
        let bits: Vec<u16> = bytes.as_chunks().0.iter().map(|bits| u16::from_le_bytes(*bits)).collect();
        bits.reinterpret_cast::<f16>().convert_to_f32_slice(piece);
    }
    Ok(values)
}

fn unet_parameters() -> usize {
    let layout = random::layout(Family::Sd1);
    let unet = layout.iter().filter(|(key, ..)| key.starts_with("model.diffusion_model."));
    unet.map(|(.., shape)| shape.iter().product::<usize>()).sum()
}

/// Both, in turn.
pub(super) fn measure() -> Result<()> {
    let path = checkpoint::of_family(Family::Sd1)?;
    let (mut ours, mut plain) = (Timings::default(), Timings::default());
    let mut peaks = [0; 2];
    for _ in 0..4 {
        for (timings, peak, work) in [
            (&mut ours, 0, (|path: &Path| unet(path).map(drop)) as fn(&Path) -> Result<()>),
            (&mut plain, 1, |path| read_and_widen(path).map(|values| drop(std::hint::black_box(values)))),
        ] {
            process::reset_peak_memory();
            timings.time(|| work(&path))?;
            peaks[peak] = process::peak_memory().unwrap_or(0);
        }
    }
    let gigabytes = 2.0 * unet_parameters() as f64 / 1e9;
    for (what, timings, peak) in [(NAME, &ours, peaks[0]), ("checkpoint/read_and_widen", &plain, peaks[1])] {
        let (median, best) = (timings.median(), timings.best());
        let rate = gigabytes / best;
        let peak = peak as f64 / 1e9;
        report(what, &format!("median {median:.2} s, best {best:.2} s, {rate:.2} GB/s; peak memory {peak:.2} GB"));
    }
    report(NAME, &format!("{:.2} of reading and widening", ours.best() / plain.best()));
    Ok(())
}

impl Served for Loading {
    fn name(&self) -> &str {
        NAME
    }

    fn prepare(&mut self, folder: &Path) -> Result<()> {
        self.path = checkpoint::of_family(Family::Sd1)?;
        let row = serde_json::json!({"checkpoint": self.path});
        std::fs::write(folder.join("row.json"), row.to_string())?;
        let channels = unet(&self.path)?.latent_channels();
        let channels = burn::tensor::Tensor::<1>::from_floats([channels as f32], &Device::flex());
        write(&folder.join("results-ours.safetensors"), &[Array::of("latent_channels", channels)])
    }

    fn run(&mut self) {
        self.loaded = None;
        self.loaded = Some(unet(&self.path).expect("read a moment ago"));
    }

    fn release(&mut self) {
        self.loaded = None;
    }
}
