//! The tensors of single-file checkpoints.

use safetensors::Dtype;

/// A tensor to make.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) init: Init,
}

/// How its values are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Init {
    /// 0, 1, 2, …
    Positions,
    Constant(f32),
    /// A function of the index.
    Table(fn(usize) -> f64),
    Uniform {
        std: f32,
    },
}

#[derive(Debug, Default)]
struct Plan(Vec<Planned>);

impl Plan {
    fn add(&mut self, key: impl Into<String>, shape: &[usize], init: Init) {
        self.0.push(Planned { key: key.into(), dtype: Dtype::F16, shape: shape.to_vec(), init });
    }

    /// A weight whose output has the variance of its input.
    fn weight(&mut self, key: &str, shape: &[usize], bias: bool) {
        let fan_in: usize = shape[1..].iter().product();
        self.add(format!("{key}.weight"), shape, Init::Uniform { std: 1.0 / (fan_in as f32).sqrt() });
        if bias {
            self.add(format!("{key}.bias"), &shape[..1], Init::Uniform { std: 0.02 });
        }
    }

    fn linear(&mut self, key: &str, inputs: usize, outputs: usize) {
        self.weight(key, &[outputs, inputs], true);
    }

    fn conv(&mut self, key: &str, inputs: usize, outputs: usize, kernel: usize) {
        self.weight(key, &[outputs, inputs, kernel, kernel], true);
    }

    fn norm(&mut self, key: &str, width: usize) {
        self.add(format!("{key}.weight"), &[width], Init::Constant(1.0));
        self.add(format!("{key}.bias"), &[width], Init::Uniform { std: 0.02 });
    }
}

/// Stable Diffusion 1.5.
pub(super) fn sd15() -> Vec<Planned> {
    let mut plan = Plan::default();
    let unet = UnetSpec { channels: [320, 640, 1280, 1280], attention: [true, true, true, false], context: 768 };
    unet.plan(&mut plan, "model.diffusion_model");
    vae(&mut plan, "first_stage_model", [128, 256, 512, 512]);
    clip(&mut plan, "cond_stage_model.transformer.text_model", 768, 12);
    for (key, of) in
        [("betas", beta as fn(usize) -> f64), ("alphas_cumprod", alpha_cumprod), ("sqrt_alphas_cumprod", sqrt_alpha)]
    {
        plan.add(key, &[1000], Init::Table(of));
    }
    plan.0
}

fn beta(step: usize) -> f64 {
    let (first, last) = (0.000_85_f64.sqrt(), 0.012_f64.sqrt());
    (first + (last - first) * step as f64 / 999.0).powi(2)
}

fn alpha_cumprod(step: usize) -> f64 {
    (0..=step).map(|step| 1.0 - beta(step)).product()
}

fn sqrt_alpha(step: usize) -> f64 {
    alpha_cumprod(step).sqrt()
}

struct UnetSpec {
    channels: [usize; 4],
    /// Levels with transformers.
    attention: [bool; 4],
    context: usize,
}

/// Resnets of a level on the way down; on the way up there is one more.
const RESNETS: usize = 2;

impl UnetSpec {
    fn plan(&self, plan: &mut Plan, at: &str) {
        let first = self.channels[0];
        let time = 4 * first;
        plan.linear(&format!("{at}.time_embed.0"), first, time);
        plan.linear(&format!("{at}.time_embed.2"), time, time);
        plan.conv(&format!("{at}.input_blocks.0.0"), 4, first, 3);
        let (mut width, mut skips, mut index) = (first, vec![first], 1);
        for (level, channels) in self.channels.into_iter().enumerate() {
            for _ in 0..RESNETS {
                let block = format!("{at}.input_blocks.{index}");
                self.stage(plan, &block, width, channels, self.attention[level]);
                width = channels;
                skips.push(width);
                index += 1;
            }
            if level + 1 < self.channels.len() {
                plan.conv(&format!("{at}.input_blocks.{index}.0.op"), width, width, 3);
                skips.push(width);
                index += 1;
            }
        }
        self.resnet(plan, &format!("{at}.middle_block.0"), width, width);
        self.transformer(plan, &format!("{at}.middle_block.1"), width);
        self.resnet(plan, &format!("{at}.middle_block.2"), width, width);
        let mut index = 0;
        for (level, channels) in self.channels.into_iter().enumerate().rev() {
            for resnet in 0..=RESNETS {
                let block = format!("{at}.output_blocks.{index}");
                let joined = skips.pop().unwrap_or(0);
                self.stage(plan, &block, width + joined, channels, self.attention[level]);
                width = channels;
                if resnet == RESNETS && level > 0 {
                    let sub = if self.attention[level] { 2 } else { 1 };
                    plan.conv(&format!("{block}.{sub}.conv"), width, width, 3);
                }
                index += 1;
            }
        }
        plan.norm(&format!("{at}.out.0"), width);
        plan.conv(&format!("{at}.out.2"), width, 4, 3);
    }

