//! Prompts of preview images, in the format that sd-scripts and web UIs share.
//!
//! Parts of a prompt and of a negative prompt can have weights: `(x)` has weight 1.1, `[x]` has
//! 1 / 1.1 and `(x:1.3)` has 1.3. `\(` is a literal bracket. See
//! [`parse_weights`](lora_models::text::parse_weights) for the rules. Up to 225 tokens are used.
//! Brackets in training captions are plain text.

use std::path::Path;

use jiff::civil::DateTime;

use crate::config::Sampler;
use crate::config::nearest::one_of;
use crate::error::{Error, Problem, ProblemKind, Result};

/// The option that sets the prompts, for errors.
const OPTION: &str = "sample_prompts";
/// Image sizes are rounded down to multiples of this.
const LATENT: u32 = 8;
const MIN_SIZE: u32 = 64;
const MAX_SIZE: u32 = 4096;
const MAX_STEPS: u32 = 1000;

/// The prompt and the settings of one preview image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The prompt, with weights.
    pub prompt: String,
    /// The negative prompt, with weights; often empty. `--n`
    pub negative_prompt: String,
    /// Width in pixels, a multiple of 8 from 64 to 4096. `--w`
    pub width: u32,
    /// Height in pixels, a multiple of 8 from 64 to 4096. `--h`
    pub height: u32,
    /// The number of sampling steps, 1 to 1000. `--s`
    pub steps: u32,
    /// The guidance scale (CFG). The negative prompt has no effect at 1 or below. `--l`
    pub scale: f64,
    /// The seed of the noise. `--d`
    pub seed: Option<u64>,
    /// The sampler; `None` uses `sample_sampler`. `--ss`
    pub sampler: Option<Sampler>,
}

impl Prompt {
    /// Creates a prompt with the default settings: 512 x 512 pixels, 30 steps, guidance scale 7.5.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            negative_prompt: String::new(),
            width: 512,
            height: 512,
            steps: 30,
            scale: 7.5,
            seed: None,
            sampler: None,
        }
    }

    /// Parses one line: the prompt, then its settings, each after ` --`.
    ///
    /// ```
    /// use lora_trainer::prompt::Prompt;
    ///
    /// let prompt = Prompt::parse("a cat, blueprint style --n blurry --w 512 --h 768 --s 24 --l 7 --d 1337")?;
    /// assert_eq!((prompt.width, prompt.height, prompt.seed), (512, 768, Some(1337)));
    /// # Ok::<(), lora_trainer::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown setting or a bad value.
    pub fn parse(line: &str) -> Result<Self> {
        Self::read(line).map_err(|problem| Error::Config {
            file: None,
            problems: vec![problem],
        })
    }

    fn read(line: &str) -> Result<Self, Problem> {
        let line = format!(" {}", line.trim());
        let mut parts = line.split(" --");
        let mut prompt = Self::new(parts.next().unwrap_or_default().trim());
        for part in parts {
            let (name, value) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            prompt.set(name, value.trim())?;
        }
        Ok(prompt)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let wrong =
            |expected: String| Problem::value(OPTION, format!("`--{name} {value}`"), expected);
        let pixels = || {
            let pixels = value.parse().ok().filter(|pixels| *pixels <= MAX_SIZE);
            pixels
                .map(size)
                .ok_or_else(|| wrong(format!("pixels, an integer from {MIN_SIZE} to {MAX_SIZE}")))
        };
        match name.to_ascii_lowercase().as_str() {
            "n" => self.negative_prompt = value.into(),
            "w" => self.width = pixels()?,
            "h" => self.height = pixels()?,
            "s" => {
                let steps = value
                    .parse()
                    .ok()
                    .filter(|steps| (1..=MAX_STEPS).contains(steps));
                self.steps =
                    steps.ok_or_else(|| wrong(format!("an integer from 1 to {MAX_STEPS}")))?;
            }
            "l" => {
                let scale = value
                    .parse()
                    .ok()
                    .filter(|scale: &f64| scale.is_finite() && *scale >= 0.0);
                self.scale = scale.ok_or_else(|| wrong("a number ≥ 0".into()))?;
            }
            "d" => self.seed = Some(value.parse().map_err(|_| wrong("an integer ≥ 0".into()))?),
            "ss" => {
                self.sampler =
                    Some(Sampler::from_name(value).ok_or_else(|| wrong(one_of(Sampler::NAMES)))?);
            }
            _ => return Err(wrong("--n, --w, --h, --s, --l, --d or --ss".into())),
        }
        Ok(())
    }
}

impl Prompt {
    /// Checks the settings of a prompt that was not parsed.
    ///
    /// # Errors
    /// [`Error::Config`] that names the setting.
    pub fn check(&self) -> Result<()> {
        let size = |key: &str, pixels: u32| {
            let expected = format!("a multiple of {LATENT} from {MIN_SIZE} to {MAX_SIZE}");
            (size(pixels) != pixels || pixels > MAX_SIZE)
                .then(|| Problem::value(key, pixels.to_string(), expected))
        };
        let steps = || Problem::value("steps", self.steps.to_string(), format!("1 to {MAX_STEPS}"));
        let problems: Vec<Problem> = [
            size("width", self.width),
            size("height", self.height),
            (!(1..=MAX_STEPS).contains(&self.steps)).then(steps),
            (!self.scale.is_finite())
                .then(|| Problem::value("scale", self.scale.to_string(), "a finite number")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::Config {
                file: None,
                problems,
            })
        }
    }
}

fn size(pixels: u32) -> u32 {
    (pixels / LATENT * LATENT).max(MIN_SIZE)
}

