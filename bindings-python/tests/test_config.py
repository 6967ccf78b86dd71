"""Configurations: the option table in Python, conversions, files, reports."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import BASE, ConfigFactory


def test_every_option_is_a_keyword_with_type_default_and_help() -> None:
    parameters = inspect.signature(lt.TrainConfig).parameters
    options = lt.options()
    assert (
        len(options) > 120
        and [option.name for option in options if option.name not in parameters] == []
    )
    config = lt.TrainConfig("base.safetensors", "images")
    for option in options:
        parameter = parameters[option.name]
        assert parameter.annotation == option.annotation and parameter.default == option.default
        assert getattr(lt.TrainConfig, option.name).__doc__ == option.help
        assert f"    {option.name} ({option.annotation}): {option.help}" in (
            lt.TrainConfig.__doc__ or ""
        )
        if option.name not in ("pretrained_model_name_or_path", "train_data_dir"):
            assert getattr(config, option.name) == option.default, option.name


def test_every_default_can_be_passed() -> None:
    """Passing the defaults of the signature changes nothing."""
    config = lt.TrainConfig("base.safetensors", "images")
    defaults = {
        option.name: option.default
        for option in lt.options()[2:]
        if option.name != "train_data_dir"
    }
    assert (
        lt.TrainConfig(
            "base.safetensors", "images", **{k: v for k, v in defaults.items() if v is not None}
        )
        == config
    )


def test_python_values() -> None:
    import numpy

    eight: Any = numpy.int64(8)
    half: Any = numpy.float32(0.5)
    yes: Any = numpy.bool_(True)
    sides: Any = numpy.array([64, 96])
    assert lt.TrainConfig("base.safetensors", resolution=sides).resolution == "64,96"
    config = lt.TrainConfig(
        Path("base.safetensors"),
        Path("images"),
        resolution=(512, 768),
        network_dim=eight,
        unet_lr=half,
        text_encoder_lr=1e-5,
        optimizer_args={"weight_decay": 0.1, "betas": (0.9, 0.99)},
        cache_latents=yes,
        base_weights=[Path("a.safetensors"), "b.safetensors"],
        model_config={"unet": {"norm_num_groups": 8}},
        preset="novice",
        shuffle_caption=False,
    )
    assert config.pretrained_model_name_or_path == "base.safetensors"
    assert config.resolution == "512,768" and config.network_dim == 8 and config.unet_lr == 0.5
    assert config.text_encoder_lr == [1e-5]
    assert config.optimizer_args == ["betas=0.9,0.99", "weight_decay=0.1"]
    assert config.base_weights == ["a.safetensors", "b.safetensors"]
    assert config.model_config == {"unet": {"norm_num_groups": 8}}
    assert config.optimizer_type == "AdamW8bit" and config.shuffle_caption is False
    for same in (
        eval(repr(config), {"TrainConfig": lt.TrainConfig}),
        pickle.loads(pickle.dumps(config)),
        config.replace(),
    ):
        assert same == config and hash(same) == hash(config)
    assert lt.TrainConfig(**config.to_dict()) == config


def test_configurations_are_immutable() -> None:
    config = lt.TrainConfig("base.safetensors", network_dim=8)
    with pytest.raises(AttributeError):
        config.network_dim = 16  # type: ignore[misc]
    other = config.replace(network_dim=16, num_repeats=3)  # type: ignore[call-arg]
    assert (config.network_dim, other.network_dim, other.dataset_repeats) == (8, 16, 3)
    assert (
        other != config
        and other != "config"
        and other.replace(network_dim=8, dataset_repeats=1) == config
    )
    # An option replaces the value that was set by its alias.
    assert other.replace(dataset_repeats=5).dataset_repeats == 5
    with pytest.raises(
        AttributeError, match="no option `network_dimm`; did you mean `network_dim`"
    ):
        _ = config.network_dimm  # type: ignore[attr-defined]


def test_config_files_of_other_programs(tmp_path: Path) -> None:
    file = tmp_path / "sd-trainer.toml"
    file.write_text(
        'model_train_type = "sd-lora"\npretrained_model_name_or_path = "./base.safetensors"\n'
        'train_data_dir = "./train"\nxformers = true\nnetwork_dim = 16\ngpu_ids = ["0"]\n'
    )
    config = lt.TrainConfig.from_toml(file, network_dim=8)
    assert config.network_dim == 8
    keys = {key.key: key for key in config.keys}
    assert keys["xformers"].key_class == "implied" and keys["xformers"].line == 4
    assert keys["gpu_ids"].key_class == "ignored" and keys["gpu_ids"].reason
    assert keys["network_dim"] == [key for key in config.keys if key.key == "network_dim"][0]
    assert pickle.loads(pickle.dumps(config)).keys == config.keys
    written = tmp_path / "written.toml"
    written.write_text(config.to_toml())
    assert lt.TrainConfig.from_toml(str(written)) == config
    html = config._repr_html_()
    assert "network_dim" in html and "xformers" not in html


def test_import_is_fast(tmp_path: Path) -> None:
    code = """if True:
        import sys, time
        start = time.perf_counter()
        import lora_trainer
        seconds = time.perf_counter() - start
        slow = ("numpy", "PIL", "tqdm", "anywidget", "pandas", "matplotlib", "inspect")
        print(seconds, [name for name in slow if name in sys.modules])
    """
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(5)
    ]
    seconds = min(float(run.stdout.split()[0]) for run in runs)
    assert all(run.stdout.split(maxsplit=1)[1].strip() == "[]" for run in runs)
    assert seconds <= 0.15


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert lt.__version__ == version("lora-trainer")
    assert BASE.is_file()
    assert set(lt.__all__) <= set(dir(lt))


def test_a_report_describes_the_run(config: ConfigFactory) -> None:
    report = lt.check(config(train_batch_size=2))
    assert report.is_ok and report.problems == [] and report.family == "Stable Diffusion 1.x"
    assert report.length is not None
    assert report.length.total_steps == 4 and report.length.batches_per_epoch == 2
    (subset,), (bucket,) = report.subsets, report.buckets
    assert (subset.name, subset.images, subset.captions_from_files) == ("images", 3, 3)
    assert (bucket.width, bucket.height, bucket.images, bucket.batches) == (64, 64, 3, 2)
    assert report.tags[0] == ("blueprint style", 3) and report.memory
    assert all(len(repr(example)) < 400 for example in report.examples)
    assert [example.image.size for example in report.examples] == [(64, 64)] * 3
    assert "ready to train" in str(report)
    assert repr(report) == "<CheckReport: possible, 4 steps>"
    html = report._repr_html_()
    assert "64 × 64" in html and "Ready to train." in html
    assert html.count("data:image/jpeg;base64,") == 3


def test_a_report_of_an_impossible_run(config: ConfigFactory, images: Path) -> None:
    (images / "banana.png").write_bytes(b"no image")
    report = lt.check(config(vae="absent.safetensors"))
    assert not report.is_ok
    assert any("banana.png" in problem for problem in report.problems)
    html = report._repr_html_()
    assert "Cannot train: 3 problems." in html
    assert "banana.png" in html and "absent.safetensors" in html
