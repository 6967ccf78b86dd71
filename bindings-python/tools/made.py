"""Files that a tool makes and the repository keeps."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path


def write_or_check(path: Path, made: str) -> int:
    """Writes the file; with `--check`, prints how it differs from what was made instead. The exit code."""
    if "--check" not in sys.argv:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made)
        return 0
    committed = path.read_text().splitlines()
    lines = list(
        difflib.unified_diff(committed, made.splitlines(), "committed", "generated", lineterm="")
    )
    print("\n".join(lines) or f"{path.name} is up to date")
    return 1 if lines else 0
