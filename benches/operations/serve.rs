//! Answers `benches/compare`: a line `prepare ROW` writes the row's inputs and results, `run ROW` runs it for a moment and tells
//! the seconds of the fastest run and the memory that was added.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::rows::{Array, Row, rows};
use super::support::{Timings, process};
use super::{Result, values};

/// Seconds that a turn lasts at least. One run by itself would measure cold caches and sleeping threads.
const MOMENT: f64 = 0.1;

pub(super) fn serve(folder: &Path) -> Result<()> {
    let rows: HashMap<String, Row> = rows().into_iter().map(|row| (row.name.clone(), row)).collect();
    let mut prepared: HashMap<String, Vec<Array>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, name) = line.split_once(' ').unwrap_or((&line, ""));
        let row = rows.get(name);
        let answer = match (command, row) {
            ("rows", _) => {
                let mut names: Vec<&str> = rows.keys().map(String::as_str).collect();
                names.sort_unstable();
                names.join(" ")
            }
            ("prepare", Some(row)) => {
                prepared.clear();
                let inputs = row.inputs();
                write(&folder.join("inputs.safetensors"), &inputs)?;
                write(&folder.join("results-ours.safetensors"), &(row.run)(&inputs))?;
                prepared.insert(row.name.clone(), inputs);
                "ready".into()
            }
            ("run", Some(row)) => {
                let inputs = prepared.get(name).ok_or("prepare comes before run")?;
                process::reset_peak_memory();
                let before = process::resident_memory().unwrap_or(0);
                let mut timings = Timings::default();
                let started = Instant::now();
                while started.elapsed().as_secs_f64() < MOMENT {
                    timings.time(|| std::hint::black_box((row.run)(inputs)));
                }
                let seconds = timings.best();
                format!("{seconds} {}", process::peak_memory().unwrap_or(0).saturating_sub(before))
            }
            _ => return Err(format!("cannot answer `{line}`").into()),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn write(path: &Path, arrays: &[Array]) -> Result<()> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|array| values(array.tensor.clone()).iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::new();
    for (array, bytes) in arrays.iter().zip(&bytes) {
        views.push((array.name, TensorView::new(Dtype::F32, array.shape.clone(), bytes)?));
    }
    std::fs::write(path, safetensors::serialize(views, None)?)?;
    Ok(())
}
