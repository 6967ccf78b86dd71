"""Runs the notebooks with the installed package, each in a kernel of its own; with `--write`, stores them with their outputs.

What needs widgets is not stored: GitHub and other viewers show none.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WIDGETS = "application/vnd.jupyter.widget-view+json"


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. A cell that fails raises."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    return notebook


def readable(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what reads only with widgets, and without what differs from run to run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if WIDGETS not in output.get("data", {})
            ]
    return notebook


def main() -> None:
    """Runs all of them."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        started = time.monotonic()
        notebook = run(path)
        if "--write" in sys.argv:
            nbformat.write(readable(notebook), path)
        print(f"{path.name}: {len(notebook.cells)} cells in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
