"""Callbacks: objects whose methods a training run calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from .errors import _config_error, _wrong_argument

if TYPE_CHECKING:
    from ._core import EpochEnd, Preview, RunPlan, Saved, Step
    from ._history import History
    from ._trainer import Trainer


class Callback(Protocol):
    """The methods of a callback. All are optional: any object with at least one of them will do.

    If a method returns `"stop"`, training ends after the current step and the LoRA is saved, as
    after Ctrl-C. If a method raises an exception, training ends and the caller gets the exception.
    """

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> str | None:
        """Called once, before the first step. All inputs have been read and checked."""

    def on_step(self, trainer: Trainer, step: Step) -> str | None:
        """Called after each update."""

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> str | None:
        """Called after each epoch."""

    def on_preview(self, trainer: Trainer, preview: Preview) -> str | None:
        """Called after each preview image."""

    def on_save(self, trainer: Trainer, saved: Saved) -> str | None:
        """Called after each saved LoRA."""

    def on_train_end(self, trainer: Trainer, history: History) -> str | None:
        """Called once, when training has ended for any reason."""


logger = logging.getLogger("lora_trainer")

LOGGERS = ("wandb", "mlflow", "trackio")
"""The names that `log_with` accepts."""

METHODS = ("on_train_begin", "on_step", "on_epoch", "on_preview", "on_save", "on_train_end")


def collect(callbacks: Iterable[object], log_with: str | Iterable[str] | None) -> list[object]:
    """Returns all callbacks of a run; those of `log_with` are last.

    Raises ConfigError for an object that has none of the methods.
    """
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        raise _wrong_argument("callbacks", callbacks, "a list of objects")
    if not (log_with is None or isinstance(log_with, Iterable)):
        raise _wrong_argument(
            "log_with", log_with, f"one of {', '.join(LOGGERS)}, or a list of them"
        )
    collected = list(callbacks)
    for callback in collected:
        if isinstance(callback, type):
            raise _wrong_argument("callbacks", callback, "an object, not a class")
        if not any(callable(getattr(callback, method, None)) for method in METHODS):
            raise _wrong_argument(
                "callbacks", callback, f"an object with one of {', '.join(METHODS)}"
            )
    names = [log_with] if isinstance(log_with, str) else list(log_with or ())
    return collected + [_logger(name) for name in names]


class Callbacks:
    """The callbacks of a run, in their order."""

    def __init__(self, callbacks: list[object]) -> None:
        self._callbacks = callbacks
        self._begun: list[object] = []
        """The callbacks that got `on_train_begin` and not yet `on_train_end`."""

    def call(self, method: str, trainer: Trainer, event: object) -> None:
        """Calls a method of each callback that has it."""
        for callback in self._callbacks:
            if method == "on_train_begin":
                self._begun.append(callback)
            _call(callback, method, trainer, event)

    def end(self, trainer: Trainer) -> None:
        """Calls `on_train_end` of all callbacks that have begun, even if one of them fails.

        Raises the first exception and logs the others.
        """
        begun, self._begun = self._begun, []
        first: Exception | None = None
        for callback in begun:
            try:
                _call(callback, "on_train_end", trainer, trainer.history)
            except Exception as error:
                if first is not None:
                    logger.error("%s", error, exc_info=error)
                first = first or error
        if first is not None:
            raise first


def _call(callback: object, method: str, trainer: Trainer, event: object) -> None:
    function: Callable[[Trainer, object], object] | None = getattr(callback, method, None)
    answer = None if function is None else function(trainer, event)
    if answer == "stop":
        trainer.stop()
    elif answer is not None:
        logger.warning('%s of %r returned %r; only "stop" has an effect', method, callback, answer)


def _logger(name: str) -> object:
    if name not in LOGGERS:
        raise _wrong_argument("log_with", name, f"one of {', '.join(LOGGERS)}")
    if find_spec(name) is None:
        raise _config_error(
            "log_with",
            f"the package {name} is not installed; pip install {name}",
            f"pip install {name}",
        )
    from . import _loggers

    made: object = getattr(_loggers, name.capitalize())()
    return made
