"""Training from Python."""

from __future__ import annotations

import gc
import logging
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from callbacks import Fails, Recorder
from conftest import IMAGES, NAMES, ConfigFactory


def test_iterating_trains(config: ConfigFactory) -> None:
    with lt.Trainer(config()) as trainer:
        assert (trainer.step, trainer.is_complete, trainer.is_closed) == (0, False, False)
        steps = list(trainer)
        assert [step.step for step in steps] == [1, 2, 3, 4] and trainer.total_steps == 4
        assert trainer.step == 4 and trainer.is_complete
        last = steps[-1]
        assert (
            last.lr > 0
            and last.grad_norm > 0
            and last.steps_per_second > 0
            and last.seconds_left == 0
            and last.seconds > 0
        )
        assert last.memory is None or last.memory > 1 << 20
        assert set(last.learning_rates) == {"unet", "textencoder"}
        assert list(trainer) == []
    assert (
        trainer.is_closed and trainer.history.path == Path(config().output_dir) / "last.safetensors"
    )
    assert trainer.history.losses == [step.loss for step in steps]


def test_events_match(config: ConfigFactory) -> None:
    seen: list[str] = []
    with lt.Trainer(
        config(
            sample_prompts="a cat --w 64 --h 64 --s 2 --d 3",
            save_every_n_steps=1,
            save_last_n_steps=1,
        )
    ) as trainer:
        for event in trainer.events():
            match event:
                case lt.RunPlan(total_steps=total, unet_adapters=layers):
                    seen.append(f"plan {total} {layers > 0}")
                case lt.CacheProgress(what, done, total):
                    seen.append(f"{what} {done}/{total}")
                case lt.Step(step, 4, 1 | 2, 2):
                    seen.append(f"step {step}")
                case lt.EpochEnd(epoch=epoch, validation_loss=None):
                    seen.append(f"epoch {epoch}")
                case lt.Preview(step=4, index=0, prompt="a cat", seed=3, image=image):
                    seen.append(f"preview {image.size}")
                case lt.Saved(path=path):
                    seen.append(f"saved {path.name}")
                case lt.Deleted(path):
                    seen.append(f"deleted {path.name}")
                case lt.Summary(steps=4, lora=path):
                    seen.append(f"end {path.name}")
                case lt.DataWait() | lt.Warning():
                    pass
                case other:
                    pytest.fail(repr(other))
            assert isinstance(event, lt.Event) and repr(event).startswith(type(event).__name__)
    assert seen == [
        "plan 4 True",
        "latents 1/3",
        "latents 2/3",
        "latents 3/3",
        "step 1",
        "saved last-step00000001.safetensors",
        "step 2",
        "saved last-step00000002.safetensors",
        "step 3",
        "saved last-step00000003.safetensors",
        "deleted last-step00000001.safetensors",
        "epoch 1",
        "step 4",
        "saved last-step00000004.safetensors",
        "deleted last-step00000002.safetensors",
        "epoch 2",
        "preview (64, 64)",
        "saved last.safetensors",
        "end last.safetensors",
    ]


def test_leaving_the_block_saves(config: ConfigFactory, tmp_path: Path) -> None:
    recorder = Recorder()
    with lt.Trainer(config(), callbacks=[recorder]) as trainer:
        for step in trainer:
            if step.step == 2:
                break
    path = trainer.history.path
    assert path is not None and path.name == "last-step00000002.safetensors"
    assert recorder.calls[-2:] == ["save last-step00000002.safetensors", "end 2"]
    # The steps of a saved LoRA are not saved again.
    with lt.Trainer(config(output_dir=str(tmp_path / "own"))) as trainer:
        next(iter(trainer))
        mine = trainer.save(tmp_path / "mine.safetensors")
    assert trainer.history.path == mine and not (tmp_path / "own").exists()


