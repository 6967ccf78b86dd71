//! The tensors of text encoders.

use safetensors::Dtype;

use super::plan::{Init, Plan, PlannedTensor};

/// Adds CLIP's text encoder, in the spelling of the transformers library.
pub(super) fn clip(plan: &mut Plan, at: &str, width: usize, layers: usize) {
    let embeddings = format!("{at}.embeddings");
    plan.tensors.push(PlannedTensor {
        key: format!("{embeddings}.position_ids"),
        dtype: Dtype::I64,
        shape: vec![1, 77],
        init: Init::Positions,
    });
    plan.add(
        format!("{embeddings}.token_embedding.weight"),
        &[49408, width],
        Init::Uniform { std: 0.02 },
    );
    plan.add(
        format!("{embeddings}.position_embedding.weight"),
        &[77, width],
        Init::Uniform { std: 0.02 },
    );
    for layer in 0..layers {
        let layer = format!("{at}.encoder.layers.{layer}");
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            plan.linear(&format!("{layer}.self_attn.{name}"), width, width);
        }
        plan.linear(&format!("{layer}.mlp.fc1"), width, 4 * width);
        plan.linear(&format!("{layer}.mlp.fc2"), 4 * width, width);
        plan.norm(&format!("{layer}.layer_norm1"), width);
        plan.norm(&format!("{layer}.layer_norm2"), width);
    }
    plan.norm(&format!("{at}.final_layer_norm"), width);
}

/// Adds OpenCLIP's text encoder, in its own spelling.
pub(super) fn open_clip(plan: &mut Plan, at: &str, width: usize, layers: usize) {
    plan.add(
        format!("{at}.token_embedding.weight"),
        &[49408, width],
        Init::Uniform { std: 0.02 },
    );
    plan.add(
        format!("{at}.positional_embedding"),
        &[77, width],
        Init::Uniform { std: 0.02 },
    );
    for layer in 0..layers {
        let layer = format!("{at}.transformer.resblocks.{layer}");
        let std = 1.0 / (width as f32).sqrt();
        plan.add(
            format!("{layer}.attn.in_proj_weight"),
            &[3 * width, width],
            Init::Uniform { std },
        );
        plan.add(
            format!("{layer}.attn.in_proj_bias"),
            &[3 * width],
            Init::Uniform { std: 0.02 },
        );
        plan.linear(&format!("{layer}.attn.out_proj"), width, width);
        plan.linear(&format!("{layer}.mlp.c_fc"), width, 4 * width);
        plan.linear(&format!("{layer}.mlp.c_proj"), 4 * width, width);
        plan.norm(&format!("{layer}.ln_1"), width);
        plan.norm(&format!("{layer}.ln_2"), width);
    }
    plan.norm(&format!("{at}.ln_final"), width);
    plan.add(
        format!("{at}.text_projection"),
        &[width, width],
        Init::Uniform {
            std: 1.0 / (width as f32).sqrt(),
        },
    );
    // ln 100, the value after training.
    plan.add(format!("{at}.logit_scale"), &[], Init::Constant(4.605));
}
