//! Learning rates of the adapters' parameters.

use lora_core::adapter::{AdapterSet, Factor, Slot};
use lora_core::layers::{Network, NetworkKind};
use lora_core::ops::Place;

use super::blocks::{block_index, check_weights};
use super::error::Error;
use super::naming::Naming;

/// Learning rates before the schedule multiplies them, as sd-scripts' `networks.lora` has them.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRates {
    /// Of the UNet, `unet_lr`.
    pub unet: f64,
    /// Of the text encoders, `text_encoder_lr`; the second is that of SDXL's second encoder.
    pub text_encoder: [f64; 2],
    /// Factor of the rate of the up matrices (LoRA+, Hayou et al. 2024), `loraplus_lr_ratio`; by
    /// default 1.
    pub loraplus_lr_ratio: Option<f64>,
    /// The same for the UNet alone, `loraplus_unet_lr_ratio`; by default `loraplus_lr_ratio`.
    pub loraplus_unet_lr_ratio: Option<f64>,
    /// The same for the text encoders alone, `loraplus_text_encoder_lr_ratio`; by default
    /// `loraplus_lr_ratio`.
    pub loraplus_text_encoder_lr_ratio: Option<f64>,
    /// Factors of the rates of the UNet's blocks, one entry for each
    /// ([`block_count`](super::block_count)).
    pub block_lr_weights: Option<Vec<f64>>,
}

impl LearningRates {
    /// The same rates for all blocks and both factors, and for all text encoders.
    #[must_use]
    pub fn new(unet: f64, text_encoder: f64) -> Self {
        Self {
            unet,
            text_encoder: [text_encoder; 2],
            loraplus_lr_ratio: None,
            loraplus_unet_lr_ratio: None,
            loraplus_text_encoder_lr_ratio: None,
            block_lr_weights: None,
        }
    }

    /// The rate of every parameter, by stack and row.
    ///
    /// # Errors
    /// [`Error::BlockCount`] and [`Error::BlockWeight`] for factors of blocks that do not fit the
    /// model.
    pub fn per_parameter(
        &self,
        adapters: &AdapterSet,
        naming: Naming,
    ) -> Result<Vec<Vec<f64>>, Error> {
        check_weights(self.block_lr_weights.as_deref(), naming)?;
        let mut rates: Vec<Vec<f64>> = adapters
            .stacks()
            .iter()
            .map(|stack| vec![0.0; stack.count()])
            .collect();
        for slot in adapters.slots() {
            for factor in [Factor::Down, Factor::Up] {
                let Place { stack, row } = slot.place(factor);
                rates[stack][row] = self.lr(self.group_key(slot, factor, naming));
            }
        }
        Ok(rates)
    }

    /// The groups of parameters with a rate of their own, in sd-scripts' order and with its names,
    /// which logs use. A group whose rate is 0 is left out.
    ///
    /// # Errors
    /// As [`per_parameter`](Self::per_parameter).
    pub fn groups(
        &self,
        adapters: &AdapterSet,
        naming: Naming,
    ) -> Result<Vec<LearningRateGroup>, Error> {
        check_weights(self.block_lr_weights.as_deref(), naming)?;
        let mut keys: Vec<GroupKey> = adapters
            .slots()
            .iter()
            .flat_map(|slot| [Factor::Down, Factor::Up].map(|f| self.group_key(slot, f, naming)))
            .collect();
        keys.sort_by_key(|key| key.order(naming));
        keys.dedup();
        let mut groups = Vec::new();
        for key in keys {
            let lr = self.lr(key);
            if lr != 0.0 {
                groups.push(LearningRateGroup {
                    network: key.network.kind(),
                    description: self.description(key),
                    lr,
                });
            }
        }
        Ok(groups)
    }

    /// The group of a factor.
    fn group_key(&self, slot: &Slot, factor: Factor, naming: Naming) -> GroupKey {
        let layer = &slot.layer.path;
        let network = match layer.network() {
            // Text encoders with one rate are one group.
            Network::TextEncoder(_) if !self.text_encoders_differ() => Network::TextEncoder(0),
            network => network,
        };
        let block = match &self.block_lr_weights {
            Some(_) => block_index(layer, naming),
            None => None,
        };
        GroupKey {
            network,
            block,
            plus: factor == Factor::Up && self.loraplus_ratio(network).is_some(),
        }
    }

