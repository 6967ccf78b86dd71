//! Configuration files in TOML.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::{self, network_arg, options};
use super::value::arguments;
use super::{TrainConfig, Value};
use crate::error::{Error, Problem, ProblemKind, Result};

/// The option that is a table itself; the names of other tables mean nothing.
const TABLE: &str = "model_config";

impl TrainConfig {
    /// Reads a configuration file: one key an option, or sections of such keys, whose names mean nothing. Options that
    /// are not given have the values of [`TrainConfig::new`].
    ///
    /// # Errors
    /// [`Error::Io`] for an unreadable file. [`Error::Config`] with all of the file's problems: unknown options, values
    /// of the wrong type or out of range, options given twice, and what [`validate`](Self::validate) finds.
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_toml_file_with(path, &[])
    }

    /// As [`from_toml_file`](Self::from_toml_file), with options that go before those of the file. The file need not give
    /// what they give, and what it says about them is not read.
    ///
    /// # Errors
    /// As [`from_toml_file`](Self::from_toml_file).
    pub fn from_toml_file_with(path: impl AsRef<Path>, options: &[(String, Value)]) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "expected text in UTF-8");
            Error::Io { path: path.into(), action: "read", source }
        })?;
        parse(&text, options).map_err(|problems| Error::Config { file: Some(path.into()), problems })
    }

    /// Reads the text of a configuration file; see [`from_toml_file`](Self::from_toml_file).
    ///
    /// # Errors
    /// [`Error::Config`] with all of the text's problems.
    pub fn from_toml_str(text: &str) -> Result<Self> {
        parse(text, &[]).map_err(|problems| Error::Config { file: None, problems })
    }

    /// The text of a configuration file with all options that have a value.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut tables = String::new();
        for spec in options() {
            match spec.get(self) {
                Value::Null => {}
                Value::Object(table) => {
                    let table = toml::to_string(&BTreeMap::from([(spec.name, table)])).unwrap_or_default();
                    tables = format!("{tables}\n{table}");
                }
                value => {
                    if let Ok(value) = toml::Value::try_from(value) {
                        text = format!("{text}{} = {value}\n", spec.name);
                    }
                }
            }
        }
        text + &tables
    }
}

/// A key with its value and place.
struct Entry {
    key: String,
    value: Value,
    line: usize,
}

fn parse(text: &str, overrides: &[(String, Value)]) -> Result<TrainConfig, Vec<Problem>> {
    let line =
        |span: Range<usize>| 1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count();
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            let problem = Problem::new("TOML", ProblemKind::Conflict(error.message().into()));
            error.span().map_or_else(|| problem.clone(), |span| problem.clone().at(line(span)))
        };
        return Err(errors.iter().map(problem).collect());
    }

    let mut config = TrainConfig::new("", "");
    let mut problems = Vec::new();
    let mut given = BTreeMap::new();
    let overridden = |key: &str| {
        let spec = options::option(key);
        spec.is_some_and(|spec| overrides.iter().any(|(key, _)| spec.names().any(|name| name == key)))
    };
    for entry in flatten(table.get_ref(), line).into_iter().filter(|entry| !overridden(&entry.key)) {
        for (option, spelling) in destinations(&entry) {
            if let Some(first) = given.insert(option, spelling.clone()) {
                problems.push(Problem::new(spelling, ProblemKind::GivenTwice { first }).at(entry.line));
            }
        }
        if let Err(problem) = config.assign(&entry.key, &entry.value) {
            problems.push(problem.at(entry.line));
        }
    }
    problems.extend(overrides.iter().filter_map(|(key, value)| config.assign(key, value).err()));
    // An option whose own value was refused is not to be reported as missing or in conflict as well.
    let refused: Vec<&str> = problems.iter().filter_map(|p| options::option(&p.key)).map(|spec| spec.name).collect();
    let further: Vec<Problem> = config.problems().into_iter().filter(|p| !refused.contains(&p.key.as_str())).collect();
    problems.extend(further);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// The keys of the file, those of sections included, in the order of the text.
