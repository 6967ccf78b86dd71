//! The tensors of a VAE.

use super::plan::Plan;

/// Resnets per level of the encoder; the decoder has one more.
const RESNETS: usize = 2;

/// Adds an autoencoder with these channels per level.
pub(super) fn vae(plan: &mut Plan, at: &str, channels: [usize; 4]) {
    let (first, last) = (channels[0], channels[3]);
    let encoder = format!("{at}.encoder");
    plan.conv(&format!("{encoder}.conv_in"), 3, first, 3);
    let mut width = first;
    for (level, channels) in channels.into_iter().enumerate() {
        for block in 0..RESNETS {
            vae_resnet(
                plan,
                &format!("{encoder}.down.{level}.block.{block}"),
                width,
                channels,
            );
            width = channels;
        }
        if level < 3 {
            plan.conv(
                &format!("{encoder}.down.{level}.downsample.conv"),
                width,
                width,
                3,
            );
        }
    }
    vae_mid(plan, &encoder, last);
    plan.norm(&format!("{encoder}.norm_out"), last);
    plan.conv(&format!("{encoder}.conv_out"), last, 8, 3);
    plan.conv(&format!("{at}.quant_conv"), 8, 8, 1);
    plan.conv(&format!("{at}.post_quant_conv"), 4, 4, 1);

    let decoder = format!("{at}.decoder");
    plan.conv(&format!("{decoder}.conv_in"), 4, last, 3);
    vae_mid(plan, &decoder, last);
    for (level, channels) in channels.into_iter().enumerate().rev() {
        for block in 0..=RESNETS {
            vae_resnet(
                plan,
                &format!("{decoder}.up.{level}.block.{block}"),
                width,
                channels,
            );
            width = channels;
        }
        if level > 0 {
            plan.conv(
                &format!("{decoder}.up.{level}.upsample.conv"),
                width,
                width,
                3,
            );
        }
    }
    plan.norm(&format!("{decoder}.norm_out"), first);
    plan.conv(&format!("{decoder}.conv_out"), first, 3, 3);
}

fn vae_mid(plan: &mut Plan, side: &str, width: usize) {
    vae_resnet(plan, &format!("{side}.mid.block_1"), width, width);
    plan.norm(&format!("{side}.mid.attn_1.norm"), width);
    for name in ["q", "k", "v", "proj_out"] {
        plan.conv(&format!("{side}.mid.attn_1.{name}"), width, width, 1);
    }
    vae_resnet(plan, &format!("{side}.mid.block_2"), width, width);
}

fn vae_resnet(plan: &mut Plan, at: &str, inputs: usize, outputs: usize) {
    plan.norm(&format!("{at}.norm1"), inputs);
    plan.conv(&format!("{at}.conv1"), inputs, outputs, 3);
    plan.norm(&format!("{at}.norm2"), outputs);
    plan.conv(&format!("{at}.conv2"), outputs, outputs, 3);
    if inputs != outputs {
        plan.conv(&format!("{at}.nin_shortcut"), inputs, outputs, 1);
    }
}
