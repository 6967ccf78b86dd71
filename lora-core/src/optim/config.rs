//! The rule of an optimizer and its settings.

use super::arguments::argument::{
    Argument, ConcatAll, Range, any_flag, any_number, bitsandbytes, fixed, fixed_number, torch,
};
use super::kind::OptimizerKind;
use super::rule::Rule;
use super::rules::adafactor::{Adafactor, AdafactorConfig};
use super::rules::adam::{Adam, AdamWConfig, WeightDecay};
use super::rules::came::{Came, CameConfig};
use super::rules::dadapt::{
    DAdaptAdaGrad, DAdaptAdaGradConfig, DAdaptAdam, DAdaptAdamConfig, DAdaptAdamPreprintConfig,
    DAdaptAdan, DAdaptAdanConfig, DAdaptLion, DAdaptLionConfig, DAdaptPreprint, DAdaptSgd,
    DAdaptSgdConfig,
};
use super::rules::lion::{Lion, LionConfig};
use super::rules::prodigy::{Prodigy, ProdigyConfig};
use super::rules::prodigy_plus::{ProdigyPlus, ProdigyPlusConfig};
use super::rules::rmsprop::{RmsProp, RmsPropConfig};
use super::rules::schedule_free::{Inner, ScheduleFree, ScheduleFreeConfig};
use super::rules::sgd::{Momentum, Sgd, SgdConfig};
use super::state::moment::Storage;

/// A rule and its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum OptimizerConfig {
    /// torch's AdamW.
    AdamW(AdamWConfig),
    /// bitsandbytes' AdamW with moments in f32, and weight decay after the step. Paging of the moments
    /// makes no difference here.
    PagedAdamW(AdamWConfig),
    /// bitsandbytes' AdamW with moments in 8 bits.
    AdamW8bit(AdamWConfig),
    /// torch's Adam, with weight decay in the gradient.
    Adam(AdamWConfig),
    /// torch's RMSprop.
    RmsProp(RmsPropConfig),
    /// lion-pytorch's Lion.
    Lion(LionConfig),
    /// bitsandbytes' Lion with the mean in 8 bits.
    Lion8bit(LionConfig),
    /// torch's gradient descent with Nesterov's momentum.
    SgdNesterov(SgdConfig),
    /// bitsandbytes' gradient descent with the momentum in 8 bits, which is plain momentum.
    Sgd8bit(SgdConfig),
    /// transformers' Adafactor.
    Adafactor(AdafactorConfig),
    /// pytorch-optimizer's CAME.
    Came(CameConfig),
    /// prodigyopt's Prodigy.
    Prodigy(ProdigyConfig),
    /// dadaptation's Adam of the paper's first version.
    DAdaptAdamPreprint(DAdaptAdamPreprintConfig),
    /// dadaptation's Adam.
    DAdaptAdam(DAdaptAdamConfig),
    /// dadaptation's AdaGrad.
    DAdaptAdaGrad(DAdaptAdaGradConfig),
    /// dadaptation's Adan.
    DAdaptAdan(DAdaptAdanConfig),
    /// dadaptation's Adan with the tighter bound.
    DAdaptAdanIp(DAdaptAdanConfig),
    /// dadaptation's Lion.
    DAdaptLion(DAdaptLionConfig),
    /// dadaptation's gradient descent.
    DAdaptSgd(DAdaptSgdConfig),
    /// schedulefree's AdamW.
    AdamWScheduleFree(ScheduleFreeConfig),
    /// schedulefree's `RAdam`.
    RAdamScheduleFree(ScheduleFreeConfig),
    /// schedulefree's gradient descent.
    SgdScheduleFree(ScheduleFreeConfig),
    /// Prodigy with schedule-free averaging.
    ProdigyPlusScheduleFree(ProdigyPlusConfig),
}

