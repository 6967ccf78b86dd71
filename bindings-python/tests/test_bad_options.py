"""Errors of options and config files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest

RANK = "expected an integer from 1 to 4096"
NUMBER = "expected a number ≥ 0"
BASE = "expected the base checkpoint, a file or a folder"

OPTIONS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"network_dimm": 8}, "network_dimm", "no such option; ", "did you mean `network_dim`?"),
    ({"zzzzzz": 8}, "zzzzzz", "no such option", ""),
    ({"network_dim": [8]}, "network_dim", "found the list [8], ", RANK),
    ({"network_dim": 8.5}, "network_dim", "found 8.5, ", RANK),
    ({"network_dim": True}, "network_dim", "found true, ", RANK),
    ({"network_dim": 10**30}, "network_dim", f'found "{10**30}", ', RANK),
    ({"network_dim": object}, "network_dim", "found a value of type type, ", RANK),
    ({"network_dim": {1, 2}}, "network_dim", "found a value of type set, ", RANK),
    ({"unet_lr": float("nan")}, "unet_lr", 'found "NaN", ', NUMBER),
    ({"unet_lr": float("inf")}, "unet_lr", 'found "inf", ', f"{NUMBER} and ≤ 1e30"),
    ({"unet_lr": "fast"}, "unet_lr", 'found "fast", ', NUMBER),
    (
        {"train_data_dir": b"images"},
        "train_data_dir",
        "found bytes, ",
        "expected text or a path object such as pathlib.Path",
    ),
    (
        {"train_data_dir": "ima\udcffges"},
        "train_data_dir",
        "found 'ima\\udcffges', ",
        "expected text without surrogates",
    ),
    (
        {"pretrained_model_name_or_path": None},
        "pretrained_model_name_or_path",
        "not set, ",
        BASE,
    ),
    ({"optimizer_type": "Adamw9"}, "optimizer_type", 'found "Adamw9"', ""),
    ({"optimizer_args": {"momentun": 0.9}}, "optimizer_args", "found `momentun=0.9`", ""),
    (
        {"network_train_unet_only": True, "network_train_text_encoder_only": True},
        "network_train_unet_only",
        "cannot be combined with `network_train_text_encoder_only`",
        "",
    ),
]
"""Options, the option that the error names, and its problem. The end of the problem is the hint;
it is not compared if it is empty."""


@pytest.mark.parametrize(
    ("options", "key", "problem", "hint"), OPTIONS, ids=[row[1] for row in OPTIONS]
)
def test_options(options: dict[str, Any], key: str, problem: str, hint: str) -> None:
    paths = {"pretrained_model_name_or_path": "base.safetensors", "train_data_dir": "images"}
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig(**paths | options)
    error = caught.value
    message = f"`{key}`: {problem}{hint}"
    assert isinstance(error, ValueError) and message in str(error) and error.key == key
    assert error.problems and message in error.problems[0]
    if hint:
        assert error.hint == hint


def test_all_problems_are_listed() -> None:
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig("base.safetensors", network_dim=0, seeed=1, unet_lr=-1, sampler=b"x")  # type: ignore[call-arg]
    assert len(caught.value.problems) == 1, "types that no option accepts are reported first"
    with pytest.raises(lt.ConfigError) as caught:
        lt.TrainConfig("base.safetensors", network_dim=0, seeed=1, unet_lr=-1)  # type: ignore[call-arg]
    assert len(caught.value.problems) == 3
    assert str(caught.value).startswith("configuration: 3 problems\n")


def test_config_files(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(FileNotFoundError) as caught:
        lt.TrainConfig.from_toml(absent)
    assert isinstance(caught.value, lt.ConfigError) and caught.value.path == absent
    assert str(caught.value).startswith(f"{absent}: cannot read: ")
    assert caught.value.filename == absent
    file = tmp_path / "job.toml"
    file.write_text("pretrained_model_name_or_path = 'a'\ntrain_data_dir = 'b'\n\nseeed = 3\n")
    message = "line 4: `seeed`: no such option; did you mean `seed`"
    with pytest.raises(lt.ConfigError, match=message) as with_line:
        lt.TrainConfig.from_toml(file)
    assert with_line.value.path == file and with_line.value.key == "seeed"
