"""JupyterLab in a folder of its own, and a notebook of it in a browser's page."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Locator, Page

TOKEN = "live-view"
NOTEBOOK = "live.ipynb"

KERNEL_IS_IDLE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const session = panel?.sessionContext;
    const isReady = panel?.context?.isReady && session?.isReady;
    return isReady && session.session?.kernel?.status === "idle";
}"""


def write_settings(folder: Path, is_dark: bool) -> None:
    """Writes JupyterLab's settings: no news, all cells rendered at once, the theme."""
    settings = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "apputils-extension/themes": {
            "theme": "JupyterLab Dark" if is_dark else "JupyterLab Light"
        },
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in settings.items():
        path = folder / "lab-settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """Runs JupyterLab in a folder, without the user's settings and kernels. Yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "lab-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--IdentityProvider.token={TOKEN}",
    ]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        *options,
        "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={folder}",
    ]
    with (folder / "jupyter.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        address = f"http://localhost:{port}"
        until(
            "JupyterLab answers", lambda: answers(f"{address}/api/status?token={TOKEN}"), seconds=60
        )
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(address: str) -> bool:
    """True if a server answers."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def until(what: str, is_true: Callable[[], bool], seconds: float = 60) -> float:
    """Waits until a condition is true. Returns the seconds that it took."""
    begin = time.monotonic()
    while not is_true():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - begin


class Notebook:
    """The notebook in the page."""

    def __init__(self, page: Page, address: str, cells: int) -> None:
        self.page = page
        self._address = address
        self._cells = cells

    def open(self) -> None:
        """Opens the page or reloads it."""
        self.page.goto(f"{self._address}/lab/tree/{NOTEBOOK}?token={TOKEN}")
        self.cell(self._cells - 1).wait_for(timeout=60_000)
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)

    def cell(self, at: int) -> Locator:
        """Returns a cell by its index."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(at)

    def run(self, at: int) -> None:
        """Starts a cell; does not wait for its end."""
        self.cell(at).locator(".jp-InputPrompt").click()
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell')")

    def prompt(self, at: int) -> str:
        """Returns the prompt of a cell: `[ ]:`, `[*]:` or its number."""
        return self.cell(at).locator(".jp-InputPrompt").inner_text().strip()

    def is_over(self, at: int) -> bool:
        """True if the cell has run."""
        return self.prompt(at).strip("[]:").isdigit()

    def finish(self, at: int, seconds: float = 60) -> float:
        """Waits for the end of a cell. Returns the seconds that it took."""
        return until(f"cell {at} is over", lambda: self.is_over(at), seconds)

    def text(self, at: int) -> str:
        """Returns the output of a cell."""
        return self.cell(at).locator(".jp-OutputArea-output").all_inner_texts()[0].strip()

    def interrupt(self) -> None:
        """Interrupts the kernel, like the notebook's own stop button."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:interrupt-kernel')")

    def save(self) -> None:
        """Saves the notebook with its outputs."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
