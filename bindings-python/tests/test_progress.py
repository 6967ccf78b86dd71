"""The progress bar, and the lines that replace it without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import lora_trainer as lt
import pytest
from conftest import ConfigFactory, settings


def test_plain_lines_without_a_terminal(
    config: ConfigFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    lt.fit(config(max_train_steps=40))
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == "" and "\r" not in err
    assert lines[0].endswith("14 epochs, 40 steps on cpu")
    assert sum(line.startswith("training ") for line in lines) == 21
    assert re.fullmatch(
        r"training 40/40: loss \d\.\d{4}, lr \d\.\d\de-\d\d, [\d.]+ (it/s|s/it), 0 s left",
        lines[-4],
    )
    assert lines[-2].startswith("saved ") and lines[-1].startswith("40 steps in ")


def test_no_output_without_progress(
    config: ConfigFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    lt.fit(config(), progress=False)
    assert capfd.readouterr() == ("", "")


def test_one_bar_in_a_terminal(tmp_path: Path, images: Path) -> None:
    """On a pseudo terminal, the bar is drawn at most twice per second."""
    code = f"""
        import lora_trainer as lt
        lt.fit(lt.TrainConfig(**{settings(tmp_path, images) | {"max_train_steps": 150}!r}))
    """
    ours, theirs = pty.openpty()
    # A terminal of 120 columns.
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    started, drawn = time.monotonic(), b""
    while process.poll() is None or drawn[-1:] != b"\n":
        try:
            drawn += os.read(ours, 1 << 16)
        except OSError:
            break
    seconds = time.monotonic() - started
    os.close(ours)
    assert process.wait() == 0
    text = drawn.decode()
    bars = [part for part in re.split(r"[\r\n]+", text) if "%|" in part]
    training = [bar for bar in bars if bar.startswith("training")]
    assert (
        "encoding images" in text
        and training
        and "150/150, loss " in training[-1]
        and "left" in training[-1]
    )
    # The first and the last state of each task are drawn, too.
    assert len(bars) <= 2 * seconds + 6, bars
    assert text.count("\n") <= 2, "one bar, one line"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7380, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    from lora_trainer._figures import duration

    assert duration(seconds) == text


def test_smoothing_starts_at_the_first_value() -> None:
    from lora_trainer._figures import smoothed

    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 3.0]) == pytest.approx(
        [1.0, (0.95 * 0.05 * 1 + 0.05 * 3) / (0.95 * 0.05 + 0.05)]
    )
    assert smoothed([]) == []


def test_curves_of_long_runs_have_few_points(config: ConfigFactory) -> None:
    from lora_trainer._live import MAX_POINTS, curve

    steps = lt.fit(config(), progress=False).steps
    long = steps * 400
    points = curve(long)
    assert {len(values) for values in points.values()} == {400} and len(long) // 4 <= MAX_POINTS
    mean = sum(step.loss for step in steps) / 4
    assert points["loss"] == pytest.approx([mean] * 400)


def test_views_escape_html(tmp_path: Path, make_folder: Callable[[str], Path]) -> None:
    folder = make_folder("<b>caption</b>")
    config = lt.TrainConfig(**settings(tmp_path, folder))
    html = lt.check(config)._repr_html_()
    assert "&lt;b&gt;caption&lt;/b&gt;" in html and "<b>caption</b>" not in html
    assert "&lt;i&gt;" in config.replace(output_name="<i>")._repr_html_()


@pytest.fixture
def make_folder(images: Path) -> Callable[[str], Path]:
    """Makes a folder of images with this caption."""

    def make(caption: str) -> Path:
        for path in images.glob("*.txt"):
            path.write_text(caption)
        return images

    return make
