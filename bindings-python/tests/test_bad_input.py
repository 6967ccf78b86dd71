"""What a user reads when something is wrong."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import BASE, IMAGES, ConfigFactory, finish

NUMBER = "a number from 0 to 1e30"

OPTIONS: list[tuple[dict[str, Any], str, str, str | None]] = [
    ({"network_dimm": 8}, "`network_dimm`: no such option; did you mean `network_dim`?", "network_dimm", "did you mean `network_dim`?"),
    ({"zzzzzz": 8}, "`zzzzzz`: no such option", "zzzzzz", None),
    ({"network_dim": [8]}, "`network_dim`: found the list [8], expected an integer from 1 to 4096", "network_dim",
     "expected an integer from 1 to 4096"),
    ({"network_dim": 8.5}, "`network_dim`: found 8.5, expected an integer from 1 to 4096", "network_dim",
     "expected an integer from 1 to 4096"),
    ({"network_dim": True}, "`network_dim`: found true, expected an integer from 1 to 4096", "network_dim",
     "expected an integer from 1 to 4096"),
    ({"network_dim": 10**30}, f'`network_dim`: found "{10**30}", expected an integer from 1 to 4096', "network_dim",
     "expected an integer from 1 to 4096"),
    ({"network_dim": object}, "`network_dim`: found a value of type type, expected an integer from 1 to 4096", "network_dim",
     "expected an integer from 1 to 4096"),
    ({"network_dim": {1, 2}}, "`network_dim`: found a value of type set, expected an integer from 1 to 4096", "network_dim",
     "expected an integer from 1 to 4096"),
    ({"unet_lr": float("nan")}, f'`unet_lr`: found "NaN", expected {NUMBER}', "unet_lr", f"expected {NUMBER}"),
    ({"unet_lr": float("inf")}, f'`unet_lr`: found "inf", expected {NUMBER}', "unet_lr", f"expected {NUMBER}"),
    ({"unet_lr": "fast"}, f'`unet_lr`: found "fast", expected {NUMBER}', "unet_lr", f"expected {NUMBER}"),
    ({"train_data_dir": b"images"}, "`train_data_dir`: found bytes, expected text or a path object such as pathlib.Path",
     "train_data_dir", "expected text or a path object such as pathlib.Path"),
    ({"train_data_dir": "pict\udcffures"}, "`train_data_dir`: found 'pict\\udcffures', expected text without surrogates",
     "train_data_dir", "expected text without surrogates"),
    ({"pretrained_model_name_or_path": None}, "`pretrained_model_name_or_path`: not given, expected the base checkpoint, a file or a folder",
     "pretrained_model_name_or_path", "expected the base checkpoint, a file or a folder"),
    ({"optimizer_type": "Adamw9"}, "`optimizer_type`: found \"Adamw9\"", "optimizer_type", None),
    ({"optimizer_args": {"momentun": 0.9}}, "`optimizer_args`: found `momentun=0.9`", "optimizer_args", None),
    ({"network_train_unet_only": True, "network_train_text_encoder_only": True},
     "`network_train_unet_only`: excludes `network_train_text_encoder_only`", "network_train_unet_only", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message", "key", "hint"), OPTIONS, ids=[row[2] for row in OPTIONS]
)
def test_options(options: dict[str, Any], message: str, key: str, hint: str | None) -> None:
    given = {"pretrained_model_name_or_path": "base.safetensors", "train_data_dir": "images"}
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig(**given | options)
    error = caught.value
    assert isinstance(error, ValueError) and message in str(error) and error.key == key
    assert error.problems and message in error.problems[0]
    if hint is not None:
        assert error.hint == hint


def test_all_options_at_once() -> None:
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig("base.safetensors", network_dim=0, seeed=1, unet_lr=-1, sampler=b"x")  # type: ignore[call-arg]
    assert len(caught.value.problems) == 1, "what has no type of the table is told first"
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig("base.safetensors", network_dim=0, seeed=1, unet_lr=-1)  # type: ignore[call-arg]
    assert len(caught.value.problems) == 3 and str(caught.value).startswith(
        "configuration: 3 problems\n"
    )


def test_files_with_configurations(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        lt.TrainConfig.from_toml(tmp_path / "absent.toml")
    assert (
        isinstance(caught.value, lt.ConfigError) and caught.value.path == tmp_path / "absent.toml"
    )
    assert str(caught.value).startswith(f"{tmp_path / 'absent.toml'}: cannot read: ")
    assert caught.value.filename == tmp_path / "absent.toml"
    file = tmp_path / "job.toml"
    file.write_text("pretrained_model_name_or_path = 'a'\ntrain_data_dir = 'b'\n\nseeed = 3\n")
    with pytest.raises(
        lt.ConfigError, match="line 4: `seeed`: no such option; did you mean `seed`"
    ) as refused:
        lt.TrainConfig.from_toml(file)
    assert refused.value.path == file and refused.value.key == "seeed"


Trial = Callable[[ConfigFactory, Path], object]


def array(shape: tuple[int, ...], dtype: str = "uint8") -> Any:
    import numpy

    return numpy.zeros(shape, dtype)


def image(mode: str) -> Any:
    """An image of this mode."""
    from PIL import Image

    return Image.new(mode, (64, 64))


def broken_image(folder: Path) -> Any:
    """An image that Pillow opens and can't decode."""
    from PIL import Image

    path = folder / "cut.png"
    path.write_bytes((IMAGES / "banana.png").read_bytes()[:600])
    return Image.open(path)