fn flatten(table: &DeTable<'_>, line: impl Fn(Range<usize>) -> usize) -> Vec<Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry { key: key.get_ref().to_string(), value: to_value(value.get_ref()), line: line(key.span()) }
    };
    let mut entries: Vec<Entry> = table
        .iter()
        .flat_map(|(key, value)| match value.get_ref() {
            DeValue::Table(section) if key.get_ref() != TABLE => section.iter().map(entry).collect(),
            _ => vec![entry((key, value))],
        })
        .collect();
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            // Too large for any option: as text it is refused with what was expected.
            Err(_) => number.as_str().into(),
        },
        // Not a number and the infinities stay text and are refused as such.
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => float.into(),
            _ => number.as_str().into(),
        },
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_value(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), to_value(value.get_ref()))).collect()
        }
    }
}

/// The options that an entry sets, with the spellings it uses: more than one for `network_args`.
fn destinations(entry: &Entry) -> Vec<(&'static str, String)> {
    let Some(spec) = options::option(&entry.key) else { return Vec::new() };
    let mut names = vec![(spec.name, entry.key.clone())];
    if spec.name == "network_args" {
        for (key, _) in arguments(&entry.value).unwrap_or_default() {
            names.extend(network_arg(&key).map(|name| (name, format!("{}: {key}", entry.key))));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AttentionHeads, LrScheduler, OptimizerArgs, Resolution, WarmupSteps};

    const START: &str = "pretrained_model_name_or_path = 'base.safetensors'\ntrain_data_dir = 'pictures'\n";

    fn problems(text: &str) -> Vec<String> {
        match TrainConfig::from_toml_str(text).unwrap_err() {
            Error::Config { problems, .. } => problems.iter().map(ToString::to_string).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn flat_keys_and_sections() {
        let flat = TrainConfig::from_toml_str(&format!(
            "{START}unet_lr = \"2e-4\"\nlr_scheduler = \"linear\"\nlr_warmup_steps = 0.1\nresolution = \"512,768\"\n\
             optimizer_args = [\"betas=0.9,0.99\"]\n"
        ))
        .unwrap();
        let expected = TrainConfig {
            unet_lr: Some(2e-4),
            lr_scheduler: LrScheduler::Linear,
            lr_warmup_steps: WarmupSteps::Ratio(0.1),
            resolution: Some(Resolution { width: 512, height: 768 }),
            optimizer_args: OptimizerArgs::from([("betas", "0.9,0.99")]),
            ..TrainConfig::new("base.safetensors", "pictures")
        };
        assert_eq!(flat, expected);
        let sections = TrainConfig::from_toml_str(
            "train_data_dir = 'pictures'\n[model]\npretrained_model_name_or_path = 'base.safetensors'\n\
             [learning]\nunet_lr = 2e-4\nlr_scheduler = \"LINEAR\"\nlr_warmup_steps = \"10%\"\n\
             resolution = [512, 768]\noptimizer_args = \"betas=0.9,0.99\"\n",
        )
        .unwrap();
        assert_eq!(sections, expected);
    }

    #[test]
    fn model_config_is_a_table_anywhere() {
        for text in [
            format!("{START}[model_config]\nunet = {{ num_attention_heads = 2 }}\n"),
            format!("{START}[model_config.unet]\nnum_attention_heads = 2\n"),
            format!("{START}[model]\nmodel_config = {{ unet = {{ num_attention_heads = 2 }} }}\n"),
        ] {
            let config = TrainConfig::from_toml_str(&text).unwrap();
            assert_eq!(config.model_config.unet.num_attention_heads, Some(AttentionHeads::Same(2)), "{text}");
        }
        assert_eq!(
            problems(&format!("{START}[model_config.unet]\nheads = 2\n")),
            ["line 3: `model_config`: found `unet.heads` = 2, expected `num_attention_heads` or `norm_num_groups`"]
        );
    }

    #[test]
    fn all_problems_are_reported_with_their_lines() {
        let text = "train_data_dir = 'pictures'\n\n[a]\nnetwork_dimm = 8\nunet_lr = 'fast'\nseed = nan\n\
                    caption_extension = '.txt'\n[b]\ncaption_extention = '.txt'\nconv_dim = 4\n\
                    network_args = ['conv_dim=4']\nnetwork_train_unet_only = true\n\
                    network_train_text_encoder_only = true\nmax_train_steps = 99999999999999999999\n";
        assert_eq!(
            problems(text),
            [
                "line 4: `network_dimm`: no such option; did you mean `network_dim`?",
                "line 5: `unet_lr`: found \"fast\", expected a number from 0 to 1e30",
                "line 6: `seed`: found \"nan\", expected an integer of at least 0",
                "line 9: `caption_extention`: already given as `caption_extension`",
                "line 11: `network_args: conv_dim`: already given as `conv_dim`",
                "line 14: `max_train_steps`: found \"99999999999999999999\", expected an integer of at least 1",
                "`pretrained_model_name_or_path`: not given, expected the base checkpoint, a file or a folder",
                "`network_train_unet_only`: excludes `network_train_text_encoder_only`",
            ]
        );
    }

    #[test]
    fn broken_toml_names_its_lines() {
        let problems = problems("seed = 1\nseed = 2\n\nresolution = \n");
        assert!(problems.iter().any(|p| p.starts_with("line 2: ")), "{problems:?}");
        assert!(problems.iter().any(|p| p.starts_with("line 4: ")), "{problems:?}");
    }

    #[test]
    fn files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        let error = TrainConfig::from_toml_file(&path).unwrap_err();
        assert!(error.to_string().contains("job.toml: cannot read"), "{error}");
        std::fs::write(&path, "sed = 1").unwrap();
        let error = TrainConfig::from_toml_file(&path).unwrap_err();
        assert!(error.to_string().contains("job.toml: 3 problems\n  line 1: `sed`"), "{error}");
        std::fs::write(&path, START).unwrap();
        assert_eq!(TrainConfig::from_toml_file(&path).unwrap(), TrainConfig::new("base.safetensors", "pictures"));
        std::fs::write(&path, b"output_name = '\xff'").unwrap();
        assert!(TrainConfig::from_toml_file(&path).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn options_go_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "train_data_dir = 'pictures'\nunet_lr = 'fast'\nnum_repeats = 3\n").unwrap();
        let with = |options: &[(&str, &str)]| {
            let options: Vec<_> = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            TrainConfig::from_toml_file_with(&path, &options)
        };
        let base = ("pretrained_model_name_or_path", "base.safetensors");
        let config = with(&[base, ("unet_lr", "2e-4"), ("dataset_repeats", "5")]).unwrap();
        assert_eq!((config.unet_lr, config.dataset_repeats), (Some(2e-4), 5));
        let error = with(&[("unet_lr", "slow"), ("sede", "1")]).unwrap_err().to_string();
        for part in
            ["`unet_lr`: found \"slow\"", "`sede`: no such option", "`pretrained_model_name_or_path`: not given"]
        {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut config = TrainConfig {
            unet_lr: Some(1e-5),
            network_alpha: Some(16.0),
            conv_dim: Some(4),
            lr_warmup_steps: WarmupSteps::Ratio(0.05),
            sample_prompts: Some("a \"cat\"\n# not 'this'\na dog --n bad".into()),
            optimizer_args: OptimizerArgs::from([("eps", "1e-6")]),
            ..TrainConfig::new("C:\\models\\base.safetensors", "pictures")
        };
        config.model_config.unet.norm_num_groups = Some(8);
        config.model_config.vae.scaling_factor = Some(0.5);
        let text = config.to_toml();
        assert_eq!(TrainConfig::from_toml_str(&text).unwrap(), config, "{text}");
        assert!(text.contains("unet_lr = 0.00001\n") && text.contains("[model_config.unet]\n"), "{text}");
    }
}
