//! Learning rates of the parameters.

use super::block::{block_index, check_weights};
use super::error::Error;
use super::names::Naming;
use super::set::{AdapterSet, Factor, Slot};
use crate::ops::Place;

/// Learning rates before the schedule multiplies them, as sd-scripts' `networks.lora` has them.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRates {
    /// Of the UNet, `unet_lr`.
    pub unet: f64,
    /// Of the text encoders, `text_encoder_lr`; the second is SDXL's second encoder's.
    pub text_encoder: [f64; 2],
    /// How many times as large the rate of the up matrices is (LoRA+, Hayou et al. 2024),
    /// `loraplus_lr_ratio`; by default 1.
    pub loraplus_lr_ratio: Option<f64>,
    /// The same for the UNet alone, `loraplus_unet_lr_ratio`; by default that of all.
    pub loraplus_unet_lr_ratio: Option<f64>,
    /// The same for the text encoders alone, `loraplus_text_encoder_lr_ratio`; by default that of
    /// all.
    pub loraplus_text_encoder_lr_ratio: Option<f64>,
    /// What the rate of each block of the UNet is multiplied by, one entry for each
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
    /// [`Error::BlockCount`] and [`Error::BlockWeight`] for weights of blocks that do not fit the
    /// model.
    pub fn of(&self, adapters: &AdapterSet) -> Result<Vec<Vec<f64>>, Error> {
        self.check(adapters)?;
        let mut rates: Vec<Vec<f64>> = adapters
            .stacks()
            .iter()
            .map(|stack| vec![0.0; stack.values.dims()[0]])
            .collect();
        for slot in adapters.slots() {
            for factor in [Factor::Down, Factor::Up] {
                let Place { stack, row } = slot.place(factor);
                rates[stack][row] = self.lr(self.key(slot, factor, adapters.naming()));
            }
        }
        Ok(rates)
    }

    /// The groups of parameters with a rate of their own, in sd-scripts' order and with its names,
    /// which logs use. A group whose rate is 0 is left out.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn groups(&self, adapters: &AdapterSet) -> Result<Vec<LearningRateGroup>, Error> {
        self.check(adapters)?;
        let naming = adapters.naming();
        let mut keys: Vec<Key> = adapters
            .slots()
            .iter()
            .flat_map(|slot| [Factor::Down, Factor::Up].map(|f| self.key(slot, f, naming)))
            .collect();
        keys.sort_by_key(|key| (key.part.order(naming), key.plus));
        keys.dedup();
        let group = |key: &Key| LearningRateGroup {
            description: self.description(*key),
            lr: self.lr(*key),
        };
        Ok(keys
            .iter()
            .map(group)
            .filter(|group| group.lr != 0.0)
            .collect())
    }

    fn check(&self, adapters: &AdapterSet) -> Result<(), Error> {
        check_weights(self.block_lr_weights.as_deref(), adapters.naming())
    }

    /// The group of a factor.
    fn key(&self, slot: &Slot, factor: Factor, naming: Naming) -> Key {
        let path = slot.layer.path.as_str();
        let part = match slot.is_unet() {
            true => Part::Unet(
                self.block_lr_weights
                    .as_ref()
                    .and_then(|_| block_index(path, naming)),
            ),
            // One group, where they are trained alike.
            false if self.text_encoder[0] == self.text_encoder[1] => Part::TextEncoder(0),
            false => Part::TextEncoder(usize::from(path.starts_with("text_encoder_2."))),
        };
        Key {
            part,
            plus: factor == Factor::Up && self.ratio(part).is_some(),
        }
    }

    fn ratio(&self, part: Part) -> Option<f64> {
        match part {
            Part::Unet(_) => self.loraplus_unet_lr_ratio,
            Part::TextEncoder(_) => self.loraplus_text_encoder_lr_ratio,
        }
        .or(self.loraplus_lr_ratio)
    }

    fn lr(&self, key: Key) -> f64 {
        let lr = match (key.part, &self.block_lr_weights) {
            (Part::TextEncoder(encoder), _) => self.text_encoder[encoder],
            (Part::Unet(Some(block)), Some(weights)) => self.unet * weights[block],
            (Part::Unet(_), _) => self.unet,
        };
        lr * self.ratio(key.part).filter(|_| key.plus).unwrap_or(1.0)
    }

    fn description(&self, key: Key) -> String {
        let part = match key.part {
            Part::TextEncoder(encoder) if self.text_encoder[0] != self.text_encoder[1] => {
                format!("textencoder{}", encoder + 1)
            }
            Part::TextEncoder(_) => "textencoder".to_owned(),
            Part::Unet(None) => "unet".to_owned(),
            Part::Unet(Some(block)) => format!("unet_block{block}"),
        };
        if key.plus {
            format!("{part} plus")
        } else {
            part
        }
    }
}

/// Parameters with one learning rate.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRateGroup {
    /// Its name: `textencoder` (with its number, where the two encoders have rates of their own),
    /// `unet`, or `unet_block` and the block's number; with ` plus` behind it, the up matrices of
    /// LoRA+.
    pub description: String,
    /// The rate before the schedule multiplies it.
    pub lr: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    part: Part,
    plus: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    TextEncoder(usize),
    /// The block, where they have weights.
    Unet(Option<usize>),
}

impl Part {
    /// The place in sd-scripts' order, in which the middle of SD 1.x and 2.x, block 12, stands
    /// behind the way up.
    fn order(self, naming: Naming) -> (bool, bool, usize) {
        match self {
            Self::TextEncoder(encoder) => (false, false, encoder),
            Self::Unet(block) => (
                true,
                naming == Naming::Sd && block == Some(12),
                block.unwrap_or(0),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::{RankAlpha, Targets};
    use super::*;
    use crate::layers::{LayerKind, LayerSpec};

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
        let layer = |path: &&str| LayerSpec {
            path: (*path).into(),
            kind: LayerKind::Linear,
            inputs: 4,
            outputs: 3,
        };
        let targets = Targets {
            linear: RankAlpha {
                rank: 2,
                alpha: 1.0,
            },
            ..Targets::default()
        };
        let layers: Vec<LayerSpec> = paths.map(layer).collect();
        AdapterSet::new(&layers, &targets, 0, &Device::flex()).expect("targets")
    }

    fn groups(rates: &LearningRates, naming: Naming) -> Vec<(String, f64)> {
        let groups = rates.groups(&set(naming)).expect("fitting weights");
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
            .find(|slot| slot.layer.path.as_str() == path)
            .expect("a slot");
        let Place { stack, row } = slot.place(factor);
        rates.of(set).expect("fitting weights")[stack][row]
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
        // What is not trained has no group.
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
            .groups(&set(Naming::Sd))
            .expect_err("23 weights for 25 blocks");
        assert_eq!(
            error,
            Error::BlockCount {
                option: "block_lr_weight",
                found: 23,
                expected: 25
            }
        );
        assert_eq!(rates.of(&set(Naming::Sd)), Err(error));
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