def with_data(data: Callable[[Path], Any]) -> Trial:
    return lambda config, folder: lt.Trainer(config(train_data_dir=None), data=data(folder))


EXPECTED = "expected a list of (image, caption), where an image is a path, a PIL.Image or an array [h, w, 3] of uint8"
IMAGE = "expected a path, a PIL.Image or an array [h, w, 3] of uint8"

RUNS: list[tuple[str, Trial, type[Exception], str]] = [
    ("missing base", lambda config, folder: lt.Trainer(config(pretrained_model_name_or_path=folder / "absent.safetensors")),
     FileNotFoundError, "`pretrained_model_name_or_path`: found nothing at `{folder}/absent.safetensors`, expected a file, or a folder in "
     "diffusers' layout"),
    ("missing images", lambda config, folder: lt.Trainer(config(train_data_dir=folder / "absent")),
     FileNotFoundError, "`train_data_dir`: found no folder at `{folder}/absent`, expected a folder with images"),
    ("no images", lambda config, folder: lt.Trainer(config(train_data_dir=None)),
     lt.ConfigError, "`train_data_dir`: not given, expected the folder with the training images"),
    ("a base that is none", lambda config, folder: lt.Trainer(config(pretrained_model_name_or_path=IMAGES / "banana.png")),
     lt.CheckpointError, "banana.png"),
    ("a device that is not there", lambda config, folder: lt.Trainer(config(device="cuda:0")),
     lt.DeviceError, '`device`: device "cuda:0": this build lacks it; rebuild with `--features cuda`'),
    ("broken prompts", lambda config, folder: lt.Trainer(config(sample_prompts="a cat --x 3")),
     lt.ConfigError, "`sample_prompts`: found `--x 3`"),
    ("broken image in a folder", lambda config, folder: lt.Trainer(config(train_data_dir=broken_folder(folder))),
     lt.DatasetError, "broken/a.png`: unreadable image"),
    ("broken image in a list", with_data(lambda folder: [(IMAGES / "banana.png", "a"), (broken_image(folder), "b")]),
     lt.DatasetError, "data[1]: unreadable image: "),
    ("broken file in a list", with_data(lambda folder: [(broken_folder(folder) / "a.png", "a")]),
     lt.DatasetError, "broken/a.png`: unreadable image"),
    ("missing file in a list", with_data(lambda folder: [(folder / "absent.png", "a")]),
     FileNotFoundError, "`{folder}/absent.png`: unreadable image: No such file or directory"),
    ("shape of an array", with_data(lambda folder: [(array((64, 64)), "a")]),
     lt.DatasetError, "data[0]: found an array of shape [64, 64], " + IMAGE),
    ("channels of an array", with_data(lambda folder: [(array((3, 64, 64)), "a")]),
     lt.DatasetError, "data[0]: found an array of shape [3, 64, 64], " + IMAGE),
    ("type of an array", with_data(lambda folder: [(array((64, 64, 3), "float32"), "a")]),
     lt.DatasetError, "data[0]: found an array of float32, " + IMAGE),
    ("an empty array", with_data(lambda folder: [(array((0, 0, 3)), "a")]),
     lt.DatasetError, "`data[0]` is 0x0, too small"),
    ("an empty list", with_data(lambda folder: []), lt.DatasetError, "data: the list is empty, " + EXPECTED),
    ("a folder as data", with_data(lambda folder: str(folder)),
     lt.DatasetError, "data: found a value of type str, " + EXPECTED + "; a folder is train_data_dir"),
    ("a number as data", with_data(lambda folder: 3), lt.DatasetError, "data: found a value of type int, " + EXPECTED),
    ("no pairs", with_data(lambda folder: [IMAGES / "banana.png"]),
     lt.DatasetError, "expected a pair (image, caption)"),
    ("a caption that is none", with_data(lambda folder: [(IMAGES / "banana.png", None)]),
     lt.DatasetError, "data[0]: found a caption of type NoneType, expected text"),
    ("a path in bytes", with_data(lambda folder: [(b"banana.png", "a")]), lt.DatasetError, "data[0]: found bytes, " + IMAGE),
    ("images in memory on disk", lambda config, folder: lt.Trainer(
        config(train_data_dir=None, cache_latents_to_disk=True), data=[(array((64, 64, 3)), "a")]),
     lt.ConfigError, "`cache_latents_to_disk`: keeps files beside images, and some of those that are given are in memory"),
    ("a prompt's size", lambda config, folder: lt.generate(config(), "a cat", width=65),
     lt.ConfigError, "`width`: found 65, expected a multiple of 8 from 64 to 4096"),
    ("a prompt's height", lambda config, folder: lt.Trainer(config()).sample("a cat", height=10**6),
     lt.ConfigError, "`height`: found 1000000, expected a multiple of 8 from 64 to 4096"),
    ("a negative width", lambda config, folder: lt.Trainer(config()).sample("a cat", width=-8),
     lt.ConfigError, "`width`: found -8, expected an integer of at least 0"),
    ("a negative seed", lambda config, folder: lt.generate(config(), "a cat", seed=-1),
     lt.ConfigError, "`seed`: found -1, expected an integer"),
    ("a huge seed", lambda config, folder: lt.generate(config(), "a cat", seed=2**64),
     lt.ConfigError, '`seed`: found "18446744073709551616", expected an integer'),
    ("LoRAs in a list", lambda config, folder: lt.generate(config(), "a cat", loras=["a"]),  # type: ignore[call-overload]
     lt.ConfigError, "loras: found ['a'], expected a dict of strengths by path"),
    ("a precision", lambda config, folder: lt.Trainer(config()).save(precision="fp8"),  # type: ignore[arg-type]
     lt.ConfigError, '`precision`: found "fp8", expected float, fp16 or bf16'),
    ("32-bit images", with_data(lambda folder: [(image("I"), "a")]),
     lt.DatasetError, "data[0]: found a PIL.Image of mode I, whose range is unknown; convert it"),
    ("images of floats", with_data(lambda folder: [(image("F"), "a")]),
     lt.DatasetError, "data[0]: found a PIL.Image of mode F, whose range is unknown; convert it"),
    ("a prompt's steps", lambda config, folder: lt.generate(config(), "a cat", num_inference_steps=0),
     lt.ConfigError, "`num_inference_steps`: found 0, expected 1 to 1000"),
    ("a prompt's guidance", lambda config, folder: lt.generate(config(), "a cat", guidance_scale=float("nan")),
     lt.ConfigError, '`guidance_scale`: found "NaN", expected a number from -1000 to 1000'),
    ("a sampler", lambda config, folder: lt.generate(config(), "a cat", sampler="heun"),
     lt.ConfigError, '`sampler`: found "heun", expected ddim or euler_a'),
    ("a strength", lambda config, folder: lt.generate(config(), "a cat", loras={str(BASE): float("nan")}),
     lt.ConfigError, '`strength`: found "NaN", expected a number from'),
    ("a LoRA that is none", lambda config, folder: lt.generate(config(), "a cat", loras={str(BASE): 1.0}),
     lt.CheckpointError, "expected a LoRA file for this base, found tensors such as"),
    ("a missing LoRA", lambda config, folder: lt.inspect(folder / "absent.safetensors"),
     FileNotFoundError, "{folder}/absent.safetensors: No such file or directory"),
    ("no LoRA", lambda config, folder: lt.inspect(BASE), lt.CheckpointError, "expected a LoRA file"),
    ("a file as a folder", lambda config, folder: lt.Trainer(config()).save(BASE / "lora.safetensors"),
     lt.TrainingError, "tiny-base.safetensors"),
]  # fmt: skip


