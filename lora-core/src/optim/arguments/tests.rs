use super::*;
use crate::optim::{AdafactorConfig, AdamWConfig, ProdigyConfig, ProdigyPlusConfig};

fn config(name: &str, arguments: &[(&str, &str)]) -> Result<OptimizerConfig, ArgumentError> {
    let kind = OptimizerKind::from_name(name).expect(name);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    OptimizerConfig::from_arguments(kind, &arguments)
}

#[test]
fn arguments_reach_adamw() {
    let adamw = AdamWConfig {
        beta1: 0.8,
        beta2: 0.95,
        eps: 1e-6,
        weight_decay: 0.1,
    };
    let arguments = [
        ("betas", "0.8,0.95"),
        ("eps", "1e-6"),
        ("weight_decay", "0.1"),
        ("fused", "True"),
    ];
    assert_eq!(
        config("adamw", &arguments),
        Ok(OptimizerConfig::AdamW(adamw))
    );
}

#[test]
fn arguments_reach_prodigy() {
    let prodigy = ProdigyConfig {
        decouple: true,
        weight_decay: 0.01,
        use_bias_correction: true,
        d_coef: 2.0,
        safeguard_warmup: true,
        beta3: Some(0.5),
        slice_p: 11,
        ..ProdigyConfig::default()
    };
    let arguments = [
        ("decouple", "True"),
        ("weight_decay", "0.01"),
        ("use_bias_correction", "True"),
        ("d_coef", "2"),
        ("safeguard_warmup", "True"),
        ("beta3", "0.5"),
        ("slice_p", "11"),
        ("growth_rate", "1e999"),
    ];
    assert_eq!(
        config("Prodigy", &arguments),
        Ok(OptimizerConfig::Prodigy(prodigy))
    );
    let atan2 = ProdigyPlusConfig {
        eps: None,
        ..ProdigyPlusConfig::default()
    };
    assert_eq!(
        config("prodigyplus.prodigyplusschedulefree", &[("eps", "None")]),
        Ok(OptimizerConfig::ProdigyPlusScheduleFree(atan2))
    );
}

#[test]
fn arguments_reach_adafactor() {
    let adafactor = AdafactorConfig {
        relative_step: false,
        scale_parameter: false,
        eps_square: 1e-20,
        eps_scale: 1e-4,
        ..AdafactorConfig::default()
    };
    let arguments = [
        ("relative_step", "False"),
        ("scale_parameter", "False"),
        ("eps", "(1e-20, 1e-4)"),
    ];
    assert_eq!(
        config("Adafactor", &arguments),
        Ok(OptimizerConfig::Adafactor(adafactor))
    );
}

#[test]
fn errors_name_key_and_what_there_is() {
    for (name, key, value, words) in [
        (
            "AdamW",
            "beta",
            "0.9",
            &["`beta`", "AdamW", "betas, eps, weight_decay"][..],
        ),
        ("AdamW", "lr", "1e-4", &["`lr`", "no such argument"]),
        (
            "AdamW",
            "betas",
            "0.9",
            &["`betas`", "found 0.9", "2 numbers", "< 1"],
        ),
        ("AdamW", "betas", "0.9, 1", &["found 0.9, 1"]),
        ("AdamW", "amsgrad", "True", &["`amsgrad`", "expected False"]),
        ("AdamW", "eps", "-1", &["from 1e-30 to 1"]),
        ("AdamW", "eps", "0", &["from 1e-30 to 1"]),
        ("AdamW", "weight_decay", "-1", &["a number ≥ 0"]),
        ("AdamW", "eps", "tiny", &["found tiny", "a number"]),
        ("Prodigy", "decouple", "1", &["True or False"]),
        ("Prodigy", "slice_p", "0", &["a whole number from 1"]),
        ("Prodigy", "slice_p", "1.5", &["a whole number from 1"]),
        ("AdamW8bit", "block_wise", "False", &["expected True"]),
        (
            "prodigyplus.ProdigyPlusScheduleFree",
            "use_focus",
            "True",
            &["`use_focus`", "expected False"],
        ),
    ] {
        let message = config(name, &[(key, value)]).expect_err(key).to_string();
        for word in words {
            assert!(message.contains(word), "{name} {key}={value}: {message}");
        }
    }
    let together = config(
        "AdaFactor",
        &[("relative_step", "False"), ("warmup_init", "True")],
    );
    assert!(
        together
            .expect_err("together")
            .to_string()
            .contains("relative_step=True")
    );
}

/// Every argument of every optimizer takes some value, refuses text, and names itself in the error.
#[test]
fn every_argument_is_checked() {
    let values = [
        "0.5",
        "0.5,0.25",
        "0.5,0.25,0.125",
        "True",
        "False",
        "1",
        "4096",
        "100",
        "0",
    ];
    for kind in OptimizerKind::ALL {
        let names = OptimizerConfig::argument_names(kind);
        assert!(!names.is_empty(), "{kind}");
        for name in names {
            let accepted = values
                .iter()
                .any(|value| config(kind.name(), &[(name, value)]).is_ok());
            // Adafactor's warmup needs another argument's default, which it has.
            assert!(accepted, "{kind} {name}");
            let message = config(kind.name(), &[(name, "'text'")])
                .expect_err(name)
                .to_string();
            assert!(
                message.contains(name) && message.contains("found 'text'"),
                "{message}"
            );
        }
    }
}
