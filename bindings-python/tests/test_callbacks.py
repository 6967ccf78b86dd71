"""Callbacks and loggers."""

from __future__ import annotations

from typing import Any

import lora_trainer as lt
import pytest
from callbacks import Fails, Recorder
from conftest import ConfigFactory


def test_callbacks_are_called(config: ConfigFactory) -> None:
    recorder = Recorder()
    history = lt.fit(config(), callbacks=[recorder], progress=False)
    steps = [f"step {step}" for step in (1, 2, 3, 4)]
    assert recorder.calls == ["begin 4", *steps, "save last.safetensors", "end 4"]
    assert history.summary is not None and history.summary.steps == 4


def test_a_callback_can_stop(config: ConfigFactory) -> None:
    recorder = Recorder(stop_at=2)
    history = lt.fit(config(), callbacks=[recorder], progress=False)
    assert recorder.calls[-3:] == ["step 2", "save last-step00000002.safetensors", "end 2"]
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
    assert recorder.calls[-1] == "end 3"


def test_wrong_callbacks_are_errors(config: ConfigFactory) -> None:
    message = "callbacks: found 'stop', expected an object with one of on_train_begin"
    with pytest.raises(lt.ConfigError, match=message):
        lt.Trainer(config(), callbacks=["stop"])
    message = "log_with: found 'wand', expected one of wandb, mlflow, trackio"
    with pytest.raises(lt.ConfigError, match=message):
        lt.Trainer(config(), log_with="wand")
    message = "callbacks: found <class .*Recorder'>, expected an object, not a class"
    with pytest.raises(lt.ConfigError, match=message):
        lt.Trainer(config(), callbacks=[Recorder])
    wrong: Any
    for wrong in (None, 3, Recorder(), "stop"):
        with pytest.raises(lt.ConfigError, match="callbacks: found .*, expected a list of objects"):
            lt.Trainer(config(), callbacks=wrong)


def test_other_answers_are_warnings(
    config: ConfigFactory, caplog: pytest.LogCaptureFixture
) -> None:
    class Answers:
        def on_step(self, trainer: lt.Trainer, step: lt.Step) -> int:
            return 12

    assert len(lt.fit(config(), callbacks=[Answers()], progress=False)) == 4
    assert 'returned 12; only "stop" has an effect' in caplog.text


def test_the_first_failure_is_raised(
    config: ConfigFactory, caplog: pytest.LogCaptureFixture
) -> None:
    for at, is_ended in (("begin", False), ("end", True)):
        last, never = Recorder(), Recorder()
        callbacks = [last, Fails(at), never]
        with pytest.raises(RuntimeError, match=at) as caught:
            lt.fit(config(), callbacks=callbacks, progress=False)
        # All callbacks that have begun are called at the end.
        assert last.calls[-1].startswith("end")
        assert (never.calls == []) is not is_ended
    assert caught.value.__context__ is None
    # Later failures are logged.
    both = [Fails("step 2"), Fails("end")]
    with pytest.raises(RuntimeError, match="step 2") as caught:
        lt.fit(config(), callbacks=both, progress=False)
    assert both[1].ended and caught.value.history.error is caught.value  # type: ignore[attr-defined]
    assert "end" in [record.getMessage() for record in caplog.records]


def test_loggers_are_called(config: ConfigFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocks of the packages record the calls."""
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
        assert [call.kwargs["step"] for call in steps] == [1, 2, 3]
        assert "lr/unet" in steps[0].args[0]
        log_image = module.log_image if name == "mlflow" else module.Image
        assert log_image.call_count == 1
        ended = module.end_run if name == "mlflow" else module.init.return_value.finish
        assert ended.call_count == 1


def test_loggers_get_the_outcome(config: ConfigFactory, monkeypatch: pytest.MonkeyPatch) -> None:
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
    # A failure to start the run of the logger is the error that is raised.
    module.init.side_effect = RuntimeError("no API key")
    with pytest.raises(RuntimeError, match="no API key"):
        lt.fit(config(), log_with="wandb", progress=False)


def test_a_logger_that_is_not_installed_is_named(
    config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_trainer._callbacks.find_spec", lambda name: None)
    message = "log_with: the package wandb is not installed; pip install wandb"
    with pytest.raises(lt.ConfigError, match=message):
        lt.fit(config(), log_with="wandb")
