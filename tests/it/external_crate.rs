//! A crate outside the workspace that depends on this one by path can train with it, as the README
//! says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use crate::program::{Job, WeightFile, base};

const MAIN: &str = r#"
use lora_trainer::{Event, TrainConfig, Trainer, config::Resolution};

fn main() -> Result<(), lora_trainer::Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, base, images, output] = &arguments[..] else { panic!("base, images, output") };
    let config = TrainConfig {
        resolution: Some(Resolution::square(64)),
        max_train_steps: Some(2),
        network_dim: 2,
        output_dir: output.into(),
        ..TrainConfig::new(base, images)
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
    let (target, folder) = target_and_profile();
    let profile = if folder == "debug" { "dev" } else { &folder };
    job.write("outside/Cargo.toml", manifest(workspace, profile));
    fs::copy(workspace.join("Cargo.lock"), job.path("outside/Cargo.lock")).expect("a lock file");

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--profile", profile]);
    cargo
        .current_dir(job.path("outside"))
        .env("CARGO_TARGET_DIR", &target);
    let built = cargo.output().expect("cargo starts");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let mut program = Command::new(target.join(&folder).join("outside"));
    let trained = program
        .arg(base())
        .arg(job.path("images"))
        .arg(job.path("output"))
        .output()
        .expect("it starts");
    assert!(
        trained.status.success(),
        "{}",
        String::from_utf8_lossy(&trained.stderr)
    );
    let said = String::from_utf8(trained.stdout).expect("UTF-8");
    let starts: Vec<&str> = said
        .lines()
        .map(|line| line.split(':').next().unwrap_or_default())
        .collect();
    assert_eq!(starts, ["step 1 of 2", "step 2 of 2"]);

    assert_eq!(job.outputs(), ["last.safetensors"]);
    let lora = WeightFile::read(&job.path("output/last.safetensors"));
    assert_eq!(lora.metadata("ss_steps"), Some("2"));
    for start in ["lora_unet_", "lora_te_"] {
        let mut ups = lora
            .tensors
            .iter()
            .filter(|(key, _)| key.starts_with(start) && key.ends_with("lora_up.weight"));
        assert!(
            ups.any(|(_, up)| up.bytes.iter().any(|byte| *byte != 0)),
            "{start}"
        );
    }
}

/// The manifest of a crate that depends only on this one. It also lists the dependencies of the
/// workspace with the same features, and the same profiles, so that cargo reuses its build of this
/// test and does not build burn again.
fn manifest(workspace: &Path, profile: &str) -> String {
    let root = read_manifest(workspace);
    let package = [
        ("name", Value::from("outside")),
        ("version", "0.0.0".into()),
        ("edition", "2024".into()),
    ];
    let tables = [
        ("package", table(package)),
        ("workspace", Table::new()),
        ("dependencies", dependencies(workspace, &root)),
        ("profile", profiles(&root, profile)),
    ];
    table(tables.map(|(name, table)| (name, Value::from(table)))).to_string()
}

fn read_manifest(folder: &Path) -> Table {
    let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    text.parse().expect("TOML")
}

/// The dependencies of all crates of the workspace, and this one by its path.
fn dependencies(workspace: &Path, root: &Table) -> Table {
    let shared = root["workspace"]["dependencies"]
        .as_table()
        .expect("a table");
    let mut dependencies = Table::new();
    for member in root["workspace"]["members"].as_array().expect("a list") {
        let manifest = read_manifest(&workspace.join(member.as_str().expect("a path")));
        let sections = ["dependencies", "dev-dependencies"]
            .map(|section| manifest.get(section).and_then(Value::as_table));
        for (name, dependency) in sections.into_iter().flatten().flatten() {
            let mut dependency = to_table(dependency);
            if dependency.remove("workspace").is_some() {
                merge(&mut dependency, &to_table(&shared[name]));
            }
            dependency.remove("optional");
            if !dependency.contains_key("path") {
                merge(
                    dependencies
                        .entry(name)
                        .or_insert_with(|| dependency.clone().into())
                        .as_table_mut()
                        .expect("a table"),
                    &dependency,
                );
            }
        }
    }
    let devices = [
        ("cuda", cfg!(feature = "cuda")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("metal", cfg!(feature = "metal")),
        ("rocm", cfg!(feature = "rocm")),
    ];
    let features: Vec<Value> = devices
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name.into())
        .collect();
    let path = workspace.to_str().expect("UTF-8");
    let own = [
        ("path", Value::from(path)),
        ("default-features", false.into()),
        ("features", features.into()),
    ];
    dependencies.insert("lora-trainer".into(), table(own).into());
    dependencies
}

/// The profiles of the workspace. Only the crates of the workspace are compiled again, without
/// optimization, so that this is fast.
fn profiles(root: &Table, profile: &str) -> Table {
    let mut profiles = root
        .get("profile")
        .and_then(Value::as_table)
        .cloned()
        .unwrap_or_default();
    let profile = profiles
        .entry(profile)
        .or_insert_with(|| Table::new().into())
        .as_table_mut()
        .expect("a table");
    let packages = profile
        .entry("package")
        .or_insert_with(|| Table::new().into())
        .as_table_mut()
        .expect("a table");
    for name in ["lora-core", "lora-data", "lora-models", "lora-trainer"] {
        packages.insert(name.into(), table([("opt-level", 0.into())]).into());
    }
    profiles
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A dependency in its long form.
fn to_table(dependency: &Value) -> Table {
    match dependency {
        Value::Table(table) => table.clone(),
        version => table([("version", version.clone())]),
    }
}

/// Merges another entry of the same dependency.
fn merge(dependency: &mut Table, further: &Table) {
    let default_features = |table: &Table| table.get("default-features").and_then(Value::as_bool);
    let lists = [&*dependency, further]
        .map(|table| table.get("features").and_then(Value::as_array).cloned());
    let mut features: Vec<Value> = lists.into_iter().flatten().flatten().collect();
    features.dedup();
    let default = match (default_features(dependency), default_features(further)) {
        (Some(false), Some(false)) => false,
        (None, Some(false)) if !dependency.contains_key("version") => false,
        _ => true,
    };
    for (key, value) in further {
        dependency.entry(key).or_insert(value.clone());
    }
    dependency.insert("features".into(), features.into());
    dependency.insert("default-features".into(), default.into());
}

/// The path of this test's binary, `TARGET/PROFILE/deps/it-…`.
fn target_and_profile() -> (PathBuf, String) {
    let test = std::env::current_exe().expect("a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a profile's folder");
    let name = profile
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8");
    (
        profile.parent().expect("a target folder").into(),
        name.into(),
    )
}