impl OptimizerConfig {
    /// The defaults of the package's constructor, or of sd-scripts if it sets an argument.
    #[must_use]
    pub fn of_kind(kind: OptimizerKind) -> Self {
        use OptimizerKind as Kind;
        match kind {
            Kind::AdamW => Self::AdamW(AdamWConfig::default()),
            Kind::AdamW8bit | Kind::PagedAdamW8bit => Self::AdamW8bit(AdamWConfig::default()),
            Kind::PagedAdamW | Kind::PagedAdamW32bit => Self::PagedAdamW(AdamWConfig::default()),
            Kind::Adam => Self::Adam(AdamWConfig {
                weight_decay: 0.0,
                ..AdamWConfig::default()
            }),
            Kind::RmsProp => Self::RmsProp(RmsPropConfig::default()),
            Kind::Lion => Self::Lion(LionConfig::default()),
            Kind::Lion8bit | Kind::PagedLion8bit => Self::Lion8bit(LionConfig::default()),
            Kind::SgdNesterov => Self::SgdNesterov(SgdConfig::default()),
            Kind::SgdNesterov8bit => Self::Sgd8bit(SgdConfig::default()),
            Kind::Adafactor => Self::Adafactor(AdafactorConfig::default()),
            Kind::Prodigy => Self::Prodigy(ProdigyConfig::default()),
            Kind::DAdaptation | Kind::DAdaptAdamPreprint => {
                Self::DAdaptAdamPreprint(DAdaptAdamPreprintConfig::default())
            }
            Kind::DAdaptAdam => Self::DAdaptAdam(DAdaptAdamConfig::default()),
            Kind::DAdaptAdaGrad => Self::DAdaptAdaGrad(DAdaptAdaGradConfig::default()),
            Kind::DAdaptAdan => Self::DAdaptAdan(DAdaptAdanConfig::default()),
            Kind::DAdaptAdanIp => Self::DAdaptAdanIp(DAdaptAdanConfig::default()),
            Kind::DAdaptLion => Self::DAdaptLion(DAdaptLionConfig::default()),
            Kind::DAdaptSgd => Self::DAdaptSgd(DAdaptSgdConfig::default()),
            Kind::AdamWScheduleFree => Self::AdamWScheduleFree(ScheduleFreeConfig::default()),
            Kind::RAdamScheduleFree => Self::RAdamScheduleFree(ScheduleFreeConfig::default()),
            Kind::SgdScheduleFree => Self::SgdScheduleFree(ScheduleFreeConfig::default()),
            Kind::ProdigyPlusScheduleFree => {
                Self::ProdigyPlusScheduleFree(ProdigyPlusConfig::default())
            }
            Kind::Came => Self::Came(CameConfig::default()),
        }
    }

