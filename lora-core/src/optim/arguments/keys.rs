//! Which arguments an optimizer has.

use super::{Range, Slot, Target};
use crate::optim::OptimizerConfig;
use crate::optim::literal::Literal;
use crate::optim::{
    AdafactorConfig, AdamWConfig, CameConfig, DAdaptAdaGradConfig, DAdaptAdamConfig,
    DAdaptAdamPreprintConfig, DAdaptAdanConfig, DAdaptLionConfig, DAdaptSgdConfig, LionConfig,
    ProdigyConfig, ProdigyPlusConfig, RmsPropConfig, ScheduleFreeConfig, SgdConfig,
};

/// The arguments of a configuration's optimizer.
pub(super) fn keys(config: &mut OptimizerConfig) -> Vec<Slot<'_>> {
    use OptimizerConfig as Config;
    match config {
        Config::AdamW(config) | Config::Adam(config) => {
            [adam(config), torch(&["amsgrad"]), vec![any_flag("fused")]].concat_all()
        }
        Config::PagedAdamW(config) | Config::AdamW8bit(config) => {
            [adam(config), fixed(&["amsgrad"], false), bitsandbytes()].concat_all()
        }
        Config::RmsProp(config) => [rmsprop(config), torch(&[])].concat_all(),
        Config::Lion(config) => [
            lion(config),
            vec![any_flag("use_triton")],
            fixed(&["decoupled_weight_decay"], false),
        ]
        .concat_all(),
        Config::Lion8bit(config) => [lion(config), bitsandbytes()].concat_all(),
        Config::SgdNesterov(config) => {
            let dampening = Slot {
                name: "dampening",
                target: Target::Fixed(Literal::Number(0.0)),
            };
            let nesterov = fixed(&["nesterov"], true);
            [
                sgd(config, Range::Positive),
                nesterov,
                vec![dampening],
                torch(&[]),
                vec![any_flag("fused")],
            ]
            .concat_all()
        }
        Config::Sgd8bit(config) => {
            let unused = vec![
                any_flag("nesterov"),
                Slot {
                    name: "dampening",
                    target: Target::AnyNumber,
                },
            ];
            [
                sgd(config, Range::BetweenZeroAndOne),
                unused,
                bitsandbytes(),
            ]
            .concat_all()
        }
        Config::Adafactor(config) => adafactor(config),
        Config::Came(config) => came(config),
        Config::Prodigy(config) => prodigy(config),
        Config::DAdaptAdamPreprint(config) => dadapt_preprint(config),
        Config::DAdaptAdam(config) => dadapt_adam(config),
        Config::DAdaptAdaGrad(config) => dadapt_adagrad(config),
        Config::DAdaptAdan(config) | Config::DAdaptAdanIp(config) => dadapt_adan(config),
        Config::DAdaptLion(config) => dadapt_lion(config),
        Config::DAdaptSgd(config) => dadapt_sgd(config),
        Config::AdamWScheduleFree(config) => schedule_free(config, &["warmup_steps"]),
        Config::RAdamScheduleFree(config) => schedule_free(config, &["silent_sgd_phase"]),
        Config::SgdScheduleFree(config) => schedule_free(config, &["momentum", "warmup_steps"]),
        Config::ProdigyPlusScheduleFree(config) => prodigy_plus(config),
    }
}

/// Lists joined to one.
trait ConcatAll<'a> {
    fn concat_all(self) -> Vec<Slot<'a>>;
}

impl<'a, const N: usize> ConcatAll<'a> for [Vec<Slot<'a>>; N] {
    fn concat_all(self) -> Vec<Slot<'a>> {
        self.into_iter().flatten().collect()
    }
}

fn number<'a>(name: &'static str, target: &'a mut f64, range: Range) -> Slot<'a> {
    Slot {
        name,
        target: Target::Number(target, range),
    }
}

fn pair<'a>(name: &'static str, first: &'a mut f64, second: &'a mut f64) -> Slot<'a> {
    Slot {
        name,
        target: Target::Numbers(vec![first, second], Range::BelowOne),
    }
}

fn flag<'a>(name: &'static str, target: &'a mut bool) -> Slot<'a> {
    Slot {
        name,
        target: Target::Flag(target),
    }
}

fn any_flag<'a>(name: &'static str) -> Slot<'a> {
    Slot {
        name,
        target: Target::AnyFlag,
    }
}

fn fixed<'a>(names: &[&'static str], only: bool) -> Vec<Slot<'a>> {
    names
        .iter()
        .map(|name| Slot {
            name,
            target: Target::Fixed(Literal::Bool(only)),
        })
        .collect()
}

