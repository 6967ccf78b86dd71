//! The optimizers' names.

/// An optimizer by its name in sd-scripts' `optimizer_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum OptimizerKind {
    AdamW,
    AdamW8bit,
    PagedAdamW8bit,
    PagedAdamW,
    PagedAdamW32bit,
    Adam,
    RmsProp,
    Lion,
    Lion8bit,
    PagedLion8bit,
    SgdNesterov,
    SgdNesterov8bit,
    Adafactor,
    Prodigy,
    DAdaptation,
    DAdaptAdamPreprint,
    DAdaptAdam,
    DAdaptAdaGrad,
    DAdaptAdan,
    DAdaptAdanIp,
    DAdaptLion,
    DAdaptSgd,
    AdamWScheduleFree,
    RAdamScheduleFree,
    SgdScheduleFree,
    ProdigyPlusScheduleFree,
    Came,
}

/// Kind, name, Python class.
const TABLE: [(OptimizerKind, &str, &str); 27] = {
    use OptimizerKind as Kind;
    [
        (Kind::AdamW, "AdamW", "torch.optim.adamw.AdamW"),
        (
            Kind::AdamW8bit,
            "AdamW8bit",
            "bitsandbytes.optim.adamw.AdamW8bit",
        ),
        (
            Kind::PagedAdamW8bit,
            "PagedAdamW8bit",
            "bitsandbytes.optim.adamw.PagedAdamW8bit",
        ),
        (
            Kind::PagedAdamW,
            "PagedAdamW",
            "bitsandbytes.optim.adamw.PagedAdamW",
        ),
        (
            Kind::PagedAdamW32bit,
            "PagedAdamW32bit",
            "bitsandbytes.optim.adamw.PagedAdamW32bit",
        ),
        (Kind::Adam, "Adam", "torch.optim.adam.Adam"),
        (Kind::RmsProp, "RMSprop", "torch.optim.rmsprop.RMSprop"),
        (Kind::Lion, "Lion", "lion_pytorch.lion_pytorch.Lion"),
        (
            Kind::Lion8bit,
            "Lion8bit",
            "bitsandbytes.optim.lion.Lion8bit",
        ),
        (
            Kind::PagedLion8bit,
            "PagedLion8bit",
            "bitsandbytes.optim.lion.PagedLion8bit",
        ),
        (Kind::SgdNesterov, "SGDNesterov", "torch.optim.sgd.SGD"),
        (
            Kind::SgdNesterov8bit,
            "SGDNesterov8bit",
            "bitsandbytes.optim.sgd.SGD8bit",
        ),
        (
            Kind::Adafactor,
            "AdaFactor",
            "transformers.optimization.Adafactor",
        ),
        (Kind::Prodigy, "Prodigy", "prodigyopt.prodigy.Prodigy"),
        (
            Kind::DAdaptation,
            "DAdaptation",
            "dadaptation.experimental.dadapt_adam_preprint.DAdaptAdamPreprint",
        ),
        (
            Kind::DAdaptAdamPreprint,
            "DAdaptAdamPreprint",
            "dadaptation.experimental.dadapt_adam_preprint.DAdaptAdamPreprint",
        ),
        (
            Kind::DAdaptAdam,
            "DAdaptAdam",
            "dadaptation.dadapt_adam.DAdaptAdam",
        ),
        (
            Kind::DAdaptAdaGrad,
            "DAdaptAdaGrad",
            "dadaptation.dadapt_adagrad.DAdaptAdaGrad",
        ),
        (
            Kind::DAdaptAdan,
            "DAdaptAdan",
            "dadaptation.dadapt_adan.DAdaptAdan",
        ),
        (
            Kind::DAdaptAdanIp,
            "DAdaptAdanIP",
            "dadaptation.experimental.dadapt_adan_ip.DAdaptAdanIP",
        ),
        (
            Kind::DAdaptLion,
            "DAdaptLion",
            "dadaptation.dadapt_lion.DAdaptLion",
        ),
        (
            Kind::DAdaptSgd,
            "DAdaptSGD",
            "dadaptation.dadapt_sgd.DAdaptSGD",
        ),
        (
            Kind::AdamWScheduleFree,
            "AdamWScheduleFree",
            "schedulefree.adamw_schedulefree.AdamWScheduleFree",
        ),
        (
            Kind::RAdamScheduleFree,
            "RAdamScheduleFree",
            "schedulefree.radam_schedulefree.RAdamScheduleFree",
        ),
        (
            Kind::SgdScheduleFree,
            "SGDScheduleFree",
            "schedulefree.sgd_schedulefree.SGDScheduleFree",
        ),
        (
            Kind::ProdigyPlusScheduleFree,
            "prodigyplus.ProdigyPlusScheduleFree",
            "prodigyplus.prodigy_plus_schedulefree.ProdigyPlusScheduleFree",
        ),
        (
            Kind::Came,
            "pytorch_optimizer.CAME",
            "pytorch_optimizer.optimizer.came.CAME",
        ),
    ]
};

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::AdamW; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            all[index] = TABLE[index].0;
            index += 1;
        }
        all
    };

    /// Their names, in the same order.
    pub const NAMES: [&'static str; TABLE.len()] = {
        let mut names = [""; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            names[index] = TABLE[index].1;
            index += 1;
        }
        names
    };

    /// The kind of this name, in upper or lower case, with any module or none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let class = |path: &str| path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
        TABLE
            .iter()
            .find(|(_, known, _)| class(known) == class(name))
            .map(|row| row.0)
    }

    /// The name as SD-Trainer spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Module and class in Python, for metadata.
    #[must_use]
    pub fn class(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// Arguments that sd-scripts adds by default, and which metadata therefore names.
    #[must_use]
    pub fn default_arguments(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::SgdNesterov | Self::SgdNesterov8bit => &[("momentum", "0.9")],
            Self::Adafactor => &[("relative_step", "True")],
            _ => &[],
        }
    }
}

impl std::fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_their_kinds() {
        for (index, kind) in OptimizerKind::ALL.into_iter().enumerate() {
            assert_eq!(
                kind as usize, index,
                "the table is in the order of the variants"
            );
            assert_eq!(kind.name(), OptimizerKind::NAMES[index]);
            for name in [
                kind.name().to_owned(),
                kind.name().to_lowercase(),
                kind.name().to_uppercase(),
            ] {
                assert_eq!(OptimizerKind::from_name(&name), Some(kind), "{name}");
            }
        }
        assert_eq!(OptimizerKind::from_name("Adamm"), None);
        assert_eq!(OptimizerKind::Adafactor.to_string(), "AdaFactor");
    }
}
