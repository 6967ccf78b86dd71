"""Runs the notebooks with the installed package, each in its own kernel.

With `--write`, stores them with their outputs. Widgets are not stored: GitHub and other viewers do
not show them.
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
    """Returns the notebook with new outputs. Raises an exception if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    return notebook


def portable(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Removes widgets and everything that differs from run to run."""
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
    """Runs all notebooks."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        started = time.monotonic()
        notebook = run(path)
        if "--write" in sys.argv:
            nbformat.write(portable(notebook), path)
        print(f"{path.name}: {len(notebook.cells)} cells in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
