"""Errors of images in `data=`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import IMAGES, ConfigFactory, broken_folder, expect_error

BANANA = IMAGES / "banana.png"
IMAGE = "expected a path, a PIL.Image or an array [h, w, 3 or 4] of uint8"
LIST = (
    "expected a list of (image, caption), in which each image is a path, a PIL.Image or an array"
    " [h, w, 3 or 4] of uint8"
)


def array(*shape: int, dtype: str = "uint8") -> Any:
    """Returns an array of zeros."""
    import numpy

    return numpy.zeros(shape, dtype)


def image(mode: str) -> Any:
    """Returns an image of this mode."""
    from PIL import Image

    return Image.new(mode, (64, 64))


def truncated_image(folder: Path) -> Any:
    """Returns an image that Pillow can open but not decode."""
    from PIL import Image

    path = folder / "truncated.png"
    path.write_bytes(BANANA.read_bytes()[:600])
    return Image.open(path)


ENTRIES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("shape of an array", lambda _: array(64, 64), "found an array of shape [64, 64], "),
    ("channels of an array", lambda _: array(3, 64, 64), "found an array of shape [3, 64, 64], "),
    (
        "type of an array",
        lambda _: array(64, 64, 3, dtype="float32"),
        "found an array of float32, ",
    ),
    ("path in bytes", lambda _: b"banana.png", "found bytes, "),
    (
        "32-bit image",
        lambda _: image("I"),
        "found a PIL.Image of mode I, whose range is unknown; convert it, ",
    ),
    (
        "image of floats",
        lambda _: image("F"),
        "found a PIL.Image of mode F, whose range is unknown; convert it, ",
    ),
]


@pytest.mark.parametrize(
    ("make", "found"), [row[1:] for row in ENTRIES], ids=[row[0] for row in ENTRIES]
)
def test_values_that_are_no_images(
    config: ConfigFactory, tmp_path: Path, make: Callable[[Path], Any], found: str
) -> None:
    with expect_error(lt.DatasetError, f"data[0]: {found}{IMAGE}", tmp_path):
        lt.Trainer(config(train_data_dir=None), data=[(make(tmp_path), "a")])


LISTS: list[tuple[str, Callable[[Path], Any], type[Exception], str]] = [
    (
        "broken image",
        lambda folder: [(BANANA, "a"), (truncated_image(folder), "b")],
        lt.DatasetError,
        "data[1]: unreadable image: ",
    ),
    (
        "broken file",
        lambda folder: [(broken_folder(folder) / "a.png", "a")],
        lt.DatasetError,
        "broken/a.png`: unreadable image",
    ),
    (
        "missing file",
        lambda folder: [(folder / "absent.png", "a")],
        FileNotFoundError,
        "`{folder}/absent.png`: unreadable image: No such file or directory",
    ),
    (
        "empty array",
        lambda folder: [(array(0, 0, 3), "a")],
        lt.DatasetError,
        "`data[0]` is 0x0, too small",
    ),
    ("empty list", lambda folder: [], lt.DatasetError, f"data: the list is empty, {LIST}"),
    (
        "folder",
        str,
        lt.DatasetError,
        f"data: found a value of type str, {LIST}; a folder is train_data_dir",
    ),
    ("number", lambda folder: 3, lt.DatasetError, f"data: found a value of type int, {LIST}"),
    (
        "path without caption",
        lambda folder: [BANANA],
        lt.DatasetError,
        "expected a pair (image, caption)",
    ),
    (
        "caption that is no text",
        lambda folder: [(BANANA, None)],
        lt.DatasetError,
        "data[0]: found a caption of type NoneType, expected text",
    ),
]


@pytest.mark.parametrize(
    ("make", "kind", "message"), [row[1:] for row in LISTS], ids=[row[0] for row in LISTS]
)
def test_lists(
    config: ConfigFactory,
    tmp_path: Path,
    make: Callable[[Path], Any],
    kind: type[Exception],
    message: str,
) -> None:
    with expect_error(kind, message, tmp_path):
        lt.Trainer(config(train_data_dir=None), data=make(tmp_path))


def test_images_in_memory_have_no_cache_files(config: ConfigFactory, tmp_path: Path) -> None:
    message = "`cache_latents_to_disk`: writes files "
    with expect_error(lt.ConfigError, message, tmp_path):
        lt.Trainer(
            config(train_data_dir=None, cache_latents_to_disk=True), data=[(array(64, 64, 3), "a")]
        )
