//! A crate outside the workspace that depends on this one by its path trains with it, as the README says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Job, WeightFile, base};

const MAIN: &str = r#"
use lora_trainer::{Event, TrainConfig, Trainer, config::Resolution};

fn main() -> Result<(), lora_trainer::Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, base, pictures, output] = &arguments[..] else { panic!("base, pictures, output") };
    let config = TrainConfig {
        resolution: Resolution::square(64),
        max_train_steps: Some(2),
        network_dim: 2,
        output_dir: output.into(),
        ..TrainConfig::new(base, pictures)
    };
    for event in Trainer::new(config)? {
        if let Event::Step(step) = event? {
            println!("step {} of {}: loss {}", step.step, step.total_steps, step.loss);
        }
    }
    Ok(())
}
"#;

#[test]
fn a_crate_outside_the_workspace_trains() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let job = Job::new();
    fs::create_dir_all(job.path("outside/src")).expect("a folder");
    job.write("outside/src/main.rs", MAIN);
    job.write("outside/Cargo.toml", manifest(workspace));
    fs::copy(workspace.join("Cargo.lock"), job.path("outside/Cargo.lock")).expect("a lock file");

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let (target, profile) = target_and_profile();
    cargo.args(["build", "--offline", "--profile", if profile == "debug" { "dev" } else { &profile }]);
    cargo.current_dir(job.path("outside")).env("CARGO_TARGET_DIR", &target);
    let built = cargo.output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let mut program = Command::new(target.join(&profile).join("outside"));
    let trained = program.arg(base()).arg(job.path("pictures")).arg(job.path("output")).output().expect("it starts");
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let said = String::from_utf8(trained.stdout).expect("UTF-8");
    let starts: Vec<&str> = said.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(starts, ["step 1 of 2", "step 2 of 2"]);

    assert_eq!(job.outputs(), ["last.safetensors"]);
    let lora = WeightFile::read(&job.path("output/last.safetensors"));
    assert_eq!(lora.metadata("ss_steps"), Some("2"));
    let learned = |key: &str| key.ends_with("lora_up.weight") && lora.tensors[key].bytes.iter().any(|byte| *byte != 0);
    for start in ["lora_unet_", "lora_te_"] {
        assert!(lora.tensors.keys().any(|key| key.starts_with(start) && learned(key)), "{start}");
    }
}

/// A crate with the workspace's profiles, so that what is built already can be used.
fn manifest(workspace: &Path) -> String {
    let text = fs::read_to_string(workspace.join("Cargo.toml")).expect("the workspace's manifest");
    let table: toml::Table = text.parse().expect("TOML");
    let profiles =
        table.get("profile").map(|profiles| toml::Table::from_iter([("profile".to_owned(), profiles.clone())]));
    format!(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         lora-trainer = {{ path = '{}', default-features = false }}\n\n{}",
        workspace.display(),
        profiles.map(|profiles| profiles.to_string()).unwrap_or_default()
    )
}

/// Where cargo put this test, `TARGET/PROFILE/deps/it-…`.
fn target_and_profile() -> (PathBuf, String) {
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent).expect("a profile's folder");
    let name = profile.file_name().expect("a name").to_str().expect("UTF-8");
    (profile.parent().expect("a target folder").into(), name.into())
}
