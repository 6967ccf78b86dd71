//! Images from folders: decoding, resizing and cropping them for training, compared with
//! sd-scripts' way; and scanning a folder of 100,000 images.
//!
//! `PYTHON` is an interpreter with the packages of `reference/images.py` and
//! `reference/load_images.py`. The former generates the images, once, in cargo's target directory
//! (2 GB); the latter is the program to compare with. Both programs load the same images in turn,
//! after their results are compared. All files are in the page cache, if they fit.

mod support;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use lora_data::{
    BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, DecodeOptions, Item, Pixels,
    Size, Subset,
};
use rayon::prelude::*;
use support::{Result, Timings, process, report, report_machine, wanted};

/// Baseline and progressive JPEG files.
const LOAD: &str = "data/load";
const LOAD_PROGRESSIVE: &str = "data/load_progressive";
const SCAN: &str = "data/scan";

const IMAGES_TO_LOAD: usize = 1000;
const IMAGES_TO_SCAN: usize = 100_000;
const ROUNDS: usize = 3;
/// The largest difference of the mean levels of an image; decoders round differently.
const TOLERANCE: f64 = 0.5;
/// Tells this program to scan one folder and report its time and memory.
const SCAN_ONLY: &str = "--scan-only";
/// With [`SCAN_ONLY`]: with `cache_info`.
const WITH_INDEX: &str = "--with-index";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == SCAN_ONLY) {
        return scan_only(
            Path::new(&arguments[at + 1]),
            arguments.iter().any(|argument| argument == WITH_INDEX),
        );
    }
    if ![LOAD, LOAD_PROGRESSIVE, SCAN].into_iter().any(wanted) {
        return Ok(());
    }
    let Some(python) = std::env::var_os("PYTHON") else {
        report(
            "data",
            "left out: PYTHON names no interpreter that makes the images",
        );
        return Ok(());
    };
    report_machine();
    let folder = make_images(&python)?;
    for (row, name) in [(LOAD, "load"), (LOAD_PROGRESSIVE, "progressive")] {
        if wanted(row) {
            compare_loading(row, &python, &folder.join(name))?;
        }
    }
    if wanted(SCAN) {
        time_scans(&folder.join("scan"))?;
    }
    Ok(())
}

fn reference(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/reference")
        .join(script)
}

/// The folder with the images. Existing images are kept.
fn make_images(python: &OsStr) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data");
    let count = |wanted: bool, count: usize| {
        if wanted {
            count.to_string()
        } else {
            "0".into()
        }
    };
    let (load, scan) = (wanted(LOAD) || wanted(LOAD_PROGRESSIVE), wanted(SCAN));
    let status = Command::new(python)
        .arg(reference("images.py"))
        .arg(&folder)
        .args([
            "--count",
            &count(load, IMAGES_TO_LOAD),
            "--scan",
            &count(scan, IMAGES_TO_SCAN),
        ])
        .status()?;
    if !status.success() {
        return Err("no images could be made".into());
    }
    Ok(folder)
}

/// The buckets of SD 1.5, pixels as sd-scripts reads them.
fn open(folder: &Path, cache_info: bool) -> Result<Dataset> {
    let buckets = BucketConfig {
        bucket_no_upscale: false,
        ..BucketConfig::new(Size::new(512, 512))
    };
    let dataset = DatasetConfig {
        subsets: vec![Subset::new(folder)],
        ..DatasetConfig::new(buckets)
    };
    let options = DatasetOptions {
        decode: DecodeOptions::SD_SCRIPTS,
        cache_info,
        ..DatasetOptions::default()
    };
    Ok(Dataset::open(DataConfig {
        datasets: vec![dataset],
        options,
    })?)
}

fn compare_loading(row: &str, python: &OsStr, folder: &Path) -> Result<()> {
    let dataset = open(folder, false)?;
    let mut other = Other::start(python, folder)?;
    check(&dataset, &other.ask("check")?)?;
    let (mut ours, mut theirs) = (Timings::default(), Timings::default());
    process::reset_peak_memory();
    for _ in 0..ROUNDS {
        ours.time(|| {
            dataset
                .items()
                .par_iter()
                .try_for_each(|item| load(&dataset, item).map(drop))
        })?;
        theirs.push(serde_json::from_str(&other.ask("run")?)?);
    }
    let peak = process::peak_memory_text();
    let count = dataset.items().len() as f64;
    let rates = |timings: &Timings| {
        format!(
            "best {:.1}, median {:.1}",
            count / timings.best(),
            count / timings.median()
        )
    };
    report(
        row,
        &format!("{} images a second, peak memory {peak}", rates(&ours)),
    );
    report(
        row,
        &format!("{} as sd-scripts does with two processes", rates(&theirs)),
    );
    let ratios = (theirs.best() / ours.best(), theirs.median() / ours.median());
    report(
        row,
        &format!(
            "ratio: best {:.2}, median {:.2} (aim: at least 1.2)",
            ratios.0, ratios.1
        ),
    );
    Ok(())
}

