//! The tensors of a UNet.

use super::plan::Plan;

/// The sizes of a UNet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnetShape {
    /// Channels of each level.
    pub channels: Vec<usize>,
    /// Transformer blocks per transformer of each level; 0 if the level has none.
    pub depths: Vec<usize>,
    /// Transformer blocks of the middle block.
    pub middle_depth: usize,
    /// Resnets per level on the way down; there is one more on the way up.
    pub resnets: usize,
    /// Width of the encoder hidden states.
    pub cross_attention_dim: usize,
    /// True if the layers before and after the transformer blocks are linear layers, false if they
    /// are 1x1 convolutions.
    pub use_linear_projection: bool,
    /// Width of the added conditions (pooled caption embedding and time ids), if there are any.
    pub added_cond_width: Option<usize>,
}

impl UnetShape {
    /// The sizes of Stable Diffusion 1.x.
    #[must_use]
    pub fn sd1() -> Self {
        Self {
            channels: vec![320, 640, 1280, 1280],
            depths: vec![1, 1, 1, 0],
            middle_depth: 1,
            resnets: 2,
            cross_attention_dim: 768,
            use_linear_projection: false,
            added_cond_width: None,
        }
    }

    /// The sizes of Stable Diffusion 2.x.
    #[must_use]
    pub fn sd2() -> Self {
        Self {
            cross_attention_dim: 1024,
            use_linear_projection: true,
            ..Self::sd1()
        }
    }

    /// The sizes of SDXL.
    #[must_use]
    pub fn sdxl() -> Self {
        Self {
            channels: vec![320, 640, 1280],
            depths: vec![0, 2, 10],
            middle_depth: 10,
            resnets: 2,
            cross_attention_dim: 2048,
            use_linear_projection: true,
            added_cond_width: Some(2816),
        }
    }

    pub(super) fn plan(&self, plan: &mut Plan, at: &str) {
        let first = self.channels[0];
        let time = 4 * first;
        plan.linear(&format!("{at}.time_embed.0"), first, time);
        plan.linear(&format!("{at}.time_embed.2"), time, time);
        if let Some(width) = self.added_cond_width {
            plan.linear(&format!("{at}.label_emb.0.0"), width, time);
            plan.linear(&format!("{at}.label_emb.0.2"), time, time);
        }
        plan.conv(&format!("{at}.input_blocks.0.0"), 4, first, 3);
        let (mut width, mut skips, mut index) = (first, vec![first], 1);
        for (level, channels) in self.channels.iter().copied().enumerate() {
            for _ in 0..self.resnets {
                let block = format!("{at}.input_blocks.{index}");
                self.stage(plan, &block, [width, channels], self.depths[level]);
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
        self.transformer(
            plan,
            &format!("{at}.middle_block.1"),
            width,
            self.middle_depth,
        );
        self.resnet(plan, &format!("{at}.middle_block.2"), width, width);
        let mut index = 0;
        for (level, channels) in self.channels.iter().copied().enumerate().rev() {
            for resnet in 0..=self.resnets {
                let block = format!("{at}.output_blocks.{index}");
                let skip = skips.pop().unwrap_or(0);
                self.stage(plan, &block, [width + skip, channels], self.depths[level]);
                width = channels;
                if resnet == self.resnets && level > 0 {
                    let sub = if self.depths[level] > 0 { 2 } else { 1 };
                    plan.conv(&format!("{block}.{sub}.conv"), width, width, 3);
                }
                index += 1;
            }
        }
        plan.norm(&format!("{at}.out.0"), width);
        plan.conv(&format!("{at}.out.2"), width, 4, 3);
    }

    fn stage(&self, plan: &mut Plan, block: &str, [inputs, outputs]: [usize; 2], depth: usize) {
        self.resnet(plan, &format!("{block}.0"), inputs, outputs);
        if depth > 0 {
            self.transformer(plan, &format!("{block}.1"), outputs, depth);
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

    fn transformer(&self, plan: &mut Plan, at: &str, width: usize, depth: usize) {
        plan.norm(&format!("{at}.norm"), width);
        for name in ["proj_in", "proj_out"] {
            if self.use_linear_projection {
                plan.linear(&format!("{at}.{name}"), width, width);
            } else {
                plan.conv(&format!("{at}.{name}"), width, width, 1);
            }
        }
        for block in 0..depth {
            self.transformer_block(plan, &format!("{at}.transformer_blocks.{block}"), width);
        }
    }

    fn transformer_block(&self, plan: &mut Plan, at: &str, width: usize) {
        for (name, key_width) in [("attn1", width), ("attn2", self.cross_attention_dim)] {
            let attention = format!("{at}.{name}");
            plan.weight(&format!("{attention}.to_q"), &[width, width], false);
            plan.weight(&format!("{attention}.to_k"), &[width, key_width], false);
            plan.weight(&format!("{attention}.to_v"), &[width, key_width], false);
            plan.linear(&format!("{attention}.to_out.0"), width, width);
        }
        plan.linear(&format!("{at}.ff.net.0.proj"), width, 8 * width);
        plan.linear(&format!("{at}.ff.net.2"), 4 * width, width);
        for norm in ["norm1", "norm2", "norm3"] {
            plan.norm(&format!("{at}.{norm}"), width);
        }
    }
}
