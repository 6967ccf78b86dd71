"""Writes `docs/reference.md` from the docstrings of the installed package; with `--check`, says whether it is up to date instead."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import griffe2md  # type: ignore[import-untyped, unused-ignore]
import lora_trainer
from made import write_or_check

REFERENCE = Path(__file__).parents[1] / "docs/reference.md"

HEAD = "<!-- Made by tools/reference.py from the docstrings. Do not edit. -->\n\n# Reference of `lora_trainer`\n\n"


def text() -> str:
    """The reference in Markdown, for GitHub."""
    config: dict[str, object] = {
        "docstring_options": {"warn_unknown_params": False, "warn_missing_types": False},
        "inherited_members": [
            "next_event",
            "save",
            "state_dict",
            "config",
            "step",
            "total_steps",
            "is_complete",
            "is_closed",
        ],
        "members_order": "alphabetical",
        "show_root_heading": False,
    }
    page: str = griffe2md.render_package_docs("lora_trainer", config)
    page = without_attribute_sections(page)
    page = re.sub(r"\[([^\]]+)\]\(#([^)]+)\)", lambda link: linked(link[1], link[2]), page)
    page = re.sub(r"</?code>", "`", page)
    # Its base is the native part of the same name.
    page = page.replace("`lora_trainer.Trainer`\n\nBases: `Trainer`\n", "`lora_trainer.Trainer`\n")
    return HEAD + re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


def without_attribute_sections(page: str) -> str:
    """Attributes stand in the list of their class; a section for each would say the same again."""
    sections = re.split(r"(?m)^(?=#{1,6} )", page)
    is_attribute = re.compile(
        r"#{1,6} `[^`]+`\n\n```python\n[\w.]+(?:: [^\n]+)?(?: = [^\n]+)?\n```"
    )
    kept = [section for section in sections if not is_attribute.match(section)]
    # The options stand there twice: as arguments and as attributes.
    options = re.compile(r"\*\*Attributes:\*\*\n\n(?:- .*\n)+")
    return "".join(
        options.sub("", section) if "`lora_trainer.TrainConfig`" in section else section
        for section in kept
    )


def linked(name: str, target: str) -> str:
    """A link to the heading of a class or function of the package, else the name alone."""
    parts = target.split(".")
    if len(parts) == 2 and parts[0] == "lora_trainer" and parts[1] in lora_trainer.__all__:
        return f"[{name}](#{target.lower().replace('.', '')})"
    return name


if __name__ == "__main__":
    sys.exit(write_or_check(REFERENCE, text()))
