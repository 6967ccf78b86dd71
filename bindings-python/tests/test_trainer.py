"""Trainings from Python."""

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
            and last.it_per_s > 0
            and last.eta == 0
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
                case lt.Summary(steps=4, path=path):
                    seen.append(f"end {path.name}")
                case lt.DataWait() | lt.Notice():
                    pass
                case other:
                    pytest.fail(repr(other))
            assert isinstance(event, lt.Event) and repr(event).startswith(type(event).__name__)
    assert seen == [
        "plan 4 True", "latents 1/3", "latents 2/3", "latents 3/3",
        "step 1", "saved last-step00000001.safetensors",
        "step 2", "saved last-step00000002.safetensors",
        "step 3", "saved last-step00000003.safetensors", "deleted last-step00000001.safetensors", "epoch 1",
        "step 4", "saved last-step00000004.safetensors", "deleted last-step00000002.safetensors", "epoch 2",
        "preview (64, 64)", "saved last.safetensors", "end last.safetensors",
    ]  # fmt: skip


class Recorder:
    """A callback that notes what it is told, and may answer."""

    def __init__(self, stop_at: int | None = None, fail_at: int | None = None) -> None:
        self.told: list[str] = []
        self.stop_at, self.fail_at = stop_at, fail_at

    def on_train_begin(self, trainer: lt.Trainer, plan: lt.RunPlan) -> None:
        self.told.append(f"begin {plan.total_steps}")

    def on_step(self, trainer: lt.Trainer, step: lt.Step) -> str | None:
        self.told.append(f"step {step.step}")
        if step.step == self.fail_at:
            raise RuntimeError("enough")
        return "stop" if step.step == self.stop_at else None

    def on_save(self, trainer: lt.Trainer, saved: lt.Saved) -> None:
        self.told.append(f"save {saved.path.name}")

    def on_train_end(self, trainer: lt.Trainer, history: lt.History) -> None:
        self.told.append(f"end {len(history)}")


def test_callbacks_are_told(config: ConfigFactory) -> None:
    recorder = Recorder()
    history = lt.fit(config(), callbacks=[recorder], progress=False)
    steps = [f"step {step}" for step in (1, 2, 3, 4)]
    assert recorder.told == ["begin 4", *steps, "save last.safetensors", "end 4"]
    assert history.summary is not None and history.summary.steps == 4


def test_a_callback_may_stop(config: ConfigFactory) -> None:
    recorder = Recorder(stop_at=2)
    history = lt.fit(config(), callbacks=[recorder], progress=False)
    assert recorder.told[-3:] == ["step 2", "save last-step00000002.safetensors", "end 2"]
    assert [saved.step for saved in history.saved] == [2]
    assert history.summary is None and history.path is not None
    assert history.path.name == "last-step00000002.safetensors" and history.path.is_file()
    assert lt.inspect(history.path).metadata["ss_steps"] == "2"


def test_a_callbacks_exception_reaches_the_caller(config: ConfigFactory) -> None:
    recorder = Recorder(fail_at=3)
    with pytest.raises(RuntimeError, match="enough") as caught:
        lt.fit(config(), callbacks=[recorder], progress=False)
    assert caught.traceback[-1].name == "on_step"
    assert caught.value.path.name == "last-step00000003.safetensors"  # type: ignore[attr-defined]
    assert caught.value.path.is_file() and len(caught.value.history) == 3  # type: ignore[attr-defined]
    assert recorder.told[-1] == "end 3"


def test_what_is_no_callback_is_refused(config: ConfigFactory) -> None:
    with pytest.raises(
        lt.ConfigError,
        match="callbacks: found 'stop', expected an object with one of on_train_begin",
    ):
        lt.Trainer(config(), callbacks=["stop"])
    with pytest.raises(
        lt.ConfigError, match="log_with: found 'wand', expected one of wandb, mlflow, trackio"
    ):
        lt.Trainer(config(), log_with="wand")

    with pytest.raises(
        lt.ConfigError,
        match="callbacks: found <class .*Recorder'>, expected an object, not a class",
    ):
        lt.Trainer(config(), callbacks=[Recorder])
    wrong: Any
    for wrong in (None, 3, Recorder(), "stop"):
        with pytest.raises(lt.ConfigError, match="callbacks: found .*, expected a list of objects"):
            lt.Trainer(config(), callbacks=wrong)


def test_other_answers_are_told(config: ConfigFactory, caplog: pytest.LogCaptureFixture) -> None:
    class Answers:
        def on_step(self, trainer: lt.Trainer, step: lt.Step) -> int:
            return 12

    assert len(lt.fit(config(), callbacks=[Answers()], progress=False)) == 4
    assert 'returned 12; only "stop" means something' in caplog.text


