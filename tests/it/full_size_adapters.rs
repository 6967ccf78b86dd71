//! The adapters of full-size models, whose layers are read from a checkpoint's header alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::Device;
use lora_core::adapter::{AdapterSet, SavePrecision, Slot, StoredTensor};
use lora_core::layers::LayerSpec;
use lora_models::lora::{BlockTargets, Naming, RankAlpha, Targets, block_count, block_index};
use lora_models::{Checkpoint, Family, Layers, ModelConfig, random};

use crate::golden;

/// The layers of a full-size model, read from a header that is written to this folder.
fn layers_of(family: Family, folder: &Path) -> Layers {
    let path = folder.join(format!("{}.safetensors", family.name()));
    write_header_of(family, &path, |_| true);
    Checkpoint::open(&path, &ModelConfig::default())
        .expect("a header")
        .layers()
        .expect("layers")
}

const RANK_16: RankAlpha = RankAlpha {
    rank: 16,
    alpha: 8.0,
};

fn unet_adapters(family: Family, layers: &Layers, conv: Option<RankAlpha>) -> AdapterSet {
    let targets = Targets {
        linear: RANK_16,
        conv,
        unet: true,
        text_encoder: false,
        ..Targets::default()
    };
    adapter_set(&targets, &layers.unet, family.lora_naming())
}

fn text_encoder_adapters(family: Family, layers: &Layers) -> AdapterSet {
    let targets = Targets {
        linear: RANK_16,
        unet: false,
        text_encoder: true,
        ..Targets::default()
    };
    adapter_set(&targets, &layers.text_encoders, family.lora_naming())
}

fn adapter_set(targets: &Targets, layers: &[LayerSpec], naming: Naming) -> AdapterSet {
    targets
        .adapter_set(layers, naming, 0, &Device::flex())
        .expect("targets")
}

/// A full-size SDXL gets the same adapters as in sd-scripts.
#[test]
fn adapters_of_a_full_size_sdxl() {
    let folder = tempfile::tempdir().expect("a folder");
    let layers = layers_of(Family::Sdxl, folder.path());
    let found: BTreeMap<String, Vec<usize>> = unet_adapters(Family::Sdxl, &layers, None)
        .to_tensors(SavePrecision::Fp16)
        .into_iter()
        .map(|tensor| (tensor.key, tensor.shape))
        .collect();
    let golden = golden::layout("lora_sdxl_rank16_unet.json");
    let expected: BTreeMap<String, (String, Vec<usize>)> =
        serde_json::from_value(golden["tensors"].clone()).expect("key -> [dtype, shape]");
    let expected: BTreeMap<String, Vec<usize>> = expected
        .into_iter()
        .map(|(key, (_, shape))| (key, shape))
        .collect();
    assert_eq!(found, expected);
    let with_convolutions = unet_adapters(Family::Sdxl, &layers, Some(RANK_16));
    assert_eq!(with_convolutions.slots().len(), 788);
    let text_encoders = text_encoder_adapters(Family::Sdxl, &layers);
    assert_eq!(text_encoders.slots().len(), 72 + 192);
}

#[test]
fn adapters_of_a_full_size_sd2() {
    let folder = tempfile::tempdir().expect("a folder");
    let layers = layers_of(Family::Sd2, folder.path());
    let text_encoder = text_encoder_adapters(Family::Sd2, &layers);
    assert_eq!(text_encoder.slots().len(), 138);
    let linear = unet_adapters(Family::Sd2, &layers, None);
    assert_eq!(linear.slots().len(), 192);
    let with_convolutions = unet_adapters(Family::Sd2, &layers, Some(RANK_16));
    assert_eq!(with_convolutions.slots().len(), 278);
}

const LINEAR: RankAlpha = RankAlpha {
    rank: 2,
    alpha: 1.0,
};

/// Every layer that can get an adapter is in one of the blocks that sd-scripts numbers, and the
/// entries of that block select it.
#[test]
fn blocks_of_full_size_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let linear = LINEAR;
    let sd1 = [1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21, 22, 23, 24];
    let sdxl = [5, 6, 8, 9, 11, 13, 14, 15, 16, 17, 18];
    for (family, naming, blocks_with_attention, all, others) in [
        (Family::Sd1, Naming::Sd, &sd1[..], 278, 86),
        (Family::Sdxl, Naming::Sdxl, &sdxl, 788, 66),
    ] {
        let layers = layers_of(family, folder.path()).unet;
        let set = |targets: Targets| adapter_set(&targets, &layers, naming);
        let plain = set(Targets {
            linear,
            ..Targets::default()
        });
        let blocks: BTreeSet<usize> = plain
            .slots()
            .iter()
            .map(|slot| block_index(&slot.layer.path, naming).expect("a block"))
            .collect();
        assert_eq!(blocks, blocks_with_attention.iter().copied().collect());
        let conv = Targets {
            linear,
            conv: Some(linear),
            ..Targets::default()
        };
        assert_eq!(set(conv.clone()).slots().len(), all);
        let wide = set(Targets {
            linear,
            widened: true,
            ..Targets::default()
        });
        let kernels = set(conv)
            .slots()
            .iter()
            .filter(|slot| slot.layer.kind.kernel() > 1)
            .count();
        assert_eq!(
            (wide.slots().len(), plain.slots().len()),
            (all - kernels, all - others)
        );

        ranks_of_blocks(&layers, naming, &plain);
    }
}

/// A rank for each block, and one block without adapters.
fn ranks_of_blocks(layers: &[LayerSpec], naming: Naming, plain: &AdapterSet) {
    let block = |slot: &Slot| block_index(&slot.layer.path, naming).expect("a block");
    let dims: Vec<usize> = (0..block_count(naming))
        .map(|block| if block == 5 { 0 } else { 1 + block % 3 })
        .collect();
    let targets = Targets {
        linear: LINEAR,
        blocks: BlockTargets {
            dims: Some(dims.clone()),
            ..BlockTargets::default()
        },
        ..Targets::default()
    };
    let mut set = adapter_set(&targets, layers, naming);
    for slot in set.slots() {
        assert_eq!(slot.rank, dims[block(slot)]);
    }
    let left = plain.slots().iter().filter(|slot| block(slot) != 5);
    assert_eq!(set.slots().len(), left.count());
    can_be_saved_and_loaded(&mut set);
}

fn can_be_saved_and_loaded(set: &mut AdapterSet) {
    let tensors = set.to_tensors(SavePrecision::Float);
    assert_eq!(tensors.len(), 3 * set.slots().len());
    let mut stored = BTreeMap::new();
    for tensor in &tensors {
        let values = tensor.bytes.as_chunks().0.iter();
        let tensor_values = StoredTensor {
            shape: tensor.shape.clone(),
            values: values.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        };
        stored.insert(tensor.key.clone(), tensor_values);
    }
    set.load(stored).expect("the file fits");
    assert_eq!(set.to_tensors(SavePrecision::Float), tensors);
}

/// Writes a file with the header of a full-size checkpoint without some of its keys, and holes for
/// values.
pub(crate) fn write_header_of(family: Family, path: &Path, keep: impl Fn(&str) -> bool) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (key, dtype, shape) in random::layout(family)
        .into_iter()
        .filter(|(key, ..)| keep(key))
    {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        header.insert(
            key,
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}),
        );
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    std::fs::write(
        path,
        [&(header.len() as u64).to_le_bytes()[..], &header].concat(),
    )
    .expect("a file");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file");
    file.set_len((8 + header.len() + end) as u64).expect("room");
}
