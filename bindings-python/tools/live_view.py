"""Looks at the live view in JupyterLab as a user does, in a headless Chromium.

It trains on the bundled tiny base, checks what the page shows, loads the page again, stops the training, and can keep an image of the
view.
Run it with the Python whose JupyterLab and ipykernel are to be checked; that Python needs the package, `jupyterlab` and `playwright`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
TOKEN = "live-view"
NOTEBOOK = "live.ipynb"
LOCAL = ("localhost", "127.0.0.1")
IN_PAGE = ("data", "blob", "about")
SHOWN_STEPS = 80
"""Steps before the image is taken."""

CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

KERNEL_IS_IDLE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.context?.isReady && panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === "idle";
}"""

SETUP, FREE, WAIT, AGAIN, AT_ONCE = range(5)
"""The cells of the notebook."""


def cells(folder: Path) -> list[str]:
    """The sources of the notebook's cells."""
    subjects = {"a banana": 1, "a cat": 2}
    prompts = "\n".join(
        f"{subject}, blueprint style --w 128 --h 128 --s 12 --d {seed}"
        for subject, seed in subjects.items()
    )
    setup = f"""import lora_trainer as lt

config = lt.TrainConfig(
    {str(ROOT / "assets/tiny-base.safetensors")!r},
    {str(ROOT / "assets/train")!r},
    output_dir={str(folder / "output")!r},
    resolution=128,
    network_dim=16,
    train_batch_size=4,
    max_train_steps=100000,
    unet_lr=1e-3,
    network_train_unet_only=True,
    device="cpu",
    sample_prompts={prompts!r},
    sample_every_n_steps=25,
    sample_at_first=True,
)
trainer = lt.Trainer(config)
trainer.live()"""
    wait = "history = trainer.wait(); print(history)"
    again = "trainer = lt.Trainer(config.replace(sample_at_first=False))\ntrainer.live()"
    return [setup, "print('free at step', trainer.step)", wait, again, wait]


def write_notebook(folder: Path) -> None:
    """The notebook, as a file."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell{at}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for at, source in enumerate(cells(folder))
    ]
    notebook = {
        "cells": code,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / NOTEBOOK).write_text(json.dumps(notebook))


def write_settings(folder: Path, is_dark: bool) -> None:
    """JupyterLab's settings: no news, all cells in the page at once, the theme."""
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
    """JupyterLab in a folder, without the user's settings and kernels; gives its address."""
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
    """Whether a server is up."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def until(what: str, holds: Callable[[], bool], seconds: float = 60) -> float:
    """Waits until something holds; gives the seconds that it took."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - begin


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)


class Notebook:
    """The notebook in the page."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self._address = address

    def open(self) -> None:
        """Opens it, or loads the page again."""
        self.page.goto(f"{self._address}/lab/tree/{NOTEBOOK}?token={TOKEN}")
        self.cell(AT_ONCE).wait_for(timeout=60_000)
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)

    def cell(self, at: int) -> Locator:
        """A cell by its place."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(at)

    def run(self, at: int) -> None:
        """Runs a cell; does not wait for its end."""
        self.cell(at).locator(".jp-InputPrompt").click()
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell')")

    def count(self, at: int) -> str:
        """What stands in front of a cell: `[ ]:`, `[*]:` or its number."""
        return self.cell(at).locator(".jp-InputPrompt").inner_text().strip()

    def is_over(self, at: int) -> bool:
        """Whether the cell has run."""
        return self.count(at).strip("[]:").isdigit()

    def finish(self, at: int, seconds: float = 60) -> float:
        """Waits for the end of a cell; gives the seconds that it took."""
        return until(f"cell {at} is over", lambda: self.is_over(at), seconds)

    def text(self, at: int) -> str:
        """What a cell has printed."""
        return self.cell(at).locator(".jp-OutputArea-output").all_inner_texts()[0].strip()

    def interrupt(self) -> None:
        """What the notebook's own stop button does."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:interrupt-kernel')")

    def save(self) -> None:
        """Saves the notebook with its outputs."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")


class View:
    """A live view in the page."""

    def __init__(self, cell: Locator) -> None:
        self._cell = cell
        self.root = cell.locator(".lt-live")
        self.stop = self.root.locator(".lt-stop")

    def points(self) -> int:
        """How many points the smoothed loss has."""
        lines = self.root.locator("polyline.lt-smooth")
        return len((lines.get_attribute("points") or "").split()) if lines.count() else 0

    def figures(self) -> dict[str, str]:
        """The numbers above the curve."""
        names = self.root.locator(".lt-figure .lt-name").all_inner_texts()
        values = self.root.locator(".lt-figure .lt-value").all_inner_texts()
        return dict(zip((name.lower() for name in names), values, strict=True))

    def images(self) -> list[int]:
        """The widths of the previews; 0 is an image that did not load."""
        widths: list[int] = self.root.locator(".lt-preview img").evaluate_all(
            "images => images.map(image => image.naturalWidth)"
        )
        return widths

    def state(self) -> str:
        """What the view calls the state of the training."""
        return self.root.locator(".lt-state").inner_text().strip()

    def message(self) -> str:
        """The line at the end."""
        return self.root.locator(".lt-message").inner_text().strip()