def test_training_goes_on_after_an_error_in_the_background(config: ConfigFactory) -> None:
    trainer = lt.Trainer(config(max_train_steps=8), callbacks=[Fails("step 2")])
    trainer.live()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="step 2"):
            trainer.wait()
    path = trainer.history.path
    assert path is not None and path.name == "last-step00000002.safetensors"
    trainer.live()
    history = trainer.wait()
    assert history.path is not None and history.path.name == "last.safetensors"
    assert len(history) == 8
    trainer.close()
    with pytest.raises(lt.TrainingError, match="the trainer is closed"):
        trainer.live()


def test_leaving_the_block_waits_for_the_background(config: ConfigFactory) -> None:
    with lt.Trainer(config()) as trainer:
        trainer.live()
    assert trainer.is_complete and len(trainer.history) == 4


def test_it_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError, match="use callbacks instead"):
        type("Mine", (lt.Trainer,), {})


def test_save_generate_and_tensors_during_training(config: ConfigFactory, tmp_path: Path) -> None:
    import numpy

    prompt = "a banana, blueprint style"
    with lt.Trainer(config()) as trainer:
        steps = iter(trainer)
        next(steps)
        image = trainer.generate(prompt, seed=1, num_inference_steps=2)
        assert image.size == (64, 64) and image.mode == "RGB"
        again = trainer.generate(prompt, seed=1, num_inference_steps=2)
        assert again.tobytes() == image.tobytes()
        bare = trainer.generate(prompt, seed=1, num_inference_steps=2, multiplier=0)
        assert bare.tobytes() != image.tobytes()
        path = trainer.save(tmp_path / "now.safetensors", precision="float")
        tensors = trainer.state_dict()
        next(steps)
        assert trainer.save().name == "last-step00000002.safetensors"
        changed = trainer.state_dict()
    info = lt.inspect(path)
    assert info.dtypes == ["F32"] and info.ranks == {4: len(info.adapters)}
    assert len(tensors) == 3 * len(info.adapters)
    down = "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight"
    assert tensors[down].shape == (4, 128) and tensors[down].dtype == numpy.float32
    assert tensors[down.replace("lora_down.weight", "alpha")].shape == ()
    assert not numpy.array_equal(tensors[down], changed[down])
    loras = {str(path): 1.0}
    same = lt.generate(config(), prompt, loras=loras, seed=1, num_inference_steps=2)
    assert same.tobytes() == image.tobytes()
    two = lt.generate(config(), ["a cat", "a dog"], num_inference_steps=2)
    assert [each.size for each in two] == [(64, 64)] * 2 and two[0].tobytes() != two[1].tobytes()


def test_images_in_memory_train_like_files(config: ConfigFactory) -> None:
    import numpy
    from PIL import Image

    losses = lt.fit(config(), progress=False).losses
    alone = config(train_data_dir=None)
    captions = [(IMAGES / f"{name}.txt").read_text().strip() for name in NAMES]
    opened = [Image.open(IMAGES / f"{name}.png") for name in NAMES]
    arrays = [numpy.asarray(each.convert("RGB")) for each in opened]
    paths = [IMAGES / f"{name}.png" for name in NAMES]
    for sources in (opened, arrays, paths, [str(path) for path in paths]):
        data: Any = list(zip(sources, captions, strict=True))
        assert lt.fit(alone, data=data, progress=False).losses == losses
    data = zip(opened, captions, strict=True)
    report = lt.check(config(), data=data)
    assert [(subset.name, subset.images) for subset in report.subsets] == [
        ("images", 3),
        ("data", 3),
    ]


def test_16_bit_greyscale_in_memory_is_that_of_a_file(
    config: ConfigFactory, tmp_path: Path
) -> None:
    import numpy
    from PIL import Image

    ramp = numpy.linspace(0, 65535, 64 * 64).reshape(64, 64).astype("uint16")
    image = Image.fromarray(ramp)
    image.save(tmp_path / "ramp.png")
    alone = config(train_data_dir=None, max_train_steps=2)
    losses = [
        lt.fit(alone, data=[(given, "a")], progress=False).losses
        for given in (image, tmp_path / "ramp.png")
    ]
    assert losses[0] == losses[1]
    white = Image.new("L", (64, 64), 255)
    assert lt.fit(alone, data=[(white, "a")], progress=False).losses != losses[0]