/// How torch is to compute, and what must stay off.
fn torch<'a>(off: &[&'static str]) -> Vec<Slot<'a>> {
    let mut slots = fixed(off, false);
    slots.extend(fixed(&["maximize", "differentiable"], false));
    slots.extend(["foreach", "capturable"].map(any_flag));
    slots
}

fn bitsandbytes<'a>() -> Vec<Slot<'a>> {
    let only = |name, number| Slot {
        name,
        target: Target::Fixed(Literal::Number(number)),
    };
    vec![
        only("min_8bit_size", 4096.0),
        only("percentile_clipping", 100.0),
        Slot {
            name: "block_wise",
            target: Target::Fixed(Literal::Bool(true)),
        },
        any_flag("is_paged"),
    ]
}

fn adam(config: &mut AdamWConfig) -> Vec<Slot<'_>> {
    vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ]
}

fn rmsprop(config: &mut RmsPropConfig) -> Vec<Slot<'_>> {
    vec![
        number("alpha", &mut config.alpha, Range::BelowOne),
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        number("momentum", &mut config.momentum, Range::NotNegative),
        flag("centered", &mut config.centered),
    ]
}

fn lion(config: &mut LionConfig) -> Vec<Slot<'_>> {
    vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ]
}

fn sgd(config: &mut SgdConfig, momentum: Range) -> Vec<Slot<'_>> {
    vec![
        number("momentum", &mut config.momentum, momentum),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ]
}

fn adafactor(config: &mut AdafactorConfig) -> Vec<Slot<'_>> {
    let eps = vec![&mut config.eps_square, &mut config.eps_scale];
    vec![
        Slot {
            name: "eps",
            target: Target::Numbers(eps, Range::Epsilon),
        },
        number(
            "clip_threshold",
            &mut config.clip_threshold,
            Range::Positive,
        ),
        number("decay_rate", &mut config.decay_rate, Range::Any),
        Slot {
            name: "beta1",
            target: Target::Optional(&mut config.beta1, Range::BelowOne),
        },
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("scale_parameter", &mut config.scale_parameter),
        flag("relative_step", &mut config.relative_step),
        flag("warmup_init", &mut config.warmup_init),
    ]
}

fn came(config: &mut CameConfig) -> Vec<Slot<'_>> {
    let betas = vec![&mut config.beta1, &mut config.beta2, &mut config.beta3];
    let own = vec![
        Slot {
            name: "betas",
            target: Target::Numbers(betas, Range::BelowOne),
        },
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("fixed_decay", &mut config.fixed_decay),
        number(
            "clip_threshold",
            &mut config.clip_threshold,
            Range::Positive,
        ),
        number("eps1", &mut config.eps1, Range::Epsilon),
        number("eps2", &mut config.eps2, Range::Epsilon),
    ];
    [
        own,
        fixed(&["weight_decouple"], true),
        fixed(&["ams_bound", "maximize"], false),
    ]
    .concat_all()
}

fn prodigy(config: &mut ProdigyConfig) -> Vec<Slot<'_>> {
    let mut slots = vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        Slot {
            name: "beta3",
            target: Target::Optional(&mut config.beta3, Range::BelowOne),
        },
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("decouple", &mut config.decouple),
        flag("use_bias_correction", &mut config.use_bias_correction),
        flag("safeguard_warmup", &mut config.safeguard_warmup),
        number("d0", &mut config.d0, Range::Positive),
        number("d_coef", &mut config.d_coef, Range::Positive),
        number("growth_rate", &mut config.growth_rate, Range::Positive),
        Slot {
            name: "slice_p",
            target: Target::Count(&mut config.slice_p, 1),
        },
    ];
    slots.extend(fixed(&["fsdp_in_use"], false));
    slots
}

/// What the D-Adaptation rules have in common.
fn dadapt<'a>(d0: &'a mut f64, growth_rate: Option<&'a mut f64>, fsdp: bool) -> Vec<Slot<'a>> {
    let mut slots = vec![number("d0", d0, Range::Positive)];
    slots.extend(growth_rate.map(|rate| number("growth_rate", rate, Range::Positive)));
    slots.push(Slot {
        name: "log_every",
        target: Target::AnyNumber,
    });
    slots.extend(
        fsdp.then(|| fixed(&["fsdp_in_use"], false))
            .into_iter()
            .flatten(),
    );
    slots
}

fn dadapt_adan(config: &mut DAdaptAdanConfig) -> Vec<Slot<'_>> {
    let betas = vec![&mut config.beta1, &mut config.beta2, &mut config.beta3];
    let own = vec![
        Slot {
            name: "betas",
            target: Target::Numbers(betas, Range::BelowOne),
        },
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("no_prox", &mut config.no_prox),
    ];
    [
        own,
        dadapt(&mut config.d0, Some(&mut config.growth_rate), false),
    ]
    .concat_all()
}

