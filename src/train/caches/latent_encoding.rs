//! Encodes images to latents.

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::rng::{Purpose, Stream};
use lora_data::{Dataset, ImageSample, Item, Mask, Pixels, Size};
use lora_models::AutoencoderKl;

use crate::error::{Error, Result};
use crate::train::model::base::Base;

/// An image's latents before scaling.
#[derive(Debug)]
pub(crate) struct EncodedImage {
    pub(crate) upright: Tensor<4>,
    pub(crate) mirrored: Option<Tensor<4>>,
    pub(crate) mask: Option<Mask>,
}

/// Encodes an image and, with `flip_aug`, its mirror image. One draw from each posterior serves all
/// epochs, as in sd-scripts.
pub(super) fn encode(
    dataset: &Dataset,
    index: usize,
    seed: u64,
    base: &mut Base,
) -> Result<EncodedImage> {
    let item = &dataset.items()[index];
    let ImageSample { mut pixels, mask } = dataset.load(item, &dataset.centre_crop(item))?;
    let device = base.device().clone();
    let vae = base.vae()?;
    let stream =
        |mirrored: bool| Stream::new(seed, Purpose::Posterior, mirrored.into(), index as u64);
    let upright = encode_pixels(vae, &pixels, stream(false), item, &device)?;
    let mirrored = if dataset.subset_of(item).config.augmentation.flip_aug {
        pixels.flip();
        Some(encode_pixels(vae, &pixels, stream(true), item, &device)?)
    } else {
        None
    };
    Ok(EncodedImage {
        upright,
        mirrored,
        mask,
    })
}

fn encode_pixels(
    vae: &AutoencoderKl,
    pixels: &Pixels,
    mut stream: Stream,
    item: &Item,
    device: &Device,
) -> Result<Tensor<4>> {
    let Size { width, height } = pixels.size();
    let shape = [1, 3, height as usize, width as usize];
    let input = TensorData::new(network_input(pixels.as_bytes()), shape);
    let posterior = vae.encode(Tensor::from_data(input, device));
    let noise = stream.normal_tensor(posterior.mean.dims(), device);
    let latents = posterior.sample(noise);
    if latents.clone().sum().into_scalar::<f32>().is_finite() {
        return Ok(latents);
    }
    Err(Error::LatentsNotFinite {
        path: item.path.clone(),
    })
}

/// Pixels `[h, w, 3]` as the VAE takes them: `[3, h, w]` in -1..1.
pub(crate) fn network_input(pixels: &[u8]) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| pixels.iter().skip(channel).step_by(3))
        .map(|byte| f32::from(*byte) / 127.5 - 1.0)
        .collect()
}