def test_transparency_in_memory_masks_the_loss(config: ConfigFactory) -> None:
    from PIL import Image

    opaque = Image.open(IMAGES / "banana.png").convert("RGBA")
    half = opaque.copy()
    half.putalpha(Image.linear_gradient("L").resize(opaque.size))
    alone = config(train_data_dir=None, alpha_mask=True, max_train_steps=1)
    whole, weighted = (
        lt.fit(alone, data=[(image, "a banana")], progress=False).losses for image in (opaque, half)
    )
    assert whole != weighted


def test_two_trainers_do_not_disturb_each_other(config: ConfigFactory, tmp_path: Path) -> None:
    alone = lt.fit(config(), progress=False).losses
    with (
        lt.Trainer(config()) as first,
        lt.Trainer(config(output_dir=str(tmp_path / "other"))) as second,
    ):
        pairs = list(zip(first, second, strict=True))
    assert [one.loss for one, _ in pairs] == alone == [two.loss for _, two in pairs]
    assert (tmp_path / "other/last.safetensors").is_file()


def test_threads_share_a_trainer(config: ConfigFactory) -> None:
    alone = lt.fit(config(max_train_steps=12), progress=False).losses
    with lt.Trainer(config(max_train_steps=12)) as trainer:
        seen: list[lt.Step] = []
        threads = [threading.Thread(target=lambda: seen.extend(trainer)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not trainer.is_closed
    assert [step.loss for step in sorted(seen, key=lambda step: step.step)] == alone


def test_a_closed_trainer_raises_errors(config: ConfigFactory) -> None:
    trainer = lt.Trainer(config())
    next(iter(trainer))
    trainer.close()
    trainer.close()
    for use in (
        lambda: trainer.generate("a cat"),
        trainer.save,
        trainer.state_dict,
        lambda: next(iter(trainer)),
    ):
        with pytest.raises(lt.TrainingError, match="the trainer is closed; make a new one"):
            use()
    assert trainer.step == 1 and trainer.config == config()


def test_a_deleted_trainer_ends_its_thread(config: ConfigFactory) -> None:
    before = native_threads()
    trainer = lt.Trainer(config())
    next(iter(trainer))
    assert native_threads() > before
    gone = weakref.ref(trainer)
    del trainer
    gc.collect()
    assert gone() is None
    for _ in range(100):
        if native_threads() <= before:
            break
        threading.Event().wait(0.05)
    assert native_threads() <= before


def native_threads() -> int:
    """Returns the number of trainer threads in this process."""
    names = [
        task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()
    ]
    return names.count("lora-trainer")


def test_warnings_are_logged(config: ConfigFactory, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lora_trainer"):
        history = lt.fit(config(lr_warmup_steps=100), progress=False)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("`lr_warmup_steps`" in message for message in warned)
    assert warned == [warning.message for warning in history.warnings]
    assert any(record.getMessage().startswith("saved ") for record in caplog.records)


def test_a_history_has_a_table_and_a_plot(config: ConfigFactory) -> None:
    history = lt.fit(config(validation_split=0.34, max_train_steps=6), progress=False)
    table = history.to_pandas()
    assert list(table.index) == [1, 2, 3, 4, 5, 6] and list(table["loss"]) == history.losses
    assert table["validation_loss"].notna().sum() == 3 and "lr/unet" in table
    axes = history.plot()
    assert axes.get_xlabel() == "step" and len(axes.get_lines()) == 3
    html = history._repr_html_()
    assert "<svg" in html and "last.safetensors" in html
    copy = pickle.loads(pickle.dumps(history))
    assert (
        copy.losses == history.losses
        and copy.path == history.path
        and repr(copy.plan) == repr(history.plan)
    )
    assert [type(step) for step in copy.steps] == [
        lt.Step
    ] * 6 and copy.summary.lora == history.path
    assert lt.History()._repr_html_() and repr(lt.History()) == "<History: no steps yet>"
