"""Generated files that are kept in the repository."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path


def write_or_check(path: Path, text: str) -> int:
    """Writes the file; with `--check`, prints the differences instead. Returns the exit code."""
    if "--check" not in sys.argv:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return 0
    committed = path.read_text().splitlines()
    lines = list(
        difflib.unified_diff(committed, text.splitlines(), "committed", "generated", lineterm="")
    )
    print("\n".join(lines) or f"{path.name} is up to date")
    return 1 if lines else 0