fn load(dataset: &Dataset, item: &Item) -> lora_data::Result<Pixels> {
    Ok(dataset.load(item, &dataset.centre_crop(item))?.pixels)
}

/// Compares sizes and mean levels of all images.
fn check(dataset: &Dataset, answer: &str) -> Result<()> {
    let theirs: Vec<(u32, u32, f64)> = serde_json::from_str(answer)?;
    let ours = dataset.items().par_iter().map(|item| {
        let pixels = load(dataset, item)?;
        let sum: u64 = pixels
            .as_bytes()
            .iter()
            .map(|level| u64::from(*level))
            .sum();
        Ok((pixels.size(), sum as f64 / pixels.as_bytes().len() as f64))
    });
    let ours: Vec<(Size, f64)> = ours.collect::<lora_data::Result<_>>()?;
    if ours.len() != theirs.len() {
        return Err(format!("{} images here, {} there", ours.len(), theirs.len()).into());
    }
    for ((item, (size, mean)), (width, height, their_mean)) in
        dataset.items().iter().zip(&ours).zip(theirs)
    {
        if *size != Size::new(width, height) || (mean - their_mean).abs() > TOLERANCE {
            let path = item.path.display();
            return Err(format!(
                "{path}: {size}, mean {mean} here, {width}x{height}, mean {their_mean} there"
            )
            .into());
        }
    }
    Ok(())
}

/// The program that loads images like sd-scripts.
struct Other {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    fn start(python: &OsStr, folder: &Path) -> Result<Self> {
        let mut command = Command::new(python);
        command
            .arg(reference("load_images.py"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("no pipes to the other program".into());
        };
        Ok(Self {
            process,
            questions,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.questions, "{question}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(format!("no answer to `{question}`").into());
        }
        Ok(answer)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Its worker processes end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs each scan in its own process, whose peak memory is that of the scan.
fn time_scans(folder: &Path) -> Result<()> {
    let index = folder.join("metadata_cache.json");
    if index.exists() {
        std::fs::remove_file(&index)?;
    }
    let (first, peak) = scan_in_process(folder, true)?;
    report(
        SCAN,
        &format!("{first:.2} s and {peak} MB for {IMAGES_TO_SCAN} images, writing the index"),
    );
    let mut without = (Timings::default(), 0);
    let mut with = (Timings::default(), 0);
    for _ in 0..ROUNDS {
        for (index, (timings, most)) in [(false, &mut without), (true, &mut with)] {
            let (seconds, peak) = scan_in_process(folder, index)?;
            timings.push(seconds);
            *most = peak.max(*most);
        }
    }
    for (name, (timings, peak), aim) in [("without index", without, 30), ("with index", with, 3)] {
        let (best, median) = (timings.best(), timings.median());
        report(
            SCAN,
            &format!(
                "{name}: best {best:.2} s, median {median:.2} s (aim: under {aim}), {peak} MB \
                 (under 200)"
            ),
        );
    }
    Ok(())
}

/// The seconds and megabytes of a scan.
fn scan_in_process(folder: &Path, index: bool) -> Result<(f64, u64)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(SCAN_ONLY)
        .arg(folder)
        .args(index.then_some(WITH_INDEX));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("scanning `{}` failed", folder.display()).into());
    }
    let (seconds, peak, images): (f64, u64, usize) = serde_json::from_slice(&output.stdout)?;
    if images != IMAGES_TO_SCAN {
        return Err(format!("{images} images found, {IMAGES_TO_SCAN} expected").into());
    }
    Ok((seconds, peak / 1_000_000))
}

fn scan_only(folder: &Path, index: bool) -> Result<()> {
    let started = Instant::now();
    let dataset = open(folder, index)?;
    let answer = (
        started.elapsed().as_secs_f64(),
        process::peak_memory().unwrap_or(0),
        dataset.items().len(),
    );
    println!("{}", serde_json::to_string(&answer)?);
    Ok(())
}
