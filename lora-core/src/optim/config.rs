//! Which rule an optimizer follows, and its settings.

use super::{
    AdafactorConfig, AdamWConfig, CameConfig, DAdaptAdaGradConfig, DAdaptAdamConfig,
    DAdaptAdamPreprintConfig, DAdaptAdanConfig, DAdaptLionConfig, DAdaptSgdConfig, LionConfig,
    OptimizerKind, ProdigyConfig, ProdigyPlusConfig, RmsPropConfig, ScheduleFreeConfig, SgdConfig,
};

/// A rule and its settings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// torch's AdamW.
    AdamW(AdamWConfig),
    /// bitsandbytes' AdamW with moments in f32. Where these are in memory is no matter here; weight
    /// decay comes after the step.
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
    /// The settings that a package's constructor has where sd-scripts gives no argument.
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

    /// About how many bytes the rule remembers of each number that is trained.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        match self {
            Self::Adafactor(_) => 0,
            Self::Lion8bit(_) | Self::Sgd8bit(_) => 1,
            Self::AdamW8bit(_) => 2,
            Self::RmsProp(_)
            | Self::Lion(_)
            | Self::SgdNesterov(_)
            | Self::Came(_)
            | Self::SgdScheduleFree(_) => 4,
            Self::AdamW(_)
            | Self::PagedAdamW(_)
            | Self::Adam(_)
            | Self::AdamWScheduleFree(_)
            | Self::RAdamScheduleFree(_)
            | Self::DAdaptSgd(_)
            | Self::ProdigyPlusScheduleFree(_)
            | Self::DAdaptLion(_) => 8,
            Self::DAdaptAdamPreprint(_) | Self::DAdaptAdam(_) | Self::DAdaptAdaGrad(_) => 12,
            Self::Prodigy(_) => 16,
            Self::DAdaptAdan(_) | Self::DAdaptAdanIp(_) => 20,
        }
    }

    /// Whether the rule is schedule-free: it averages parameters instead of letting the rate fall.
    #[must_use]
    pub fn is_schedule_free(&self) -> bool {
        matches!(
            self,
            Self::AdamWScheduleFree(_)
                | Self::RAdamScheduleFree(_)
                | Self::SgdScheduleFree(_)
                | Self::ProdigyPlusScheduleFree(_)
        )
    }

    /// Whether the rates follow a learning-rate schedule. Schedule-free rules and Adafactor with
    /// `relative_step` make their own course; sd-scripts gives them a schedule that does nothing.
    #[must_use]
    pub fn takes_schedule(&self) -> bool {
        !self.is_schedule_free()
            && !matches!(
                self,
                Self::Adafactor(AdafactorConfig {
                    relative_step: true,
                    ..
                })
            )
    }

    /// Whether the rule estimates the rate, so that the given one is a factor, best 1.
    #[must_use]
    pub fn adapts_learning_rate(&self) -> bool {
        matches!(
            self,
            Self::Prodigy(_)
                | Self::DAdaptAdamPreprint(_)
                | Self::DAdaptAdam(_)
                | Self::DAdaptAdaGrad(_)
                | Self::DAdaptAdan(_)
                | Self::DAdaptAdanIp(_)
                | Self::DAdaptLion(_)
                | Self::DAdaptSgd(_)
                | Self::ProdigyPlusScheduleFree(_)
        )
    }

    /// Whether all parameters that are trained must have the same rate, because one estimate serves
    /// all.
    #[must_use]
    pub fn needs_one_learning_rate(&self) -> bool {
        self.adapts_learning_rate() && !matches!(self, Self::ProdigyPlusScheduleFree(_))
    }
}
