"""Errors of runs, prompts and files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import lora_trainer as lt
import pytest
from conftest import BASE, IMAGES, ConfigFactory, Script, broken_folder, expect_error, finish

SIZE = "expected a multiple of 8 from 64 to 4096"

CALLS: list[tuple[str, Callable[[ConfigFactory, Path], object], type[Exception], str]] = [
    (
        "missing base",
        lambda config, folder: lt.Trainer(
            config(pretrained_model_name_or_path=folder / "absent.safetensors")
        ),
        FileNotFoundError,
        "`pretrained_model_name_or_path`: found nothing at `{folder}/absent.safetensors`, expected"
        " a file, or a folder in diffusers' layout",
    ),
    (
        "missing image folder",
        lambda config, folder: lt.Trainer(config(train_data_dir=folder / "absent")),
        FileNotFoundError,
        "`train_data_dir`: found no folder at `{folder}/absent`, expected a folder with images",
    ),
    (
        "no images",
        lambda config, folder: lt.Trainer(config(train_data_dir=None)),
        lt.ConfigError,
        "`train_data_dir`: not set, expected the folder with the training images",
    ),
    (
        "base that is an image",
        lambda config, folder: lt.Trainer(
            config(pretrained_model_name_or_path=IMAGES / "banana.png")
        ),
        lt.CheckpointError,
        "banana.png",
    ),
    (
        "missing device",
        lambda config, folder: lt.Trainer(config(device="cuda:0")),
        lt.DeviceError,
        '`device`: found "cuda:0"; this build does not support cuda; '
        "rebuild with `--features cuda`",
    ),
    (
        "wrong preview prompts",
        lambda config, folder: lt.Trainer(config(sample_prompts="a cat --x 3")),
        lt.ConfigError,
        "`sample_prompts`: found `--x 3`",
    ),
    (
        "broken image in a folder",
        lambda config, folder: lt.Trainer(config(train_data_dir=broken_folder(folder))),
        lt.DatasetError,
        "broken/a.png`: unreadable image",
    ),
    (
        "width that is no multiple of 8",
        lambda config, folder: lt.generate(config(), "a cat", width=65),
        lt.ConfigError,
        f"`width`: found 65, {SIZE}",
    ),
    (
        "huge height",
        lambda config, folder: lt.Trainer(config()).generate("a cat", height=10**6),
        lt.ConfigError,
        f"`height`: found 1000000, {SIZE}",
    ),
    (
        "negative width",
        lambda config, folder: lt.Trainer(config()).generate("a cat", width=-8),
        lt.ConfigError,
        "`width`: found -8, expected an integer ≥ 0",
    ),
    (
        "negative seed",
        lambda config, folder: lt.generate(config(), "a cat", seed=-1),
        lt.ConfigError,
        "`seed`: found -1, expected an integer",
    ),
    (
        "huge seed",
        lambda config, folder: lt.generate(config(), "a cat", seed=2**64),
        lt.ConfigError,
        '`seed`: found "18446744073709551616", expected an integer',
    ),
    (
        "no sampling steps",
        lambda config, folder: lt.generate(config(), "a cat", num_inference_steps=0),
        lt.ConfigError,
        "`num_inference_steps`: found 0, expected 1 to 1000",
    ),
    (
        "guidance scale",
        lambda config, folder: lt.generate(config(), "a cat", guidance_scale=float("nan")),
        lt.ConfigError,
        '`guidance_scale`: found "NaN", expected a number from -1000 to 1000',
    ),
    (
        "sampler",
        lambda config, folder: lt.generate(config(), "a cat", sampler="heun"),  # type: ignore[call-overload]
        lt.ConfigError,
        '`sampler`: found "heun", expected ddim or euler_a',
    ),
    (
        "multiplier",
        lambda config, folder: lt.generate(config(), "a cat", loras={str(BASE): float("nan")}),
        lt.ConfigError,
        '`multiplier`: found "NaN", expected a number from',
    ),
    (
        "list of LoRAs",
        lambda config, folder: lt.generate(config(), "a cat", loras=["a"]),  # type: ignore[call-overload]
        lt.ConfigError,
        "loras: found ['a'], expected a dict of multipliers by path",
    ),
    (
        "LoRA that is a base",
        lambda config, folder: lt.generate(config(), "a cat", loras={str(BASE): 1.0}),
        lt.CheckpointError,
        "expected a LoRA file for this base, found tensors such as",
    ),
    (
        "precision",
        lambda config, folder: lt.Trainer(config()).save(precision="fp8"),  # type: ignore[arg-type]
        lt.ConfigError,
        '`precision`: found "fp8", expected float, fp16 or bf16',
    ),
    (
        "missing LoRA",
        lambda config, folder: lt.inspect(folder / "absent.safetensors"),
        FileNotFoundError,
        "{folder}/absent.safetensors: No such file or directory",
    ),
    (
        "inspected base",
        lambda config, folder: lt.inspect(BASE),
        lt.CheckpointError,
        "expected a LoRA file",
    ),
    (
        "file as a folder",
        lambda config, folder: lt.Trainer(config()).save(BASE / "lora.safetensors"),
        lt.TrainingError,
        "tiny-base.safetensors",
    ),
]


@pytest.mark.parametrize(
    ("call", "kind", "message"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS]
)
def test_calls(
    config: ConfigFactory,
    tmp_path: Path,
    call: Callable[[ConfigFactory, Path], object],
    kind: type[Exception],
    message: str,
) -> None:
    with expect_error(kind, message, tmp_path):
        call(config, tmp_path)


WITHOUT_PERMISSION = [
    ("image", "images/banana.png", "lt.Trainer(config())", "DatasetError"),
    (
        "base",
        "base.safetensors",
        "lt.Trainer(config(pretrained_model_name_or_path='base.safetensors'))",
        "CheckpointError",
    ),
    ("config file", "job.toml", "lt.TrainConfig.from_toml('job.toml')", "ConfigError"),
    ("output folder", "output", "lt.Trainer(config())", "ConfigError"),
    ("LoRA", "lora.safetensors", "lt.inspect('lora.safetensors')", "CheckpointError"),
]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [row[1:] for row in WITHOUT_PERMISSION],
    ids=[row[0] for row in WITHOUT_PERMISSION],
)
def test_files_without_permission(
    script: Script, tmp_path: Path, name: str, code: str, kind: str
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
    print(isinstance(error, lt.LoraTrainerError), isinstance(error, lt.{kind}))
    print("{path.name}" in str(error), error.path.name)
""")
    assert finish(process).split() == ["True", "True", "True", path.name]


def test_a_loss_that_is_not_finite(config: ConfigFactory) -> None:
    options = {"unet_lr": 1e30, "max_train_steps": 20, "max_grad_norm": 0}
    with pytest.raises(lt.LossNotFiniteError, match="loss NaN|gradient norm") as caught:
        lt.fit(config(**options, optimizer_type="SGDNesterov"), progress=False)
    assert caught.value.path is not None and caught.value.path.is_file()
    assert len(caught.value.history) >= 1  # type: ignore[attr-defined]


def test_a_bug_raises_a_training_error(capfd: pytest.CaptureFixture[str]) -> None:
    from lora_trainer import _core

    message = "a bug of lora_trainer: on purpose; please report it"
    with pytest.raises(lt.TrainingError, match=message):
        _core._panic()
    assert "on purpose" in capfd.readouterr().err