/// Reads the option `sample_prompts`: the path of a text file, or the text itself. There is one
/// prompt per line; empty lines and lines that start with `#` are ignored.
///
/// # Errors
/// [`Error::Config`] with all wrong lines, or if there is no prompt; [`Error::Io`] for an
/// unreadable file.
pub fn load(text_or_path: &str) -> Result<Vec<Prompt>> {
    let path = Path::new(text_or_path.trim());
    let one_line = !text_or_path.trim().contains('\n');
    if one_line && path.is_file() {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        return parse_lines(&text).map_err(|problems| Error::Config {
            file: Some(path.into()),
            problems,
        });
    }
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_ascii_lowercase);
    if one_line && matches!(extension.as_deref(), Some("txt" | "toml" | "json")) {
        let problem = Problem::value(
            OPTION,
            format!("no file at `{}`", path.display()),
            "a text file, or prompts",
        );
        return Err(Error::Config {
            file: None,
            problems: vec![problem],
        });
    }
    parse_lines(text_or_path).map_err(|problems| Error::Config {
        file: None,
        problems,
    })
}

fn parse_lines(text: &str) -> Result<Vec<Prompt>, Vec<Problem>> {
    let mut prompts = Vec::new();
    let mut problems = Vec::new();
    // Editors may start a file with a byte order mark.
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        match Prompt::read(line) {
            Ok(prompt) => prompts.push(prompt),
            Err(problem) => problems.push(problem.at(index + 1)),
        }
    }
    if prompts.is_empty() && problems.is_empty() {
        problems.push(Problem::new(
            OPTION,
            ProblemKind::Missing {
                expected: "at least one prompt".into(),
            },
        ));
    }
    if problems.is_empty() {
        Ok(prompts)
    } else {
        Err(problems)
    }
}

/// The time of a preview in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewTime {
    /// After this epoch, starting at 1; 0 is before the first.
    Epoch(u32),
    /// After this step.
    Step(u64),
}

/// Returns the file name of a preview: output name, epoch or step, index of the prompt, time, and
/// the seed if the prompt has one.
pub fn file_name(
    output_name: &str,
    at: PreviewTime,
    index: usize,
    created_at: DateTime,
    seed: Option<u64>,
) -> String {
    let at = match at {
        PreviewTime::Epoch(epoch) => format!("e{epoch:06}"),
        PreviewTime::Step(step) => format!("{step:06}"),
    };
    let created_at = created_at.strftime("%Y%m%d%H%M%S");
    let seed = seed.map_or_else(String::new, |seed| format!("_{seed}"));
    format!("{output_name}_{at}_{index:02}_{created_at}{seed}.png")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting() {
        let prompt = Prompt::parse(
            "(masterpiece:1.2), a-cat --n lowres, bad-hands,  --W 519  --h 20 --l 7 --s 24 --d 0 \
             --ss EULER_A",
        );
        let expected = Prompt {
            prompt: "(masterpiece:1.2), a-cat".into(),
            negative_prompt: "lowres, bad-hands,".into(),
            width: 512,
            height: 64,
            steps: 24,
            scale: 7.0,
            seed: Some(0),
            sampler: Some(Sampler::EulerA),
        };
        assert_eq!(prompt.unwrap(), expected);
        assert_eq!(Prompt::parse("a cat").unwrap(), Prompt::new("a cat"));
        assert_eq!(
            Prompt::parse("--d 5").unwrap(),
            Prompt {
                seed: Some(5),
                ..Prompt::new("")
            }
        );
        assert_eq!(Prompt::parse("a --n").unwrap(), Prompt::new("a"));
    }

    #[test]
    fn wrong_settings_are_named() {
        for (line, found) in [
            ("a cat --x 5", "`--x 5`"),
            ("a cat --cn pose.png", "`--cn pose.png`"),
            ("a cat --w wide", "`--w wide`"),
            ("a cat --s 0", "`--s 0`"),
            ("a cat --s 1001", "`--s 1001`"),
            ("a cat --l nan", "`--l nan`"),
            ("a cat --d -1", "`--d -1`"),
            ("a cat --ss plms", "`--ss plms`"),
        ] {
            let error = Prompt::parse(line).unwrap_err();
            assert!(error.to_string().contains(found), "{line}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn text_and_file_give_the_same() {
        let text = "# cats\na cat --d 1\n\n  a dog --n cat\r\n #not a comment\n";
        let prompts = load(text).unwrap();
        let expected = [
            Prompt {
                seed: Some(1),
                ..Prompt::new("a cat")
            },
            Prompt {
                negative_prompt: "cat".into(),
                ..Prompt::new("a dog")
            },
            Prompt::new("#not a comment"),
        ];
        assert_eq!(prompts, expected);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.txt");
        std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
        assert_eq!(load(path.to_str().unwrap()).unwrap(), prompts);

        std::fs::write(&path, "a --x\nb\nc --y 1\n").unwrap();
        let error = load(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("prompts.txt: 2 problems"), "{error}");
        assert!(
            error.contains("line 1: ") && error.contains("line 3: "),
            "{error}"
        );
    }

    #[test]
    fn absent_files_and_empty_texts_are_refused() {
        assert!(
            load("no/such/prompts.txt")
                .unwrap_err()
                .to_string()
                .contains("no/such/prompts.txt")
        );
        assert!(
            load("# only a comment\n")
                .unwrap_err()
                .to_string()
                .contains("at least one prompt")
        );
    }

    #[test]
    fn file_names() {
        let time = jiff::civil::date(2026, 3, 9).at(8, 7, 6, 999);
        assert_eq!(
            file_name("cat", PreviewTime::Epoch(2), 1, time, Some(7)),
            "cat_e000002_01_20260309080706_7.png"
        );
        assert_eq!(
            file_name("cat", PreviewTime::Step(120), 0, time, None),
            "cat_000120_00_20260309080706.png"
        );
    }
}
