use lora_core::ops::ConvShape;

use super::*;

const SAME3: LayerKind = LayerKind::Conv2d(ConvShape::SAME3);
const POINTWISE: LayerKind = LayerKind::Conv2d(ConvShape::POINTWISE);
const TO_Q: &str = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
const FC1: &str = "text_encoder.text_model.encoder.layers.0.mlp.fc1";
const CONV1: &str = "unet.down_blocks.0.resnets.0.conv1";

fn layer(path: &str, kind: LayerKind) -> LayerSpec {
    LayerSpec {
        path: LayerPath::parse(path).expect("a path"),
        kind,
        inputs: 4,
        outputs: 4,
    }
}

fn rank(targets: &Targets, path: &str, kind: LayerKind) -> Option<RankAlpha> {
    let specs = targets
        .resolve(&[layer(path, kind)], Naming::Sd)
        .expect("fitting targets");
    specs.first().map(|spec| RankAlpha {
        rank: spec.rank,
        alpha: spec.alpha,
    })
}

const LINEAR: RankAlpha = RankAlpha {
    rank: 8,
    alpha: 4.0,
};
const CONV: RankAlpha = RankAlpha {
    rank: 2,
    alpha: 1.0,
};

/// Layers, and rank and alpha of their adapters without and with `conv`.
const CHOICE: [(&str, LayerKind, Option<RankAlpha>, Option<RankAlpha>); 10] = [
    (
        "unet.mid_block.attentions.0.proj_in",
        POINTWISE,
        Some(LINEAR),
        Some(LINEAR),
    ),
    (
        "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.2",
        LayerKind::Linear,
        Some(LINEAR),
        Some(LINEAR),
    ),
    ("unet.mid_block.resnets.0.conv1", SAME3, None, Some(CONV)),
    (
        "unet.mid_block.resnets.0.time_emb_proj",
        LayerKind::Linear,
        None,
        Some(LINEAR),
    ),
    (
        "unet.up_blocks.0.resnets.0.conv_shortcut",
        POINTWISE,
        None,
        Some(LINEAR),
    ),
    (
        "unet.down_blocks.0.downsamplers.0.conv",
        SAME3,
        None,
        Some(CONV),
    ),
    ("unet.conv_in", SAME3, None, None),
    (
        "unet.time_embedding.linear_1",
        LayerKind::Linear,
        None,
        None,
    ),
    (FC1, LayerKind::Linear, Some(LINEAR), Some(LINEAR)),
    (
        "vae.encoder.mid_block.attentions.0.to_q",
        LayerKind::Linear,
        None,
        None,
    ),
];

#[test]
fn the_choice_of_layers() {
    let plain = Targets {
        linear: LINEAR,
        ..Targets::default()
    };
    let with_conv = Targets {
        conv: Some(CONV),
        ..plain.clone()
    };
    let widened = Targets {
        widened: true,
        ..plain.clone()
    };
    for (path, kind, without, with) in CHOICE {
        assert_eq!(rank(&plain, path, kind), without, "{path}");
        assert_eq!(rank(&with_conv, path, kind), with, "{path}");
        let is_linear = with == Some(LINEAR);
        assert_eq!(
            rank(&widened, path, kind),
            if is_linear { with } else { None },
            "{path}"
        );
    }
    let unet_only = Targets {
        text_encoder: false,
        ..plain
    };
    assert_eq!(rank(&unet_only, FC1, LayerKind::Linear), None);
}

#[test]
fn ranks_of_blocks() {
    let numbers = |f: fn(usize) -> usize| (0..25).map(f).collect::<Vec<_>>();
    let alphas = numbers(|block| if block == 12 { 0 } else { 2 })
        .into_iter()
        .map(|alpha| alpha as f32)
        .collect();
    let mut weights = vec![1.0; 25];
    weights[2] = 0.0;
    let blocks = BlockTargets {
        dims: Some(numbers(|block| block)),
        alphas: Some(alphas),
        conv_dims: Some(numbers(|block| 100 + block)),
        conv_alphas: None,
        lr_weights: Some(weights),
    };
    let targets = Targets {
        linear: LINEAR,
        blocks,
        ..Targets::default()
    };
    // An alpha of 0 means the rank.
    assert_eq!(
        rank(&targets, TO_Q, LayerKind::Linear),
        Some(RankAlpha {
            rank: 12,
            alpha: 12.0
        })
    );
    let proj = "unet.down_blocks.0.attentions.0.proj_in";
    assert_eq!(
        rank(&targets, proj, POINTWISE),
        Some(RankAlpha {
            rank: 1,
            alpha: 2.0
        })
    );
    assert_eq!(
        rank(&targets, CONV1, SAME3),
        Some(RankAlpha {
            rank: 101,
            alpha: 1.0
        })
    );
    assert_eq!(
        rank(&targets, "unet.down_blocks.0.resnets.1.conv1", SAME3),
        None
    );
    assert_eq!(rank(&targets, FC1, LayerKind::Linear), Some(LINEAR));
}