def test_leaving_the_block_saves(config: ConfigFactory, tmp_path: Path) -> None:
    recorder = Recorder()
    with lt.Trainer(config(), callbacks=[recorder]) as trainer:
        for step in trainer:
            if step.step == 2:
                break
    assert (
        trainer.history.path is not None
        and trainer.history.path.name == "last-step00000002.safetensors"
    )
    assert recorder.told[-2:] == ["save last-step00000002.safetensors", "end 2"]
    # What is saved already is not saved again.
    with lt.Trainer(config(output_dir=str(tmp_path / "own"))) as trainer:
        next(iter(trainer))
        mine = trainer.save(tmp_path / "mine.safetensors")
    assert trainer.history.path == mine and not (tmp_path / "own").exists()


class Fails:
    """Fails at one of the methods."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.ended = False

    def on_train_begin(self, trainer: lt.Trainer, plan: lt.RunPlan) -> None:
        self._maybe("begin")

    def on_step(self, trainer: lt.Trainer, step: lt.Step) -> None:
        self._maybe(f"step {step.step}")

    def on_train_end(self, trainer: lt.Trainer, history: lt.History) -> None:
        self.ended = True
        self._maybe("end")

    def _maybe(self, at: str) -> None:
        if at == self.at:
            raise RuntimeError(at)


def test_failures_at_the_ends_mask_nothing(
    config: ConfigFactory, caplog: pytest.LogCaptureFixture
) -> None:
    for at, is_ended in (("begin", False), ("end", True)):
        last, never = Recorder(), Recorder()
        callbacks = [last, Fails(at), never]
        with pytest.raises(RuntimeError, match=at) as caught:
            lt.fit(config(), callbacks=callbacks, progress=False)
        assert last.told[-1].startswith("end"), "those that have begun are told of the end"
        assert (never.told == []) is not is_ended
    assert caught.value.__context__ is None
    # The first failure is raised, the one after it is logged.
    both = [Fails("step 2"), Fails("end")]
    with pytest.raises(RuntimeError, match="step 2") as caught:
        lt.fit(config(), callbacks=both, progress=False)
    assert both[1].ended and caught.value.history.error is caught.value  # type: ignore[attr-defined]
    assert "end" in [record.getMessage() for record in caplog.records]


def test_training_goes_on_after_an_error_in_the_background(config: ConfigFactory) -> None:
    trainer = lt.Trainer(config(max_train_steps=8), callbacks=[Fails("step 2")])
    trainer.live()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="step 2"):
            trainer.wait()
    assert (
        trainer.history.path is not None
        and trainer.history.path.name == "last-step00000002.safetensors"
    )
    trainer.live()
    history = trainer.wait()
    assert (
        len(history) == 8 and history.path is not None and history.path.name == "last.safetensors"
    )
    trainer.close()
    with pytest.raises(lt.TrainingError, match="the trainer is closed"):
        trainer.live()


def test_leaving_the_block_waits_for_the_background(config: ConfigFactory) -> None:
    with lt.Trainer(config()) as trainer:
        trainer.live()
    assert trainer.is_complete and len(trainer.history) == 4


def test_it_is_not_made_for_subclasses() -> None:
    with pytest.raises(TypeError, match="callbacks do more"):
        type("Mine", (lt.Trainer,), {})


def test_saving_drawing_and_tensors_on_the_way(config: ConfigFactory, tmp_path: Path) -> None:
    import numpy

    with lt.Trainer(config()) as trainer:
        steps = iter(trainer)
        next(steps)
        image = trainer.sample("a banana, blueprint style", seed=1, num_inference_steps=2)
        assert image.size == (64, 64) and image.mode == "RGB"
        assert (
            trainer.sample("a banana, blueprint style", seed=1, num_inference_steps=2).tobytes()
            == image.tobytes()
        )
        bare = trainer.sample(
            "a banana, blueprint style", seed=1, num_inference_steps=2, strength=0
        )
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
    drawn = lt.generate(
        config(), "a banana, blueprint style", loras={str(path): 1.0}, seed=1, num_inference_steps=2
    )
    assert drawn.tobytes() == image.tobytes()
    two = lt.generate(config(), ["a cat", "a dog"], num_inference_steps=2)
    assert [image.size for image in two] == [(64, 64)] * 2 and two[0].tobytes() != two[1].tobytes()


def test_images_in_memory_train_as_those_in_files(config: ConfigFactory) -> None:
    import numpy
    from PIL import Image

    losses = lt.fit(config(), progress=False).losses
    alone = config(train_data_dir=None)
    captions = [(IMAGES / f"{name}.txt").read_text().strip() for name in NAMES]
    opened = [Image.open(IMAGES / f"{name}.png") for name in NAMES]
    arrays = [numpy.asarray(image.convert("RGB")) for image in opened]
    paths = [IMAGES / f"{name}.png" for name in NAMES]
    for images in (opened, arrays, paths, [str(path) for path in paths]):
        data: Any = list(zip(images, captions, strict=True))
        assert lt.fit(alone, data=data, progress=False).losses == losses
    data = zip(opened, captions, strict=True)
    beside = lt.check(config(), data=data)
    assert [(subset.name, subset.images) for subset in beside.subsets] == [
        ("images", 3),
        ("data", 3),
    ]


def test_grey_of_16_bits_is_that_of_a_file(config: ConfigFactory, tmp_path: Path) -> None:
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


def test_transparency_of_images_in_memory_weights_the_loss(config: ConfigFactory) -> None:
    from PIL import Image

    image = Image.open(IMAGES / "banana.png").convert("RGBA")
    half = image.copy()
    half.putalpha(Image.linear_gradient("L").resize(image.size))
    alone = config(train_data_dir=None, alpha_mask=True, max_train_steps=1)
    whole, weighted = (
        lt.fit(alone, data=[(image, "a banana")], progress=False).losses for image in (image, half)
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


def test_a_closed_trainer_says_so(config: ConfigFactory) -> None:
    trainer = lt.Trainer(config())
    next(iter(trainer))
    trainer.close()
    trainer.close()
    for use in (
        lambda: trainer.sample("a cat"),
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
    """Threads of trainers in this process."""
    names = [
        task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()
    ]
    return names.count("lora-trainer")


def test_warnings_are_logged(config: ConfigFactory, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lora_trainer"):
        history = lt.fit(config(lr_warmup_steps=100), progress=False)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("`lr_warmup_steps`" in message for message in warned)
    assert warned == [notice.message for notice in history.notices]
    assert any(record.getMessage().startswith("saved ") for record in caplog.records)


def test_a_history_is_a_table_and_an_image(config: ConfigFactory) -> None:
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
    ] * 6 and copy.summary.path == history.path
    assert lt.History()._repr_html_() and repr(lt.History()) == "<History: no steps yet>"


def test_loggers_are_told(config: ConfigFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of their own are not needed: what is asserted is what they are called with."""
    from unittest.mock import MagicMock

    for name in ("wandb", "mlflow", "trackio"):
        module = MagicMock()
        module.__spec__ = object()
        module.active_run.return_value = None
        monkeypatch.setitem(__import__("sys").modules, name, module)
        prompts = "a cat --w 64 --h 64 --s 1"
        lt.fit(config(sample_prompts=prompts, max_train_steps=3), log_with=name, progress=False)
        log = module.log_metrics if name == "mlflow" else module.init.return_value.log
        steps = [call for call in log.call_args_list if "loss/current" in call.args[0]]
        assert [call.kwargs["step"] for call in steps] == [1, 2, 3] and "lr/unet" in steps[0].args[
            0
        ]
        images = (
            module.log_image.call_args_list if name == "mlflow" else module.Image.call_args_list
        )
        assert len(images) == 1
        ended = module.end_run if name == "mlflow" else module.init.return_value.finish
        assert ended.call_count == 1


def test_loggers_are_told_how_it_ended(
    config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unittest.mock import MagicMock

    module = MagicMock()
    module.__spec__ = object()
    monkeypatch.setitem(__import__("sys").modules, "wandb", module)
    for callbacks, code in (([Recorder(stop_at=2)], 0), ([Recorder(fail_at=2)], 1)):
        module.reset_mock()
        try:
            lt.fit(config(), callbacks=callbacks, log_with="wandb", progress=False)
        except RuntimeError:
            assert code == 1
        module.init.return_value.finish.assert_called_once_with(exit_code=code)
    # What fails before a run of theirs has begun is not hidden behind it.
    module.init.side_effect = RuntimeError("no API key")
    with pytest.raises(RuntimeError, match="no API key"):
        lt.fit(config(), log_with="wandb", progress=False)


def test_a_logger_that_is_not_installed_is_named(
    config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_trainer._callbacks.find_spec", lambda name: None)
    with pytest.raises(
        lt.ConfigError, match="log_with: the package wandb is not installed; pip install wandb"
    ):
        lt.fit(config(), log_with="wandb")
