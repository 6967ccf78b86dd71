"""Python and the command line train the same."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import lora_trainer as lt
from conftest import ConfigFactory

TIMES = {"ss_session_id", "ss_training_started_at", "ss_training_finished_at", "modelspec.date"}


def scalars(folder: Path) -> list[bytes]:
    """Returns the records of the TensorBoard file without times: names, steps and values."""
    (path,) = folder.rglob("events.out.tfevents.*")
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        record, data = data[12 : 12 + length], data[16 + length :]
        # Field 1, the time: a tag and eight bytes.
        assert record[0] == 0x09
        records.append(record[9:])
    return records


def lora_contents(path: Path) -> tuple[dict[str, str], bytes]:
    """Returns metadata without times and ids, and all tensors with their names."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    kept = {
        key: value
        for key, value in metadata.items()
        if key not in TIMES and key != "sshs_legacy_hash"
    }
    return kept, json.dumps(header, sort_keys=True).encode() + data[8 + length :]


def test_the_same_files_and_numbers(config: ConfigFactory, tmp_path: Path, program: Path) -> None:
    options: dict[str, Any] = {
        "train_batch_size": 2,
        "save_every_n_steps": 3,
        "conv_dim": 2,
        "flip_aug": True,
        "shuffle_caption": True,
        "network_dropout": 0.1,
        "sample_prompts": "a banana, blueprint style --w 64 --h 64 --s 3\n"
        "a cat --w 64 --h 96 --s 2 --d 7",
        "sample_at_first": True,
    }
    file = tmp_path / "job.toml"
    given = config(
        **options, logging_dir=tmp_path / "program/logs", output_dir=tmp_path / "program/output"
    )
    file.write_text(given.to_toml())
    subprocess.run(
        [program, "train", file], check=True, capture_output=True, env={**os.environ, "TZ": "UTC"}
    )
    python = config(
        **options, logging_dir=tmp_path / "python/logs", output_dir=tmp_path / "python/output"
    )
    assert (
        lt.TrainConfig.from_toml(file).replace(
            **{n: getattr(python, n) for n in ("logging_dir", "output_dir")}
        )
        == python
    )
    history = lt.fit(python, progress=False)

    logged = scalars(tmp_path / "python/logs")
    assert logged == scalars(tmp_path / "program/logs")
    # The steps of the iteration have the logged values.
    for step in history.steps:
        assert any(
            record.endswith(struct.pack("<f", step.loss)) or struct.pack("<f", step.loss) in record
            for record in logged
        )
    for name in ("last.safetensors", "last-step00000003.safetensors"):
        assert lora_contents(tmp_path / "python/output" / name) == lora_contents(
            tmp_path / "program/output" / name
        )
    images = {
        kind: sorted(
            (tmp_path / kind / "output/sample").glob("*.png"),
            key=lambda path: path.name.split("_")[1:3],
        )
        for kind in ("python", "program")
    }
    assert len(images["python"]) == 5
    assert [path.read_bytes() for path in images["python"]] == [
        path.read_bytes() for path in images["program"]
    ]
    assert [event.image.size for event in history.previews] == [(64, 64), (64, 96)] * 2
