//! Displays the events of a run: a progress bar on a terminal, otherwise plain lines.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use lora_data::{DatasetReport, count};

use crate::train::{Cached, Event, Pace, RunPlan, Step, Summary};

/// The number of progress lines without a terminal, in addition to the first and the last step.
const LINES: u64 = 20;

#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    bar: ProgressBar,
    pace: Pace,
}

impl Progress {
    pub(super) fn new() -> Self {
        // The bar is written to standard error and the lines above it to standard output, so both
        // must be a terminal.
        let terminal = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Self {
            terminal,
            bar: ProgressBar::hidden(),
            pace: Pace::default(),
        }
    }

    /// Displays the current task, before there is any progress to count.
    pub(super) fn status(&mut self, what: &str) {
        if self.terminal {
            self.bar = ProgressBar::new_spinner();
            self.bar.set_message(what.to_owned());
            self.bar
                .enable_steady_tick(std::time::Duration::from_millis(120));
        } else {
            print_line(what);
        }
    }

    /// Prints a line above the bar.
    pub(super) fn print(&self, line: &str) {
        if self.terminal && !self.bar.is_hidden() {
            self.bar.println(line);
        } else {
            print_line(line);
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Plan(plan) => {
                self.bar.finish_and_clear();
                plan_lines(plan).iter().for_each(|line| self.print(line));
            }
            Event::Cached(progress) => {
                let what = match progress.what {
                    Cached::Latents => "encoding images",
                    Cached::TextOutputs => "encoding captions",
                };
                self.advance(
                    what,
                    progress.done as u64,
                    progress.total as u64,
                    String::new(),
                );
            }
            Event::Step(step) => self.step(step),
            // The sum of all waits is reported at the end.
            Event::DataWait(_) => {}
            Event::Epoch(end) => {
                let validation = end
                    .validation_loss
                    .map_or_else(String::new, |loss| format!(", validation loss {loss:.4}"));
                let (epoch, epochs, average) = (end.epoch, end.epochs, end.average_loss);
                self.print(&format!(
                    "epoch {epoch} of {epochs}: average loss {average:.4}{validation}"
                ));
            }
            Event::Preview(preview) => self.print(&format!("preview: {}", preview.path.display())),
            Event::Saved(saved) => self.print(&format!("saved {}", saved.path.display())),
            Event::Deleted(path) => self.print(&format!("deleted {}", path.display())),
            Event::Warning(warning) => self.print(&format!("warning: {warning}")),
            Event::End(summary) => {
                self.bar.finish_and_clear();
                summary_lines(summary)
                    .iter()
                    .for_each(|line| print_line(line));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.pace.add(step);
        let figures = format!(
            "loss {:.4} (average {:.4}), lr {:.2e}, {}, {} left",
            step.loss,
            step.average_loss,
            step.lr(),
            speed(self.pace.steps_per_second()),
            duration(self.pace.seconds_left(step))
        );
        self.advance("training", step.step, step.total_steps, figures);
    }

    /// Displays that `done` of `total` pieces of a task are done.
    pub(super) fn advance(&mut self, what: &str, done: u64, total: u64, figures: String) {
        if self.terminal {
            if done == 1 {
                self.bar.finish_and_clear();
                self.bar = ProgressBar::new(total).with_style(style());
                self.bar.set_prefix(what.to_owned());
            }
            self.bar.set_message(figures);
            self.bar.set_position(done);
            if done == total {
                self.bar.finish();
            }
        } else if done == 1 || done == total || done.is_multiple_of(total.div_ceil(LINES)) {
            let figures = if figures.is_empty() {
                figures
            } else {
                format!(": {figures}")
            };
            print_line(&format!("{what} {done}/{total}{figures}"));
        }
    }
}

/// Prints a line to standard output. A closed pipe, as in `| head`, does not stop the run.
pub(super) fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {bar:32} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn speed(per_second: f64) -> String {
    if per_second < 1.0 {
        format!("{:.2} s/it", 1.0 / per_second)
    } else {
        format!("{per_second:.2} it/s")
    }
}

pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

fn plan_lines(plan: &RunPlan) -> Vec<String> {
    let mut lines = dataset_lines(&plan.dataset);
    lines.push(format!(
        "{} in {}, {} per epoch; {}, {} in total",
        count(plan.images_per_epoch, "image"),
        count(plan.batches_per_epoch, "batch"),
        count(plan.steps_per_epoch, "step"),
        count(plan.epochs, "epoch"),
        count(plan.total_steps, "step")
    ));
    lines.push(format!(
        "adapters: {} of the UNet, {} of the text encoder, {:.2} million parameters",
        count(plan.unet_adapters, "layer"),
        count(plan.text_encoder_adapters, "layer"),
        plan.parameters as f64 / 1e6
    ));
    lines.push(format!("device: {}", plan.device));
    lines.push(format!(
        "memory: about {:.1} GB",
        plan.memory.total() as f64 / 1e9
    ));
    lines.extend(
        plan.reproduced
            .iter()
            .map(|line| format!("sd-scripts behaviour reproduced: {line}")),
    );
    lines
}

/// Describes folders, warnings and buckets.
fn dataset_lines(dataset: &DatasetReport) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in dataset.subsets() {
        let regularisation = if folder.is_reg {
            " (regularisation)"
        } else {
            ""
        };
        lines.push(format!(
            "{}{regularisation}: {} x {}; captions: {} from files, {} from class tokens, {} \
             missing",
            folder.name,
            count(folder.images, "image"),
            count(folder.repeats, "repeat"),
            folder.captions_from_files,
            folder.captions_from_class_tokens,
            folder.captions_missing
        ));
    }
    lines.extend(
        dataset
            .notices
            .iter()
            .map(|notice| format!("warning: {notice}")),
    );
    for part in &dataset.parts {
        let resolution = if dataset.parts.len() > 1 {
            format!(" (resolution {})", part.resolution)
        } else {
            String::new()
        };
        for bucket in part.bucket_info.iter().flat_map(|info| &info.buckets) {
            lines.push(format!(
                "bucket {}{resolution}: {} per epoch",
                bucket.resolution,
                count(bucket.count, "image")
            ));
        }
    }
    lines
}

fn summary_lines(summary: &Summary) -> Vec<String> {
    let mut lines = vec![format!("LoRA:     {}", summary.lora.display())];
    if let Some(sheet) = &summary.contact_sheet {
        lines.push(format!(
            "previews: {} (top: before training, bottom: after)",
            sheet.display()
        ));
    }
    if let Some(logs) = &summary.logs {
        lines.push(format!(
            "logs:     {} (tensorboard --logdir)",
            logs.display()
        ));
    }
    let memory = peak_memory().map_or_else(String::new, |bytes| {
        format!(", peak memory {:.2} GB", bytes as f64 / 1e9)
    });
    let waiting = if summary.data_wait_seconds >= 0.01 * summary.seconds {
        format!(
            ", of which {} was spent waiting for images",
            duration(summary.data_wait_seconds)
        )
    } else {
        String::new()
    };
    lines.push(format!(
        "{} in {}{waiting} ({}){memory}",
        count(summary.steps, "step"),
        duration(summary.seconds),
        speed(summary.steps_per_second)
    ));
    lines.push(format!(
        "To use the LoRA, copy it to ComfyUI's models/loras or the WebUI's models/Lora, or load it \
         in diffusers with pipe.load_lora_weights(\"{}\").",
        summary.lora.display()
    ));
    lines
}

/// Returns the peak memory of the process, if the system reports it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_speeds_read_well() {
        assert_eq!(duration(7.4), "7 s");
        assert_eq!(duration(67.0), "1 min 07 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
        assert_eq!(speed(2.0), "2.00 it/s");
        assert_eq!(speed(0.4), "2.50 s/it");
    }
}