    /// The rule without any state.
    pub(super) fn rule(&self) -> Box<dyn Rule> {
        match self.clone() {
            Self::AdamW(config) => {
                Box::new(Adam::new(config, WeightDecay::Decoupled, Storage::Float))
            }
            Self::PagedAdamW(config) => {
                Box::new(Adam::new(config, WeightDecay::AfterStep, Storage::Float))
            }
            Self::AdamW8bit(config) => {
                Box::new(Adam::new(config, WeightDecay::AfterStep, Storage::EightBit))
            }
            Self::Adam(config) => {
                Box::new(Adam::new(config, WeightDecay::Gradient, Storage::Float))
            }
            Self::RmsProp(config) => Box::new(RmsProp::new(config)),
            Self::Lion(config) => Box::new(Lion::new(config, Storage::Float)),
            Self::Lion8bit(config) => Box::new(Lion::new(config, Storage::EightBit)),
            Self::SgdNesterov(config) => {
                Box::new(Sgd::new(config, Momentum::Nesterov, Storage::Float))
            }
            Self::Sgd8bit(config) => Box::new(Sgd::new(config, Momentum::Plain, Storage::EightBit)),
            Self::Adafactor(config) => Box::new(Adafactor::new(config)),
            Self::Came(config) => Box::new(Came::new(config)),
            Self::Prodigy(config) => Box::new(Prodigy::new(config)),
            Self::DAdaptAdamPreprint(config) => Box::new(DAdaptPreprint::new(config)),
            Self::DAdaptAdam(config) => Box::new(DAdaptAdam::new(config)),
            Self::DAdaptAdaGrad(config) => Box::new(DAdaptAdaGrad::new(config)),
            Self::DAdaptAdan(config) => Box::new(DAdaptAdan::new(config, false)),
            Self::DAdaptAdanIp(config) => Box::new(DAdaptAdan::new(config, true)),
            Self::DAdaptLion(config) => Box::new(DAdaptLion::new(config)),
            Self::DAdaptSgd(config) => Box::new(DAdaptSgd::new(config)),
            Self::AdamWScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::AdamW)),
            Self::RAdamScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::RAdam)),
            Self::SgdScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::Sgd)),
            Self::ProdigyPlusScheduleFree(config) => Box::new(ProdigyPlus::new(config)),
        }
    }

    /// The arguments of the optimizer, each with the setting that it changes.
    pub(super) fn arguments(&mut self) -> Vec<Argument<'_>> {
        match self {
            Self::AdamW(config) | Self::Adam(config) => [
                config.arguments(),
                torch(&["amsgrad"]),
                vec![any_flag("fused")],
            ]
            .concat_all(),
            Self::PagedAdamW(config) | Self::AdamW8bit(config) => [
                config.arguments(),
                fixed(&["amsgrad"], false),
                bitsandbytes(),
            ]
            .concat_all(),
            Self::RmsProp(config) => [config.arguments(), torch(&[])].concat_all(),
            Self::Lion(config) => [
                config.arguments(),
                vec![any_flag("use_triton")],
                fixed(&["decoupled_weight_decay"], false),
            ]
            .concat_all(),
            Self::Lion8bit(config) => [config.arguments(), bitsandbytes()].concat_all(),
            Self::SgdNesterov(config) => {
                let nesterov = fixed(&["nesterov"], true);
                [
                    config.arguments(Range::Positive),
                    nesterov,
                    vec![fixed_number("dampening", 0.0)],
                    torch(&[]),
                    vec![any_flag("fused")],
                ]
                .concat_all()
            }
            Self::Sgd8bit(config) => {
                let unused = vec![any_flag("nesterov"), any_number("dampening")];
                [
                    config.arguments(Range::BetweenZeroAndOne),
                    unused,
                    bitsandbytes(),
                ]
                .concat_all()
            }
            Self::Adafactor(config) => config.arguments(),
            Self::Came(config) => config.arguments(),
            Self::Prodigy(config) => config.arguments(),
            Self::DAdaptAdamPreprint(config) => config.arguments(),
            Self::DAdaptAdam(config) => config.arguments(),
            Self::DAdaptAdaGrad(config) => config.arguments(),
            Self::DAdaptAdan(config) | Self::DAdaptAdanIp(config) => config.arguments(),
            Self::DAdaptLion(config) => config.arguments(),
            Self::DAdaptSgd(config) => config.arguments(),
            Self::AdamWScheduleFree(config) => config.arguments(&["warmup_steps"]),
            Self::RAdamScheduleFree(config) => config.arguments(&["silent_sgd_phase"]),
            Self::SgdScheduleFree(config) => config.arguments(&["momentum", "warmup_steps"]),
            Self::ProdigyPlusScheduleFree(config) => config.arguments(),
        }
    }

    /// About how many bytes of state the rule keeps per trained number.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.rule().state_bytes()
    }

    /// True if the rule is schedule-free: it averages parameters instead of lowering the rate.
    #[must_use]
    pub fn is_schedule_free(&self) -> bool {
        self.rule().evaluation_values(&[]).is_some()
    }

    /// True if the rates follow a learning-rate schedule. Schedule-free rules and Adafactor with
    /// `relative_step` do not; sd-scripts gives them a schedule without effect.
    #[must_use]
    pub fn takes_schedule(&self) -> bool {
        self.rule().takes_schedule()
    }

    /// True if the rule estimates the rate, so that the configured one is a factor, best 1.
    #[must_use]
    pub fn adapts_learning_rate(&self) -> bool {
        self.rule().distance().is_some()
    }

    /// True if all trained parameters must have the same rate, because one estimate serves all.
    #[must_use]
    pub fn needs_one_learning_rate(&self) -> bool {
        self.rule().needs_one_learning_rate()
    }
}

impl OptimizerKind {
    /// True if it estimates the rate, so that the configured one is a factor, best 1.
    #[must_use]
    pub fn adapts_learning_rate(self) -> bool {
        OptimizerConfig::of_kind(self).adapts_learning_rate()
    }

    /// True if all trained parameters must have the same rate, because one estimate serves all.
    #[must_use]
    pub fn needs_one_learning_rate(self) -> bool {
        OptimizerConfig::of_kind(self).needs_one_learning_rate()
    }
}