fn dadapt_preprint(config: &mut DAdaptAdamPreprintConfig) -> Vec<Slot<'_>> {
    let own = vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("decouple", &mut config.decouple),
    ];
    [
        own,
        dadapt(&mut config.d0, Some(&mut config.growth_rate), true),
    ]
    .concat_all()
}

fn dadapt_adam(config: &mut DAdaptAdamConfig) -> Vec<Slot<'_>> {
    let own = vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("decouple", &mut config.decouple),
        flag("use_bias_correction", &mut config.use_bias_correction),
    ];
    [
        own,
        dadapt(&mut config.d0, Some(&mut config.growth_rate), true),
    ]
    .concat_all()
}

fn dadapt_adagrad(config: &mut DAdaptAdaGradConfig) -> Vec<Slot<'_>> {
    let own = vec![
        number("momentum", &mut config.momentum, Range::BelowOne),
        number("eps", &mut config.eps, Range::Epsilon),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ];
    [
        own,
        dadapt(&mut config.d0, Some(&mut config.growth_rate), false),
    ]
    .concat_all()
}

fn dadapt_lion(config: &mut DAdaptLionConfig) -> Vec<Slot<'_>> {
    let own = vec![
        pair("betas", &mut config.beta1, &mut config.beta2),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ];
    [own, dadapt(&mut config.d0, None, true)].concat_all()
}

fn dadapt_sgd(config: &mut DAdaptSgdConfig) -> Vec<Slot<'_>> {
    let own = vec![
        number("momentum", &mut config.momentum, Range::BelowOne),
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
    ];
    [
        own,
        dadapt(&mut config.d0, Some(&mut config.growth_rate), true),
    ]
    .concat_all()
}

/// Of the names, `momentum` takes the place of `betas` and `eps`.
fn schedule_free<'a>(config: &'a mut ScheduleFreeConfig, own: &[&'static str]) -> Vec<Slot<'a>> {
    let mut slots = Vec::new();
    if own.contains(&"momentum") {
        slots.push(number(
            "momentum",
            &mut config.beta1,
            Range::BetweenZeroAndOne,
        ));
    } else {
        let betas = vec![&mut config.beta1, &mut config.beta2];
        slots.push(Slot {
            name: "betas",
            target: Target::Numbers(betas, Range::BetweenZeroAndOne),
        });
        slots.push(number("eps", &mut config.eps, Range::Epsilon));
    }
    slots.push(number(
        "weight_decay",
        &mut config.weight_decay,
        Range::NotNegative,
    ));
    if own.contains(&"warmup_steps") {
        slots.push(Slot {
            name: "warmup_steps",
            target: Target::Count(&mut config.warmup_steps, 0),
        });
    }
    if own.contains(&"silent_sgd_phase") {
        slots.push(flag("silent_sgd_phase", &mut config.silent_sgd_phase));
    }
    slots.push(number("r", &mut config.r, Range::Any));
    slots.push(number(
        "weight_lr_power",
        &mut config.weight_lr_power,
        Range::Any,
    ));
    slots.push(any_flag("foreach"));
    slots
}

fn prodigy_plus(config: &mut ProdigyPlusConfig) -> Vec<Slot<'_>> {
    let betas = vec![&mut config.beta1, &mut config.beta2];
    let mut slots = vec![
        Slot {
            name: "betas",
            target: Target::Numbers(betas, Range::BetweenZeroAndOne),
        },
        Slot {
            name: "beta3",
            target: Target::Optional(&mut config.beta3, Range::BelowOne),
        },
        Slot {
            name: "eps",
            target: Target::Optional(&mut config.eps, Range::Epsilon),
        },
        number("weight_decay", &mut config.weight_decay, Range::NotNegative),
        flag("weight_decay_by_lr", &mut config.weight_decay_by_lr),
        flag("use_bias_correction", &mut config.use_bias_correction),
        number("d0", &mut config.d0, Range::Positive),
        number("d_coef", &mut config.d_coef, Range::Positive),
        Slot {
            name: "prodigy_steps",
            target: Target::Count(&mut config.prodigy_steps, 0),
        },
        flag("use_speed", &mut config.use_speed),
        flag("split_groups", &mut config.split_groups),
        flag("split_groups_mean", &mut config.split_groups_mean),
        flag("factored", &mut config.factored),
        flag("use_stableadamw", &mut config.use_stableadamw),
        flag("use_cautious", &mut config.use_cautious),
        flag("use_grams", &mut config.use_grams),
        flag("use_adopt", &mut config.use_adopt),
        flag("use_orthograd", &mut config.use_orthograd),
    ];
    slots.extend(fixed(
        &["fused_back_pass", "use_muon_pp", "use_focus"],
        false,
    ));
    slots.extend(["factored_fp32", "stochastic_rounding"].map(any_flag));
    slots
}