    fn text_encoders_differ(&self) -> bool {
        self.text_encoder[0] != self.text_encoder[1]
    }

    fn loraplus_ratio(&self, network: Network) -> Option<f64> {
        match network {
            Network::Unet => self.loraplus_unet_lr_ratio,
            Network::TextEncoder(_) => self.loraplus_text_encoder_lr_ratio,
            Network::Vae => None,
        }
        .or(self.loraplus_lr_ratio)
    }

    fn lr(&self, key: GroupKey) -> f64 {
        let lr = match (key.network, key.block, &self.block_lr_weights) {
            (Network::Unet, Some(block), Some(weights)) => self.unet * weights[block],
            (Network::Unet, _, _) => self.unet,
            (Network::TextEncoder(encoder), _, _) => self.text_encoder[encoder],
            (Network::Vae, _, _) => 0.0,
        };
        match self.loraplus_ratio(key.network) {
            Some(ratio) if key.plus => lr * ratio,
            _ => lr,
        }
    }

    fn description(&self, key: GroupKey) -> String {
        let mut description = match (key.network, key.block) {
            (Network::TextEncoder(encoder), _) if self.text_encoders_differ() => {
                format!("textencoder{}", encoder + 1)
            }
            (Network::TextEncoder(_), _) => "textencoder".to_owned(),
            (network, None) => network.to_string(),
            (network, Some(block)) => format!("{network}_block{block}"),
        };
        if key.plus {
            description.push_str(" plus");
        }
        description
    }
}

/// Parameters with one learning rate.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRateGroup {
    /// The kind of network that the parameters belong to.
    pub network: NetworkKind,
    /// Its name in logs: `textencoder` (with its number if the two encoders have different rates),
    /// `unet`, or `unet_block` and the block's number; ` plus` at the end for the up matrices of
    /// LoRA+.
    pub description: String,
    /// The rate before the schedule multiplies it.
    pub lr: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct GroupKey {
    network: Network,
    /// The UNet's block, if blocks have factors.
    block: Option<usize>,
    /// True for the up matrices of LoRA+.
    plus: bool,
}

