//! The differentiable operations at the shapes of SD 1.5 and SDXL: forward, and forward with
//! backward to the input.
//!
//! It prints criterion's statistics, the fraction of this machine's measured ceiling, and the
//! difference from burn's own results. With `--serve FOLDER` it serves `benches/compare`.

mod row;
mod rows;

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use support::array::random;
use support::serve::{self, Served};
use support::{Result, Timings, process, report, report_machine, wanted};

use row::{Row, ServedRow};
use rows::rows;

/// The limits of this machine.
struct Ceiling {
    flops: f64,
    bytes: f64,
}

fn main() -> Result<()> {
    if let Some(folder) = serve::folder() {
        let rows = rows()
            .into_iter()
            .map(|row| Box::new(ServedRow::from(row)) as Box<dyn Served>);
        return serve::serve(rows.collect(), &folder);
    }
    let rows: Vec<Row> = rows().into_iter().filter(|row| wanted(&row.name)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    report_machine();
    let ceiling = Ceiling::measure();
    report(
        "operations/ceiling",
        &format!(
            "{:.0} GFLOP/s (product of matrices), {:.1} GB/s (copy)",
            ceiling.flops / 1e9,
            ceiling.bytes / 1e9
        ),
    );
    // Criterion needs at least ten samples, so a row of one second takes ten.
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1500))
        .without_plots();
    rows.iter()
        .for_each(|row| measure(row, &ceiling, &mut criterion));
    criterion.final_summary();
    Ok(())
}

impl Ceiling {
    fn measure() -> Self {
        const SIDE: usize = 1536;
        let a = random([SIDE, SIDE], 1);
        let source = vec![1.0_f32; 1 << 26];
        let mut target = vec![0.0_f32; 1 << 26];
        let (mut product, mut copy) = (Timings::default(), Timings::default());
        for _ in 0..5 {
            product.time(|| std::hint::black_box(a.clone().matmul(a.clone())));
            copy.time(|| {
                use rayon::prelude::*;
                let chunks = target
                    .par_chunks_mut(1 << 20)
                    .zip(source.par_chunks(1 << 20));
                chunks.for_each(|(to, from)| to.copy_from_slice(from));
            });
        }
        std::hint::black_box(&target);
        let bytes = 2.0 * 4.0 * source.len() as f64;
        Self {
            flops: 2.0 * (SIDE as f64).powi(3) / product.best(),
            bytes: bytes / copy.best(),
        }
    }
}

fn measure(row: &Row, ceiling: &Ceiling, criterion: &mut Criterion) {
    let inputs = row.inputs();
    // The first run is compared and warms up.
    let difference = row.reference_difference(&inputs);
    let mut timings = Timings::default();
    let resettable = process::reset_peak_memory();
    let (name, kind) = row.name.rsplit_once('/').unwrap_or((&row.name, "forward"));
    let mut group = criterion.benchmark_group(name);
    group.throughput(if row.flops > 0.0 {
        Throughput::Elements(row.flops as u64)
    } else {
        Throughput::Bytes(row.bytes as u64)
    });
    group.bench_function(kind, |bencher| {
        bencher.iter_custom(|count| {
            let started = Instant::now();
            for _ in 0..count {
                timings.time(|| std::hint::black_box((row.run)(&inputs)));
            }
            started.elapsed()
        });
    });
    group.finish();
    let best = timings.best();
    let (flops, bytes) = (row.flops / best, row.bytes / best);
    let fraction = (flops / ceiling.flops).max(bytes / ceiling.bytes);
    let memory = if resettable {
        process::peak_memory_text()
    } else {
        "unknown".into()
    };
    report(
        &row.name,
        &format!(
            "best {:.2} ms, median {:.2} ms; {:.0} GFLOP/s, {:.1} GB/s, {:.0} % of the ceiling; \
             peak memory {memory}; \
             differs by {difference:.0e}",
            best * 1e3,
            timings.median() * 1e3,
            flops / 1e9,
            bytes / 1e9,
            fraction * 100.0
        ),
    );
}
