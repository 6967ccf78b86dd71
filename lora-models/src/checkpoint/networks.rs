//! Building each network of a checkpoint.

use burn::tensor::{Device, FloatDType};
use lora_core::layers::LayerSpec;

use super::Checkpoint;
use crate::error::Result;
use crate::text::{TextEncoder, TextEncoders};
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;
use crate::weights::Weights;

impl Checkpoint {
    /// Builds the first text encoder and lists its layers.
    ///
    /// # Errors
    /// [`Error::Layout`](crate::Error::Layout), [`Error::NotFinite`](crate::Error::NotFinite),
    /// [`Error::Io`](crate::Error::Io).
    pub fn text_encoder(
        &self,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<(TextEncoder, Vec<LayerSpec>)> {
        let weights = Weights::new(&self.text_encoder, Some((device.clone(), dtype)));
        let [hidden_act, _] = self.family.hidden_acts();
        let network = TextEncoder::new(&weights, &self.config.text_encoder, hidden_act);
        Ok((network, weights.finish()?))
    }

    /// Builds all text encoders.
    ///
    /// # Errors
    /// As [`text_encoder`](Self::text_encoder).
    pub fn text_encoders(&self, device: &Device, dtype: FloatDType) -> Result<TextEncoders> {
        let mut encoders = Vec::new();
        for (component, config, hidden_act) in self.text_components() {
            let weights = Weights::new(component, Some((device.clone(), dtype)));
            encoders.push(TextEncoder::new(&weights, config, hidden_act));
            weights.finish()?;
        }
        Ok(TextEncoders::new(self.family, encoders))
    }

    /// Builds the UNet and lists its layers.
    ///
    /// # Errors
    /// As [`text_encoder`](Self::text_encoder).
    pub fn unet(
        &self,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<(UNet2DConditionModel, Vec<LayerSpec>)> {
        let weights = Weights::new(&self.unet, Some((device.clone(), dtype)));
        let network = UNet2DConditionModel::new(&weights, &self.config.unet, self.family);
        Ok((network, weights.finish()?))
    }

    /// Builds the VAE.
    ///
    /// # Errors
    /// As [`text_encoder`](Self::text_encoder).
    pub fn vae(&self, device: &Device, dtype: FloatDType) -> Result<AutoencoderKl> {
        let weights = Weights::new(&self.vae, Some((device.clone(), dtype)));
        let network = AutoencoderKl::new(&weights, &self.config.vae, self.family);
        weights.finish()?;
        Ok(network)
    }
}
