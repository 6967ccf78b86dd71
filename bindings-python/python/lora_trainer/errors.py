"""What can go wrong, with the culprit's name.

All errors are `LoraTrainerError`s. One about a file that is not there is a `FileNotFoundError`, too, and one about a file or folder that the
system refuses a `PermissionError`.
"""

from __future__ import annotations

import errno
from pathlib import Path

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "LoraTrainerError",
    "LossNotFiniteError",
    "TrainingError",
]


class LoraTrainerError(Exception):
    """The base of all errors of this package."""

    path: Path | None = None
    """The file or folder at fault, where there is one."""

    key: str | None = None
    """The option at fault, where there is one; of several the first."""

    hint: str | None = None
    """What to do about it, or what was expected, where that is known."""

    problems: tuple[str, ...] = ()
    """All that is wrong with options, each by itself."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigError(LoraTrainerError, ValueError):
    """Options that are unknown, of the wrong type, out of range or at odds; all of them at once."""


class DatasetError(LoraTrainerError):
    """A folder, image or caption that can't be used."""


class CheckpointError(LoraTrainerError):
    """A base model or LoRA file that can't be used."""


class DeviceError(LoraTrainerError):
    """A device that does not exist or that this build does not support."""


class TrainingError(LoraTrainerError):
    """A training that can't go on: a loss that is not finite, a full disk, a closed trainer."""


class LossNotFiniteError(TrainingError):
    """A loss or gradient that is NaN or infinite; `path` is the LoRA of the last good step."""


class ConfigFileNotFoundError(ConfigError, FileNotFoundError):
    """An option's file or folder that is not there."""


class ConfigPermissionError(ConfigError, PermissionError):
    """An option's file or folder that the system refuses."""


class ConfigDeviceError(ConfigError, DeviceError):
    """A device that does not exist or that this build does not support, as the option names it."""


class DatasetFileNotFoundError(DatasetError, FileNotFoundError):
    """An image, caption or folder that is not there."""


class DatasetPermissionError(DatasetError, PermissionError):
    """An image, caption or folder that the system refuses."""


class CheckpointFileNotFoundError(CheckpointError, FileNotFoundError):
    """A base model or LoRA file that is not there."""


class CheckpointPermissionError(CheckpointError, PermissionError):
    """A base model or LoRA file that the system refuses."""


class TrainingFileNotFoundError(TrainingError, FileNotFoundError):
    """A file that is not there any more, or the folder of one that is to be written."""


class TrainingPermissionError(TrainingError, PermissionError):
    """A file that the system refuses to write."""


def _make(kind: str, message: str, further: str | None, attributes: dict[str, object]) -> LoraTrainerError:
    """The exception of this class that is a further one, too: for the native part."""
    name = kind if further is None else kind.removesuffix("Error") + further
    error: LoraTrainerError = globals().get(name, globals()[kind])(message)
    for key, value in attributes.items():
        setattr(error, key, tuple(value) if isinstance(value, list) else value)
    if isinstance(error, OSError):
        error.filename = error.path
        error.errno = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EACCES
    return error


def _refused(key: str, found: object, expected: str) -> ConfigError:
    """The exception of an argument that Python itself refuses."""
    return _config_error(key, f"found {found!r}, expected {expected}", f"expected {expected}")


def _config_error(key: str, problem: str, hint: str) -> ConfigError:
    error = ConfigError(f"{key}: {problem}")
    error.key, error.hint = key, hint
    return error
