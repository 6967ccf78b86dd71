"""The exceptions. Each names the file, folder or option that caused it.

All of them are `LoraTrainerError`s. An exception about a missing file is also a
`FileNotFoundError`, one about a file or folder without permission also a `PermissionError`.
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
    """The base class of all exceptions of this package."""

    path: Path | None = None
    """The file or folder that caused the error, if any."""

    key: str | None = None
    """The option that caused the error, if any; the first one if there are several."""

    hint: str | None = None
    """How to fix it, or the value that was expected, if known."""

    problems: tuple[str, ...] = ()
    """All problems with the options."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigError(LoraTrainerError, ValueError):
    """Options that are unknown, of the wrong type, out of range or in conflict. Lists them all."""


class DatasetError(LoraTrainerError):
    """A folder, image or caption that cannot be used."""


class CheckpointError(LoraTrainerError):
    """A base model, LoRA file or tagger that cannot be used."""


class DeviceError(LoraTrainerError):
    """A device that does not exist or that this build does not support."""


class TrainingError(LoraTrainerError):
    """A run that cannot continue, for example because the disk is full or the trainer is closed."""


class LossNotFiniteError(TrainingError):
    """A loss or gradient that is NaN or infinite; `path` is the LoRA of the last good step."""


class ConfigFileNotFoundError(ConfigError, FileNotFoundError):
    """An option with a file or folder that does not exist."""


class ConfigPermissionError(ConfigError, PermissionError):
    """An option with a file or folder for which the permission is missing."""


class ConfigDeviceError(ConfigError, DeviceError):
    """An option with a device that does not exist or that this build does not support."""


class DatasetFileNotFoundError(DatasetError, FileNotFoundError):
    """An image, caption or folder that does not exist."""


class DatasetPermissionError(DatasetError, PermissionError):
    """An image, caption or folder for which the permission is missing."""


class CheckpointFileNotFoundError(CheckpointError, FileNotFoundError):
    """A base model, LoRA file or tagger that does not exist."""


class CheckpointPermissionError(CheckpointError, PermissionError):
    """A base model or LoRA file for which the permission is missing."""


class TrainingFileNotFoundError(TrainingError, FileNotFoundError):
    """A file that no longer exists, or a file to write in a folder that does not exist."""


class TrainingPermissionError(TrainingError, PermissionError):
    """A file to write for which the permission is missing."""


def _make(
    name: str, message: str, second_base: str | None, attributes: dict[str, object]
) -> LoraTrainerError:
    """Makes an exception for the native part.

    Its class is the one that also derives from `second_base`, if there is one.
    """
    combined = name if second_base is None else name.removesuffix("Error") + second_base
    error: LoraTrainerError = globals().get(combined, globals()[name])(message)
    for key, value in attributes.items():
        setattr(error, key, tuple(value) if isinstance(value, list) else value)
    if isinstance(error, OSError):
        error.filename = error.path
        error.errno = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EACCES
    return error


def _wrong_argument(key: str, found: object, expected: str) -> ConfigError:
    """Returns the exception for an argument that the Python part checks."""
    return _config_error(key, f"found {found!r}, expected {expected}", f"expected {expected}")


def _config_error(key: str, problem: str, hint: str) -> ConfigError:
    error = ConfigError(f"{key}: {problem}")
    error.key, error.hint = key, hint
    return error
