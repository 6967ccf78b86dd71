"""The bundled base model and images, short runs on them, and Python processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest

ROOT = Path(__file__).parents[2]
BASE = ROOT / "assets/tiny-base.safetensors"
IMAGES = ROOT / "assets/train/8_blueprint"
TAGGER = ROOT / "tests/golden/tagger"
NAMES = ("airplane", "banana", "bicycle")

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

SLOW = "max_train_steps=100000, gradient_accumulation_steps=8"
"""Options of steps that take long enough to be interrupted."""

ConfigFactory = Callable[..., lt.TrainConfig]
Script = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with three of the bundled images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in NAMES:
        for extension in ("png", "txt"):
            shutil.copy(IMAGES / f"{name}.{extension}", folder)
    return folder


@pytest.fixture
def config(tmp_path: Path, images: Path) -> ConfigFactory:
    """Makes configurations of runs of a few seconds."""

    def make(**options: Any) -> lt.TrainConfig:
        return lt.TrainConfig(**settings(tmp_path, images) | options)

    return make


@pytest.fixture(scope="session")
def program() -> Path:
    """The command-line program, built like the wheel."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    metadata = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    path = Path(json.loads(metadata)["target_directory"]) / "release/lora-trainer"
    if not path.is_file():
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    return path


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A folder with the reference images of taggers."""
    folder = tmp_path / "tagged"
    folder.mkdir()
    for name in ("0.jpg", "1.png", "2.jpg"):
        shutil.copy(TAGGER / name, folder)
    return folder


def settings(folder: Path, images: Path) -> dict[str, Any]:
    """Returns the options of a run of a few seconds."""
    return {
        "pretrained_model_name_or_path": str(BASE),
        "train_data_dir": str(images),
        "output_dir": str(folder / "output"),
        "resolution": 64,
        "min_bucket_reso": 64,
        "network_dim": 4,
        "max_train_steps": 4,
        "unet_lr": 1e-2,
        "device": "cpu",
    }


@pytest.fixture
def script(tmp_path: Path, images: Path) -> Script:
    """Starts a Python process with `lt` and `config(**options)`."""

    def start(code: str) -> subprocess.Popen[str]:
        head = f"""
            import lora_trainer as lt
            settings = {settings(tmp_path, images)!r}
            def config(**options):
                return lt.TrainConfig(**settings | options)
        """
        text = textwrap.dedent(head) + textwrap.dedent(code)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", text], text=True, cwd=tmp_path, stdout=pipe, stderr=pipe
        )

    return start


def finish(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """Waits for a process to succeed. Returns its output."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def broken_folder(folder: Path) -> Path:
    """Makes a folder with an image file that cannot be decoded."""
    broken = folder / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    return broken


@contextmanager
def expect_error(kind: type[Exception], message: str, folder: Path) -> Iterator[None]:
    """Asserts that the block raises an error of the package with this message.

    The message may have the placeholder `{folder}`.
    """
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    assert isinstance(error, lt.LoraTrainerError)
    assert isinstance(error, lt.ConfigError) or not isinstance(error, lt.DeviceError)
    assert message.replace("{folder}", str(folder)) in str(error)
    if isinstance(error, FileNotFoundError):
        assert error.path is not None and "absent" in str(error.path)
        assert error.errno == errno.ENOENT