#[test]
fn a_rank_of_0_is_no_adapter() {
    // Convolutions keep the rank that they have in all blocks.
    let blocks = BlockTargets {
        dims: Some(vec![0; 25]),
        ..BlockTargets::default()
    };
    let targets = Targets {
        linear: LINEAR,
        conv: Some(LINEAR),
        blocks,
        ..Targets::default()
    };
    assert_eq!(rank(&targets, TO_Q, LayerKind::Linear), None);
    assert_eq!(rank(&targets, CONV1, SAME3), Some(LINEAR));
}

#[test]
fn lists_of_a_wrong_length_are_named() {
    let lists = [
        BlockTargets {
            dims: Some(vec![1; 24]),
            ..BlockTargets::default()
        },
        BlockTargets {
            alphas: Some(vec![1.0; 24]),
            ..BlockTargets::default()
        },
        BlockTargets {
            conv_dims: Some(vec![1; 24]),
            ..BlockTargets::default()
        },
        BlockTargets {
            conv_alphas: Some(vec![1.0; 24]),
            ..BlockTargets::default()
        },
        BlockTargets {
            lr_weights: Some(vec![1.0; 24]),
            ..BlockTargets::default()
        },
    ];
    let options = [
        "block_dims",
        "block_alphas",
        "conv_block_dims",
        "conv_block_alphas",
        "block_lr_weight",
    ];
    for (option, blocks) in options.into_iter().zip(lists) {
        let targets = Targets {
            blocks,
            ..Targets::default()
        };
        for (naming, expected) in [(Naming::Sd, 25), (Naming::Sdxl, 23)] {
            let error = targets.resolve(&[layer(TO_Q, LayerKind::Linear)], naming);
            let found = 24;
            let expected = Error::BlockCount {
                option,
                found,
                expected,
            };
            assert_eq!(error, Err(expected));
        }
    }
}

#[test]
fn a_negative_factor_is_named() {
    let mut weights = vec![1.0; 25];
    weights[7] = -0.5;
    let blocks = BlockTargets {
        lr_weights: Some(weights),
        ..BlockTargets::default()
    };
    let targets = Targets {
        blocks,
        ..Targets::default()
    };
    let (block, found) = (7, -0.5);
    assert_eq!(
        targets.resolve(&[layer(TO_Q, LayerKind::Linear)], Naming::Sd),
        Err(Error::BlockWeight { block, found })
    );
}

#[test]
fn patterns() {
    let layers = [
        layer(TO_Q, LayerKind::Linear),
        layer(FC1, LayerKind::Linear),
        layer(CONV1, SAME3),
    ];
    let resolve = |include: &[&str], exclude: &[&str]| {
        let [include, exclude] =
            [include, exclude].map(|patterns| patterns.iter().map(ToString::to_string).collect());
        let targets = Targets {
            include,
            exclude,
            ..Targets::default()
        };
        let specs = targets.resolve(&layers, Naming::Sd)?;
        let are_targets = layers
            .iter()
            .map(|layer| specs.iter().any(|spec| spec.layer == *layer));
        Ok::<_, Error>(are_targets.collect::<Vec<_>>())
    };
    assert_eq!(resolve(&[], &[]), Ok(vec![true, true, false]));
    assert_eq!(resolve(&["*.attn1.*"], &[]), Ok(vec![true, false, false]));
    assert_eq!(resolve(&[], &["lora_unet_*"]), Ok(vec![false, true, false]));
    assert_eq!(
        resolve(&["*to_q", "lora_te_*"], &["unet.mid_block.*"]),
        Ok(vec![false, true, false])
    );
    let error = |option, pattern: &str| {
        Err(Error::Pattern {
            option,
            pattern: pattern.into(),
        })
    };
    assert_eq!(
        resolve(&["*", "*.attn3.*"], &[]),
        error("include", "*.attn3.*")
    );
    // No target without `conv`.
    assert_eq!(
        resolve(&[], &["*.resnets.*"]),
        error("exclude", "*.resnets.*")
    );
}
