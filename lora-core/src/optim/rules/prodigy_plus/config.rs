//! Settings of `ProdigyPlusScheduleFree`.

use crate::optim::arguments::argument::{
    Argument, Range, any_flag, count, fixed, flag, number, numbers, optional,
};

/// Settings of `ProdigyPlusScheduleFree`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProdigyPlusConfig {
    /// Share of the average in y.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Decay of what d is estimated from; √beta2 if none.
    pub beta3: Option<f64>,
    /// Added to the denominator; none means Adam-atan2 (Everett et al. 2024) instead.
    pub eps: Option<f64>,
    /// Weight decay at y.
    pub weight_decay: f64,
    /// Whether weight decay is multiplied with the rate.
    pub weight_decay_by_lr: bool,
    /// Whether the rate is corrected as in `RAdam`.
    pub use_bias_correction: bool,
    /// Estimate to begin with.
    pub d0: f64,
    /// What estimates are multiplied with.
    pub d_coef: f64,
    /// The update after which d stays; 0 means never.
    pub prodigy_steps: usize,
    /// Whether the estimate is made from signs alone.
    pub use_speed: bool,
    /// Whether each group of parameters (a network and a rate) has a d of its own.
    pub split_groups: bool,
    /// Whether the groups' rates come from the harmonic mean of their d.
    pub split_groups_mean: bool,
    /// Whether the mean of squares is factored.
    pub factored: bool,
    /// Whether steps are scaled down to a root mean square of 1.
    pub use_stableadamw: bool,
    /// Whether values whose step opposes the gradient stay (Liang et al. 2024).
    pub use_cautious: bool,
    /// Whether steps take their direction from the gradient alone (Cao et al. 2024).
    pub use_grams: bool,
    /// Whether the mean of squares takes the gradient in after the step (Taniguchi et al. 2024).
    pub use_adopt: bool,
    /// Whether the part of the gradient along the parameter is removed (Prieto et al. 2025).
    pub use_orthograd: bool,
}

impl Default for ProdigyPlusConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.99,
            beta3: None,
            eps: Some(1e-8),
            weight_decay: 0.0,
            weight_decay_by_lr: true,
            use_bias_correction: false,
            d0: 1e-6,
            d_coef: 1.0,
            prodigy_steps: 0,
            use_speed: false,
            split_groups: true,
            split_groups_mean: true,
            factored: true,
            use_stableadamw: true,
            use_cautious: false,
            use_grams: false,
            use_adopt: false,
            use_orthograd: false,
        }
    }
}

impl ProdigyPlusConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let betas = vec![&mut self.beta1, &mut self.beta2];
        let mut slots = vec![
            numbers("betas", betas, Range::BetweenZeroAndOne),
            optional("beta3", &mut self.beta3, Range::BelowOne),
            optional("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("weight_decay_by_lr", &mut self.weight_decay_by_lr),
            flag("use_bias_correction", &mut self.use_bias_correction),
            number("d0", &mut self.d0, Range::Positive),
            number("d_coef", &mut self.d_coef, Range::Positive),
            count("prodigy_steps", &mut self.prodigy_steps, 0),
            flag("use_speed", &mut self.use_speed),
            flag("split_groups", &mut self.split_groups),
            flag("split_groups_mean", &mut self.split_groups_mean),
            flag("factored", &mut self.factored),
            flag("use_stableadamw", &mut self.use_stableadamw),
            flag("use_cautious", &mut self.use_cautious),
            flag("use_grams", &mut self.use_grams),
            flag("use_adopt", &mut self.use_adopt),
            flag("use_orthograd", &mut self.use_orthograd),
        ];
        slots.extend(fixed(
            &["fused_back_pass", "use_muon_pp", "use_focus"],
            false,
        ));
        slots.extend(["factored_fp32", "stochastic_rounding"].map(any_flag));
        slots
    }
}