def check_begin(notebook: Notebook) -> View:
    """The cell returns at once, the notebook stays free, and the view is alive."""
    notebook.run(SETUP)
    returned = notebook.finish(SETUP, 30)
    view = View(notebook.cell(SETUP))
    expect(view.root).to_be_visible(timeout=20_000)
    notebook.run(FREE)
    free = notebook.finish(FREE, 20)
    expect(view.stop).to_be_enabled()
    say(
        f"the cell returned in {returned:.1f} s; another ran in {free:.1f} s: {notebook.text(FREE)}"
    )
    until("the curve has points", lambda: view.points() >= 3)
    first = view.points()
    until("the curve grows", lambda: view.points() > first, 20)
    say(f"the curve grew from {first} to {view.points()} points")
    figures = view.figures()
    assert {"loss", "learning rate", "speed", "left"} <= figures.keys() and all(figures.values()), (
        figures
    )
    say(
        "figures: "
        + ", ".join(f"{name} {value}" for name, value in figures.items())
        + ("" if "memory" in figures else " (no memory)")
    )
    until("both previews are loaded", lambda: len(view.images()) == 2 and min(view.images()) > 0)
    say(f"widths of the previews: {view.images()}")
    return view


def check_reload(notebook: Notebook) -> View:
    """Tells whether the view is there again after the page is loaded anew; without it nothing else can be checked."""
    notebook.save()
    notebook.page.wait_for_timeout(1_000)
    view = View(notebook.cell(SETUP))
    before = view.points()
    notebook.open()
    until("the view is back after a reload", lambda: view.points() >= before, 40)
    now = view.points()
    assert len(view.images()) == 2 and min(view.images()) > 0
    until("the curve grows after a reload", lambda: view.points() > now, 20)
    say(f"after a reload the view is back, and grows: {before} points before, {view.points()} now")
    return view


def check_stop(notebook: Notebook, view: View) -> None:
    """The Stop button ends the training and saves the LoRA; `wait` then gives the history."""
    view.stop.click()
    until("the state is stopped", lambda: view.state() == "stopped", 30)
    expect(view.stop).to_be_disabled()
    until("the path is shown", lambda: view.message().startswith("saved: "), 10)
    path = Path(view.message().removeprefix("saved: "))
    assert path.is_file(), path
    notebook.run(WAIT)
    notebook.finish(WAIT, 20)
    printed = notebook.text(WAIT)
    assert "History" in printed and path.name in printed, printed
    say(f"stopped; saved {path.name}, {path.stat().st_size} bytes; wait gave {printed}")


def check_stop_while_waiting(notebook: Notebook) -> None:
    """Tells whether the Stop button is heard while a cell waits; where it is not, the view says so and an interrupt ends the training."""
    notebook.run(AGAIN)
    notebook.finish(AGAIN, 30)
    notebook.run(AT_ONCE)
    view = View(notebook.cell(AGAIN))
    until("the view grows while a cell waits", lambda: view.points() >= 3)
    assert not notebook.is_over(AT_ONCE)
    view.stop.click()
    until(
        "Stop is heard, or the view says that it is not",
        lambda: notebook.is_over(AT_ONCE) or "busy" in view.message(),
        30,
    )
    expect(view.stop).to_be_disabled()
    is_heard = notebook.is_over(AT_ONCE)
    if not is_heard:
        notebook.interrupt()
        notebook.finish(AT_ONCE, 30)
        notebook.page.wait_for_timeout(1_000)
    say(
        f"while a cell waited, Stop was {'heard' if is_heard else 'not heard, an interrupt was'}; the state is then {view.state()!r}"
    )
    until("the state is stopped", lambda: view.state() == "stopped", 10)
    assert Path(view.message().removeprefix("saved: ")).is_file(), view.message()


def take_image(page: Page, view: View, path: Path) -> None:
    """The view once its curve is worth looking at."""
    until(f"{SHOWN_STEPS} steps", lambda: view.points() >= SHOWN_STEPS, 180)
    page.mouse.move(0, 0)
    view.root.scroll_into_view_if_needed()
    view.root.screenshot(path=path)
    say(f"image: {path}")


def watch(page: Page) -> tuple[list[str], list[str]]:
    """Two lists that fill while the page lives: hosts that it asks, and its errors."""
    hosts: list[str] = []
    errors: list[str] = []

    def note(address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in IN_PAGE:
            hosts.append(parts.hostname or address)

    page.on("request", lambda request: note(request.url))
    page.on("websocket", lambda connection: note(connection.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    return hosts, errors


def check(page: Page, address: str, image: Path | None) -> None:
    """All checks, in the order of a user's work."""
    hosts, errors = watch(page)
    notebook = Notebook(page, address)
    notebook.open()
    view = check_begin(notebook)
    view = check_reload(notebook)
    if image is not None:
        take_image(page, view, image)
    check_stop(notebook, view)
    elsewhere = sorted(set(hosts) - set(LOCAL))
    assert not elsewhere, f"the page asked {', '.join(elsewhere)}"
    assert not errors, errors
    say(f"{len(hosts)} requests, all to {' and '.join(sorted(set(hosts)))}; no errors in the page")
    check_stop_while_waiting(notebook)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    parser.add_argument(
        "--screenshot", type=Path, metavar="OUT.png", help="where an image of the view is put"
    )
    parser.add_argument("--dark", action="store_true", help="use JupyterLab's dark theme")
    given = parser.parse_args()
    names = ("ipykernel", "jupyterlab", "anywidget")
    say(
        ", ".join(f"{name} {version(name)}" for name in names)
        + f", Python {sys.version.split()[0]}"
    )
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        write_notebook(folder)
        write_settings(folder, given.dark)
        browser = playwright.chromium.launch(executable_path=given.chromium, args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=2)
        with jupyter(folder) as address:
            try:
                check(page, address, given.screenshot)
            except BaseException:
                page.screenshot(path="live-view-failed.png")
                raise
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