impl GroupKey {
    /// The position in sd-scripts' order: text encoders first, and the middle of SD 1.x and 2.x,
    /// block 12, after the way up.
    fn order(self, naming: Naming) -> (bool, bool, usize, bool) {
        match self.network {
            Network::TextEncoder(encoder) => (false, false, encoder, self.plus),
            Network::Unet | Network::Vae => (
                true,
                naming == Naming::Sd && self.block == Some(12),
                self.block.unwrap_or(0),
                self.plus,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lora_core::layers::{LayerKind, LayerPath, LayerSpec};

    use super::super::{RankAlpha, Targets};
    use super::*;

    const PATHS: [&str; 5] = [
        "text_encoder.text_model.encoder.layers.0.mlp.fc1",
        "text_encoder_2.text_model.encoder.layers.0.mlp.fc1",
        "unet.down_blocks.1.attentions.0.proj_in",
        "unet.mid_block.attentions.0.proj_in",
        "unet.up_blocks.1.attentions.0.proj_in",
    ];

    fn set(naming: Naming) -> AdapterSet {
        let paths = PATHS
            .iter()
            .filter(|path| naming == Naming::Sdxl || !path.starts_with("text_encoder_2"));
        let targets = Targets {
            linear: RankAlpha {
                rank: 2,
                alpha: 1.0,
            },
            ..Targets::default()
        };
        let layers: Vec<LayerSpec> = paths
            .map(|path| LayerSpec {
                path: LayerPath::parse(path).expect("a path"),
                kind: LayerKind::Linear,
                inputs: 4,
                outputs: 3,
            })
            .collect();
        targets
            .adapter_set(&layers, naming, 0, &Device::flex())
            .expect("targets")
    }

    fn groups(rates: &LearningRates, naming: Naming) -> Vec<(String, f64)> {
        let groups = rates.groups(&set(naming), naming).expect("fitting weights");
        groups
            .into_iter()
            .map(|group| (group.description, group.lr))
            .collect()
    }

    fn named<const N: usize>(groups: [(&str, f64); N]) -> Vec<(String, f64)> {
        groups.map(|(name, lr)| (name.to_owned(), lr)).to_vec()
    }

    /// The rate of a factor.
    fn rate(rates: &LearningRates, set: &AdapterSet, path: &str, factor: Factor) -> f64 {
        let slot = set
            .slots()
            .iter()
            .find(|slot| slot.layer.path.to_string() == path)
            .expect("a slot");
        let Place { stack, row } = slot.place(factor);
        rates
            .per_parameter(set, Naming::Sdxl)
            .expect("fitting weights")[stack][row]
    }

    #[test]
    fn groups_without_blocks() {
        let rates = LearningRates::new(4.0, 2.0);
        assert_eq!(
            groups(&rates, Naming::Sdxl),
            named([("textencoder", 2.0), ("unet", 4.0)])
        );
        let plus = LearningRates {
            loraplus_lr_ratio: Some(16.0),
            loraplus_unet_lr_ratio: Some(8.0),
            ..rates.clone()
        };
        let expected = [
            ("textencoder", 2.0),
            ("textencoder plus", 32.0),
            ("unet", 4.0),
            ("unet plus", 32.0),
        ];
        assert_eq!(groups(&plus, Naming::Sd), named(expected));
        let text_encoder = LearningRates {
            loraplus_text_encoder_lr_ratio: Some(2.0),
            ..rates.clone()
        };
        let expected = [
            ("textencoder", 2.0),
            ("textencoder plus", 4.0),
            ("unet", 4.0),
        ];
        assert_eq!(groups(&text_encoder, Naming::Sd), named(expected));
        // Without training there is no group.
        assert_eq!(
            groups(&LearningRates::new(4.0, 0.0), Naming::Sd),
            named([("unet", 4.0)])
        );
        let two = LearningRates {
            text_encoder: [2.0, 1.0],
            ..rates
        };
        assert_eq!(
            groups(&two, Naming::Sdxl),
            named([("textencoder1", 2.0), ("textencoder2", 1.0), ("unet", 4.0)])
        );
    }

    #[test]
    fn groups_of_blocks() {
        let mut weights = vec![1.0; 25];
        (weights[12], weights[16]) = (0.5, 0.25);
        let rates = LearningRates {
            loraplus_lr_ratio: Some(2.0),
            block_lr_weights: Some(weights),
            ..LearningRates::new(4.0, 0.0)
        };
        // The middle comes last.
        let expected = [
            ("unet_block4", 4.0),
            ("unet_block4 plus", 8.0),
            ("unet_block16", 1.0),
            ("unet_block16 plus", 2.0),
            ("unet_block12", 2.0),
            ("unet_block12 plus", 4.0),
        ];
        assert_eq!(groups(&rates, Naming::Sd), named(expected));
        let mut weights = vec![1.0; 23];
        weights[11] = 0.0;
        let rates = LearningRates {
            block_lr_weights: Some(weights),
            ..LearningRates::new(4.0, 2.0)
        };
        let expected = [
            ("textencoder", 2.0),
            ("unet_block5", 4.0),
            ("unet_block16", 4.0),
        ];
        assert_eq!(groups(&rates, Naming::Sdxl), named(expected));
        let error = rates
            .groups(&set(Naming::Sd), Naming::Sd)
            .expect_err("23 weights for 25 blocks");
        assert_eq!(
            error,
            Error::BlockCount {
                option: "block_lr_weight",
                found: 23,
                expected: 25
            }
        );
        assert_eq!(
            rates.per_parameter(&set(Naming::Sd), Naming::Sd),
            Err(error)
        );
    }

    #[test]
    fn rates_of_parameters() {
        let mut weights = vec![1.0; 23];
        weights[11] = 0.5;
        let rates = LearningRates {
            text_encoder: [2.0, 1.0],
            loraplus_unet_lr_ratio: Some(8.0),
            block_lr_weights: Some(weights),
            ..LearningRates::new(4.0, 0.0)
        };
        let set = set(Naming::Sdxl);
        for (path, down, up) in [
            (PATHS[0], 2.0, 2.0),
            (PATHS[1], 1.0, 1.0),
            (PATHS[2], 4.0, 32.0),
            (PATHS[3], 2.0, 16.0),
            (PATHS[4], 4.0, 32.0),
        ] {
            let found = [Factor::Down, Factor::Up].map(|factor| rate(&rates, &set, path, factor));
            assert_eq!(found, [down, up], "{path}");
        }
    }
}
