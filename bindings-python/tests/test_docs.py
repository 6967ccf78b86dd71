"""The examples of the documentation work."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lora_trainer as lt
import pytest
from conftest import IMAGES, ROOT, TAGGER, ConfigFactory


def docstrings() -> Iterator[tuple[str, str]]:
    """Yields the docstrings of all public items, by name."""
    yield "lora_trainer", lt.__doc__ or ""
    for name in lt.__all__:
        thing = getattr(lt, name)
        if not (inspect.isclass(thing) or callable(thing)):
            continue
        yield name, inspect.getdoc(thing) or ""
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            is_documented = (
                callable(value)
                or isinstance(value, (property, staticmethod))
                or inspect.isdatadescriptor(value)
            )
            if not member.startswith("_") and is_documented:
                yield f"{name}.{member}", inspect.getdoc(value) or ""


def test_everything_public_is_documented() -> None:
    assert [name for name, text in docstrings() if not text.strip()] == []


EXAMPLES = [(name, text) for name, text in docstrings() if ">>>" in text]


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_docstrings(name: str, text: str, config: ConfigFactory) -> None:
    names = {"lt": lt, "config": config(), "tagger_folder": str(TAGGER)}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert "".join(report) == ""


def test_the_main_items_have_examples() -> None:
    names = {"TrainConfig", "Trainer", "check", "fit", "generate", "inspect"}
    names |= {"Captions", "Tagger", "tag_folder"}
    assert names <= {name for name, _ in EXAMPLES}


def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    """Each block runs on its own, from the root of the repository."""
    readme = (ROOT / "bindings-python/README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert blocks
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "wd14_tagger_model").mkdir()
    (tmp_path / "wd14_tagger_model/wd-vit-v3").symlink_to(TAGGER)
    shutil.copytree(IMAGES, tmp_path / "photos")
    for block in blocks:
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)