    fn stage(&self, plan: &mut Plan, block: &str, inputs: usize, outputs: usize, attention: bool) {
        self.resnet(plan, &format!("{block}.0"), inputs, outputs);
        if attention {
            self.transformer(plan, &format!("{block}.1"), outputs);
        }
    }

    fn resnet(&self, plan: &mut Plan, at: &str, inputs: usize, outputs: usize) {
        plan.norm(&format!("{at}.in_layers.0"), inputs);
        plan.conv(&format!("{at}.in_layers.2"), inputs, outputs, 3);
        plan.linear(&format!("{at}.emb_layers.1"), 4 * self.channels[0], outputs);
        plan.norm(&format!("{at}.out_layers.0"), outputs);
        plan.conv(&format!("{at}.out_layers.3"), outputs, outputs, 3);
        if inputs != outputs {
            plan.conv(&format!("{at}.skip_connection"), inputs, outputs, 1);
        }
    }

    fn transformer(&self, plan: &mut Plan, at: &str, width: usize) {
        plan.norm(&format!("{at}.norm"), width);
        plan.conv(&format!("{at}.proj_in"), width, width, 1);
        let block = format!("{at}.transformer_blocks.0");
        for (name, context) in [("attn1", width), ("attn2", self.context)] {
            let attention = format!("{block}.{name}");
            plan.weight(&format!("{attention}.to_q"), &[width, width], false);
            plan.weight(&format!("{attention}.to_k"), &[width, context], false);
            plan.weight(&format!("{attention}.to_v"), &[width, context], false);
            plan.linear(&format!("{attention}.to_out.0"), width, width);
        }
        plan.linear(&format!("{block}.ff.net.0.proj"), width, 8 * width);
        plan.linear(&format!("{block}.ff.net.2"), 4 * width, width);
        for norm in ["norm1", "norm2", "norm3"] {
            plan.norm(&format!("{block}.{norm}"), width);
        }
        plan.conv(&format!("{at}.proj_out"), width, width, 1);
    }
}

fn vae(plan: &mut Plan, at: &str, channels: [usize; 4]) {
    let (first, last) = (channels[0], channels[3]);
    let encoder = format!("{at}.encoder");
    plan.conv(&format!("{encoder}.conv_in"), 3, first, 3);
    let mut width = first;
    for (level, channels) in channels.into_iter().enumerate() {
        for block in 0..RESNETS {
            vae_resnet(plan, &format!("{encoder}.down.{level}.block.{block}"), width, channels);
            width = channels;
        }
        if level < 3 {
            plan.conv(&format!("{encoder}.down.{level}.downsample.conv"), width, width, 3);
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
            vae_resnet(plan, &format!("{decoder}.up.{level}.block.{block}"), width, channels);
            width = channels;
        }
        if level > 0 {
            plan.conv(&format!("{decoder}.up.{level}.upsample.conv"), width, width, 3);
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

fn clip(plan: &mut Plan, at: &str, width: usize, layers: usize) {
    let embeddings = format!("{at}.embeddings");
    plan.0.push(Planned {
        key: format!("{embeddings}.position_ids"),
        dtype: Dtype::I64,
        shape: vec![1, 77],
        init: Init::Positions,
    });
    plan.add(format!("{embeddings}.token_embedding.weight"), &[49408, width], Init::Uniform { std: 0.02 });
    plan.add(format!("{embeddings}.position_embedding.weight"), &[77, width], Init::Uniform { std: 0.02 });
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
