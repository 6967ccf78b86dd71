"""What a training calls as it goes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from .errors import _config_error, _refused

if TYPE_CHECKING:
    from ._core import EpochEnd, Preview, RunPlan, Saved, Step
    from ._history import History
    from ._trainer import Trainer


class Callback(Protocol):
    """What a callback may have. Any object with some of these methods is one; those that it lacks are not called.

    A method that returns `"stop"` ends the training after the step that it is at, and the LoRA is saved, as if Ctrl-C were pressed. An
    exception ends it, too, and reaches the caller.
    """

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> str | None:
        """Everything was read and checked; `plan` is what will be done."""

    def on_step(self, trainer: Trainer, step: Step) -> str | None:
        """After each update."""

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> str | None:
        """After each epoch."""

    def on_sample(self, trainer: Trainer, preview: Preview) -> str | None:
        """After each preview image."""

    def on_save(self, trainer: Trainer, saved: Saved) -> str | None:
        """After each saved LoRA."""

    def on_train_end(self, trainer: Trainer, history: History) -> str | None:
        """Once, when the training is over, however it ended."""


LOGGERS = ("wandb", "mlflow", "trackio")
"""What `log_with` may name."""

METHODS = ("on_train_begin", "on_step", "on_epoch", "on_sample", "on_save", "on_train_end")


def collect(callbacks: Iterable[object], log_with: str | Iterable[str] | None) -> list[object]:
    """The callbacks of a training, those of `log_with` last. What has none of the methods is refused."""
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        raise _refused("callbacks", callbacks, "a list of objects")
    if not (log_with is None or isinstance(log_with, Iterable)):
        raise _refused("log_with", log_with, f"one of {', '.join(LOGGERS)}, or a list of them")
    collected = list(callbacks)
    for callback in collected:
        if isinstance(callback, type):
            raise _refused("callbacks", callback, "an object, not a class")
        if not any(callable(getattr(callback, method, None)) for method in METHODS):
            raise _refused("callbacks", callback, f"an object with one of {', '.join(METHODS)}")
    names = [log_with] if isinstance(log_with, str) else list(log_with or ())
    return collected + [_logger(name) for name in names]


def _logger(name: str) -> object:
    if name not in LOGGERS:
        raise _refused("log_with", name, f"one of {', '.join(LOGGERS)}")
    if find_spec(name) is None:
        raise _config_error("log_with", f"the package {name} is not installed; pip install {name}", f"pip install {name}")
    from . import _loggers

    logger: object = getattr(_loggers, name.capitalize())()
    return logger
