"""The signature of `TrainConfig`, from the option table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from inspect import Signature

POSITIONAL = ("pretrained_model_name_or_path", "train_data_dir")
"""The options that can be passed by position."""


class ConfigSignature:
    """A descriptor that makes the signature on first use.

    Importing `inspect` takes longer than importing the rest of the package.
    """

    def __init__(self) -> None:
        self._signature: Signature | None = None

    def __get__(self, instance: object, owner: object) -> Signature:
        if self._signature is None:
            from inspect import Parameter, Signature

            parameters = [
                Parameter(
                    option.name,
                    Parameter.POSITIONAL_OR_KEYWORD
                    if option.name in POSITIONAL
                    else Parameter.KEYWORD_ONLY,
                    default=option.default,
                    annotation=option.annotation,
                )
                for option in _core.options()
            ]
            parameters.sort(key=lambda option: (option.kind, option.name not in POSITIONAL))
            self._signature = Signature(parameters)
        return self._signature
