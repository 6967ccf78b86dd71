//! The differentiable operations at the shapes of SD 1.5 and SDXL: forward, and forward with backward to the input.
//!
//! By itself it prints times, the share of this machine's measured ceiling, and how far results are from the framework's. With
//! `--serve FOLDER` it answers `benches/compare`, which has another program do the same work on the same inputs.

mod rows;
mod serve;

#[path = "../support/mod.rs"]
mod support;

use std::time::Instant;

use burn::tensor::Tensor;
use support::{Timings, process, report, report_machine, wanted};

use rows::{Row, rows};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a machine can do at most.
struct Ceiling {
    flops: f64,
    bytes: f64,
}

fn main() -> Result<()> {
    if let Some(folder) = std::env::args().skip_while(|argument| argument != "--serve").nth(1) {
        return serve::serve(folder.as_ref());
    }
    let rows: Vec<Row> = rows().into_iter().filter(|row| wanted(&row.name)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    report_machine();
    let ceiling = Ceiling::measure();
    report(
        "operations/ceiling",
        &format!("{:.0} GFLOP/s (product of matrices), {:.1} GB/s (copy)", ceiling.flops / 1e9, ceiling.bytes / 1e9),
    );
    rows.iter().for_each(|row| measure(row, &ceiling));
    Ok(())
}

impl Ceiling {
    fn measure() -> Self {
        const SIDE: usize = 1536;
        let device = burn::tensor::Device::flex();
        let a = rows::random([SIDE, SIDE], 1, &device);
        let source = vec![1.0_f32; 1 << 26];
        let mut target = vec![0.0_f32; 1 << 26];
        let (mut product, mut copy) = (Timings::default(), Timings::default());
        for _ in 0..5 {
            product.time(|| std::hint::black_box(a.clone().matmul(a.clone())));
            copy.time(|| {
                use rayon::prelude::*;
                let chunks = target.par_chunks_mut(1 << 20).zip(source.par_chunks(1 << 20));
                chunks.for_each(|(to, from)| to.copy_from_slice(from));
            });
        }
        std::hint::black_box(&target);
        let bytes = 2.0 * 4.0 * source.len() as f64;
        Self { flops: 2.0 * (SIDE as f64).powi(3) / product.best(), bytes: bytes / copy.best() }
    }
}

fn measure(row: &Row, ceiling: &Ceiling) {
    let inputs = row.inputs();
    // The first run is compared, and warms up.
    let difference = row.reference_difference(&inputs);
    let mut timings = Timings::default();
    let started = Instant::now();
    let resettable = process::reset_peak_memory();
    while timings.count() < 3 || (started.elapsed().as_secs_f64() < 2.0 && timings.count() < 50) {
        timings.time(|| std::hint::black_box((row.run)(&inputs)));
    }
    let best = timings.best();
    let (flops, bytes) = (row.flops / best, row.bytes / best);
    let share = (flops / ceiling.flops).max(bytes / ceiling.bytes);
    let memory = if resettable { process::peak_memory_text() } else { "unknown".into() };
    report(
        &row.name,
        &format!(
            "best {:.2} ms, median {:.2} ms; {:.0} GFLOP/s, {:.1} GB/s, {:.0} % of the ceiling; peak memory {memory}; \
             differs by {difference:.0e}",
            best * 1e3,
            timings.median() * 1e3,
            flops / 1e9,
            bytes / 1e9,
            share * 100.0
        ),
    );
}

/// All values of a tensor.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => panic!("f32 values: {error:?}"),
    }
}
