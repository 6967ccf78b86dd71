"""Writes the stub of the native part, `python/lora_trainer/_core.pyi`; with `--check`, says whether it is up to date instead.

Classes come from what pyo3 keeps of them in the library (`maturin generate-stubs`), the keywords of `TrainConfig` from the option table of
the installed package, which no tool sees. Run it after the wheel is built and installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lora_trainer import _core
from lora_trainer._signature import POSITIONAL
from made import write_or_check

PROJECT = Path(__file__).parents[1]
STUB = PROJECT / "python/lora_trainer/_core.pyi"

HEAD = '''# Made by tools/stubs.py from the library and its option table. Do not edit.
"""The native part of the Python package `lora_trainer`."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, SupportsFloat, SupportsIndex, TypeAlias, TypedDict, final

import numpy
import numpy.typing
from PIL.Image import Image
from typing_extensions import Self, Unpack, disjoint_base

Image: TypeAlias = str | PathLike[str] | Image | numpy.typing.NDArray[numpy.uint8]
'''


def generated() -> str:
    """What pyo3 tells of the classes and functions."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "maturin",
            "generate-stubs",
            "--quiet",
            "--profile",
            "release",
            "--out",
            folder,
        ]
        subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        return (Path(folder) / "lora_trainer/_core.pyi").read_text()


def body(text: str) -> str:
    """Without docstring and imports, annotations without quotes, docstrings of one line in one line, types by names that all know."""
    text = text[text.index("__all__ = ") :]
    text = re.sub(r'(?<=:\n)( +)"""\n +(.*)\n +"""', r'\1"""\2"""', text)
    text = re.sub(r"(?m)^ *def .*$", lambda line: unquoted(line[0]), text)
    text = text.replace("SupportsGetItem[int, ", "Sequence[").replace("Incomplete", "Any")
    return text.rstrip() + "\n"


def unquoted(line: str) -> str:
    """A definition whose annotations pyo3 took as texts."""
    return re.sub(
        r'(: |-> )"((?:[^"\\]|\\.)+)"', lambda match: match[1] + match[2].replace('\\"', '"'), line
    )


def with_patterns(text: str) -> str:
    """With the names of positional patterns, which pyo3 does not tell."""
    parts = re.split(r"(?m)^class (\w+)", text)
    for at in range(1, len(parts), 2):
        names = getattr(getattr(_core, parts[at]), "__match_args__", None)
        if names is not None:
            parts[at + 1] = parts[at + 1].replace(
                "__match_args__: Final[tuple]", f"__match_args__: Final = {names!r}"
            )
    return parts[0] + "".join(
        f"class {name}{rest}" for name, rest in zip(parts[1::2], parts[2::2], strict=True)
    )


def with_options(text: str) -> str:
    """With the options as keywords and properties of `TrainConfig`."""
    options = sorted(_core.options(), key=lambda option: option.name not in POSITIONAL)
    keywords = [
        f"        {option.name}: {option.annotation} = {option.default!r}," for option in options
    ]
    keywords.insert(len(POSITIONAL), "        *,")
    new = "\n".join(["    def __new__(", "        cls,", *keywords, "    ) -> TrainConfig: ..."])
    properties = "\n".join(
        f'    @property\n    def {option.name}(self, /) -> {option.value_annotation}:\n        """{option.help}"""'
        for option in options
    )
    documentation = "\n".join(
        f"    {line}".rstrip()
        for line in str(_core.TrainConfig.__doc__).split("\n>>>")[0].splitlines()
    )
    start, end = (
        text.index("class TrainConfig:"),
        text.index("\n@", text.index("class TrainConfig:")),
    )
    config = text[start:end]
    config = re.sub(r"    def __new__\(cls.*\n", lambda _: new + "\n", config)
    config = config.replace("**options)", "**options: Unpack[_Options])")
    config = config.replace(
        "class TrainConfig:", f'class TrainConfig:\n    """{documentation.strip()}\n    """'
    )
    # The properties stand for all that it is asked for.
    config = re.sub(r"    def __getattr__.*?(?=\n    def |\n    @)", "", config, flags=re.DOTALL)
    typed = "\n".join(f"    {option.name}: {option.annotation}" for option in options)
    table = f"class _Options(TypedDict, total=False):\n{typed}\n\n@final\n"
    # Python's Trainer is one of these.
    text = text.replace("] | None = None) -> Trainer: ...", "] | None = None) -> Self: ...")
    # In front of the decorator of the class.
    decorator = text.rindex("@final\n", 0, start)
    return text[:decorator] + table + config.rstrip() + "\n" + properties + "\n" + text[end:]


if __name__ == "__main__":
    sys.exit(write_or_check(STUB, HEAD + "\n" + with_options(with_patterns(body(generated())))))