def broken_folder(folder: Path) -> Path:
    """A folder with an image that is none."""
    broken = folder / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    return broken


@pytest.mark.parametrize(
    ("trial", "kind", "message"), [row[1:] for row in RUNS], ids=[row[0] for row in RUNS]
)
def test_runs(
    config: ConfigFactory, tmp_path: Path, trial: Trial, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        trial(config, tmp_path)
    assert isinstance(caught.value, lt.LoraTrainerError)
    assert isinstance(caught.value, lt.ConfigError) or not isinstance(caught.value, lt.DeviceError)
    assert message.format(folder=tmp_path) in str(caught.value)
    if isinstance(caught.value, FileNotFoundError):
        assert caught.value.path is not None and "absent" in str(caught.value.path)
        assert caught.value.errno == errno.ENOENT


REFUSED = [
    ("image", "images/banana.png", "lt.Trainer(config())", "DatasetError"),
    (
        "base",
        "base.safetensors",
        "lt.Trainer(config(pretrained_model_name_or_path='base.safetensors'))",
        "CheckpointError",
    ),
    ("configuration", "job.toml", "lt.TrainConfig.from_toml('job.toml')", "ConfigError"),
    ("output folder", "output", "lt.Trainer(config())", "ConfigError"),
    ("LoRA", "lora.safetensors", "lt.inspect('lora.safetensors')", "CheckpointError"),
]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("name", "code", "kind"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_files_without_permission(
    script: Callable[[str], subprocess.Popen[str]], tmp_path: Path, name: str, code: str, kind: str
) -> None:
    path = tmp_path / name
    if name == "output":
        path.mkdir()
    elif not path.exists():
        path.write_bytes(b"x")
    path.chmod(0o000 if path.is_file() else 0o555)
    for parent in (*tmp_path.parents[:2], tmp_path, tmp_path / "images"):
        parent.chmod(0o777)
    process = script(f"""
import os
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    {code}
except PermissionError as error:
    print(isinstance(error, lt.LoraTrainerError), isinstance(error, lt.{kind}), "{path.name}" in str(error), error.path.name)
""")
    assert finish(process).split() == ["True", "True", "True", path.name]


def test_a_loss_that_is_not_finite(config: ConfigFactory) -> None:
    with pytest.raises(lt.LossNotFiniteError, match="loss NaN|gradient norm") as caught:
        lt.fit(
            config(unet_lr=1e30, max_train_steps=20, max_grad_norm=0, optimizer_type="SGDNesterov"),
            progress=False,
        )
    assert caught.value.path is not None and caught.value.path.is_file()
    assert len(caught.value.history) >= 1  # type: ignore[attr-defined]


def test_a_bug_is_no_panic_exception(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from lora_trainer import _core

    with pytest.raises(
        lt.TrainingError, match="a bug of lora_trainer: on purpose; please report it"
    ):
        _core._panic()
    assert "on purpose" in capfd.readouterr().err
