//! Signals: the running step is finished, the LoRA is saved, and the exit code shows the signal.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Job, WeightFile};

pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(job: &Job) -> Self {
        Self::from_command(&mut job.command())
    }

    pub(crate) fn from_command(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Reads until a line that starts like this.
    pub(crate) fn wait_for(&mut self, start: &str) {
        let found = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.starts_with(start));
        assert!(found, "ended without `{start}`");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    /// The exit code, the remaining lines and standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let lines = self.lines.by_ref().map_while(Result::ok).collect();
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut stderr)
            .expect("UTF-8");
        (self.child.wait().expect("an end").code(), lines, stderr)
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_none()
    }
}

/// A failing test does not leave a running program.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn signals_finish_the_step_and_save() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut job = Job::new();
        job.toml("max_train_steps", "1000000");
        let mut running = Running::start(&job);
        running.wait_for("training 1/1000000: loss ");
        running.signal(signal);
        let (exit, lines, stderr) = running.end();
        assert_eq!((exit, stderr.as_str()), (Some(code), ""), "{lines:?}");

        let outputs = job.outputs();
        let [file] = &outputs[..] else {
            panic!("one file: {outputs:?}")
        };
        let number = file
            .strip_prefix("emoji-step")
            .and_then(|name| name.strip_suffix(".safetensors"))
            .expect("a name");
        let step: u64 = number.parse().expect("a number");
        assert!(number.len() == 8 && step >= 1, "{file}");
        assert_eq!(
            lines.last(),
            Some(&format!("stopped after step {step}; saved output/{file}")),
            "{lines:?}"
        );
        let saved = WeightFile::read(&job.path("output").join(file));
        assert_eq!(saved.metadata("ss_steps"), Some(step.to_string().as_str()));

        // The file loads: the next run continues from it.
        job.toml("max_train_steps", "1")
            .set("network_weights", format!("output/{file}"))
            .run()
            .succeeded();
    }
}

#[test]
fn a_second_signal_ends_immediately() {
    let mut job = Job::new();
    // A step takes more than a minute.
    job.set("train_data_dir", "images/2_emoji")
        .toml("dataset_repeats", "500")
        .toml("gradient_accumulation_steps", "1000");
    let mut running = Running::start(&job);
    running.wait_for("encoding captions 3/3");
    // Long enough to be within the step.
    std::thread::sleep(Duration::from_secs(2));
    running.signal("-TERM");
    std::thread::sleep(Duration::from_secs(1));
    assert!(running.is_running(), "the step is to be finished first");
    let sent = Instant::now();
    running.signal("-INT");
    let (exit, lines, stderr) = running.end();
    assert!(
        sent.elapsed() < Duration::from_secs(20),
        "{:?}",
        sent.elapsed()
    );
    assert_eq!((exit, stderr.as_str()), (Some(130), ""), "{lines:?}");
    assert_eq!(job.outputs(), [""; 0]);
}

#[test]
fn before_the_first_step_nothing_is_saved() {
    let mut job = Job::new();
    for copy in 0..300 {
        std::fs::copy(
            job.image("banana.png"),
            job.image(&format!("copy{copy}.png")),
        )
        .expect("an image");
    }
    job.set("resolution", "128,128");
    let mut running = Running::start(&job);
    running.wait_for("encoding images 1/303");
    running.signal("-INT");
    let (exit, lines, stderr) = running.end();
    assert_eq!((exit, stderr.as_str()), (Some(130), ""), "{lines:?}");
    assert_eq!(
        lines.last().map(String::as_str),
        Some("stopped before the first step; nothing was saved")
    );
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("encoding images 303/")),
        "{lines:?}"
    );
    assert_eq!(job.outputs(), [""; 0]);
}

/// The library leaves signals to the program that uses it.
#[cfg(target_os = "linux")]
#[test]
fn the_library_handles_no_signal() {
    let caught = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a mask")
    };
    let before = caught();
    let job = Job::new();
    for event in lora_trainer::Trainer::new(job.config().expect("a configuration")).expect("a run")
    {
        event.expect("no error");
    }
    assert_eq!(caught(), before);
    for signal in [2, 15, 25] {
        assert_eq!(caught() >> (signal - 1) & 1, 0, "signal {signal}");
    }
    assert_eq!(job.outputs(), ["emoji.safetensors"]);
}
