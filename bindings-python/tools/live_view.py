"""Tests the live view in JupyterLab with a headless Chromium.

It trains on the bundled tiny base model, checks the page, reloads it, stops training, and can save
a screenshot of the view. Run it with the Python whose JupyterLab and ipykernel you want to test;
that Python needs the package, `jupyterlab` and `playwright`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_lab import NOTEBOOK, Notebook, jupyter, until, write_settings
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
LOCAL = ("localhost", "127.0.0.1")
IN_PAGE = ("data", "blob", "about")
SHOWN_STEPS = 80
"""Steps before the screenshot is taken."""

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

SETUP, FREE, WAIT, AGAIN, AT_ONCE = range(5)
"""The cells of the notebook."""


def cells(folder: Path) -> list[str]:
    """Returns the sources of the notebook's cells."""
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
    """Writes the notebook file."""
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


def say(text: str) -> None:
    """Prints a line of the report."""
    print(text, flush=True)


class View:
    """A live view in the page."""

    def __init__(self, cell: Locator) -> None:
        self._cell = cell
        self.root = cell.locator(".lt-live")
        self.stop = self.root.locator(".lt-stop")

    def points(self) -> int:
        """Returns the number of points of the smoothed loss."""
        lines = self.root.locator("polyline.lt-smooth")
        return len((lines.get_attribute("points") or "").split()) if lines.count() else 0

    def figures(self) -> dict[str, str]:
        """Returns the numbers above the curve."""
        names = self.root.locator(".lt-figure .lt-name").all_inner_texts()
        values = self.root.locator(".lt-figure .lt-value").all_inner_texts()
        return dict(zip((name.lower() for name in names), values, strict=True))

    def preview_widths(self) -> list[int]:
        """Returns the widths of the previews; 0 for an image that did not load."""
        widths: list[int] = self.root.locator(".lt-preview img").evaluate_all(
            "images => images.map(image => image.naturalWidth)"
        )
        return widths

    def state(self) -> str:
        """Returns the state of the run, as shown."""
        return self.root.locator(".lt-state").inner_text().strip()

    def message(self) -> str:
        """Returns the message below the previews."""
        return self.root.locator(".lt-message").inner_text().strip()


def check_begin(notebook: Notebook) -> View:
    """Checks that the cell returns at once, the notebook stays usable and the view is updated."""
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
    until(
        "both previews are loaded",
        lambda: len(view.preview_widths()) == 2 and min(view.preview_widths()) > 0,
    )
    say(f"widths of the previews: {view.preview_widths()}")
    return view


def check_reload(notebook: Notebook) -> View:
    """Checks that a reloaded page shows the view again. The later checks need it."""
    notebook.save()
    notebook.page.wait_for_timeout(1_000)
    view = View(notebook.cell(SETUP))
    before = view.points()
    notebook.open()
    until("the view is back after a reload", lambda: view.points() >= before, 40)
    now = view.points()
    assert len(view.preview_widths()) == 2 and min(view.preview_widths()) > 0
    until("the curve grows after a reload", lambda: view.points() > now, 20)
    say(f"after a reload the view is back and grows: {before} points before, {view.points()} now")
    return view


def check_stop(notebook: Notebook, view: View) -> None:
    """Checks that the Stop button ends training, saves the LoRA and lets `wait` return."""
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
    """Reports whether the Stop button works while a cell waits.

    If it does not, the view must say so, and an interrupt must end training.
    """
    notebook.run(AGAIN)
    notebook.finish(AGAIN, 30)
    notebook.run(AT_ONCE)
    view = View(notebook.cell(AGAIN))
    until("the view grows while a cell waits", lambda: view.points() >= 3)
    assert not notebook.is_over(AT_ONCE)
    view.stop.click()
    until(
        "Stop works, or the view says that the kernel is busy",
        lambda: notebook.is_over(AT_ONCE) or "busy" in view.message(),
        30,
    )
    expect(view.stop).to_be_disabled()
    has_stopped = notebook.is_over(AT_ONCE)
    if not has_stopped:
        notebook.interrupt()
        notebook.finish(AT_ONCE, 30)
        notebook.page.wait_for_timeout(1_000)
    ended_by = "Stop" if has_stopped else "an interrupt, not Stop,"
    say(f"while a cell waited, {ended_by} ended training; the state is {view.state()!r}")
    until("the state is stopped", lambda: view.state() == "stopped", 10)
    assert Path(view.message().removeprefix("saved: ")).is_file(), view.message()


def take_screenshot(page: Page, view: View, path: Path) -> None:
    """Saves a screenshot of the view once its curve has enough steps."""
    until(f"{SHOWN_STEPS} steps", lambda: view.points() >= SHOWN_STEPS, 180)
    page.mouse.move(0, 0)
    view.root.scroll_into_view_if_needed()
    view.root.screenshot(path=path)
    say(f"screenshot: {path}")


def watch(page: Page) -> tuple[list[str], list[str]]:
    """Returns two lists that are filled while the page is open: requested hosts, and errors."""
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


def check(page: Page, address: str, screenshot: Path | None) -> None:
    """Runs all checks, in the order of a user's work."""
    hosts, errors = watch(page)
    notebook = Notebook(page, address, AT_ONCE + 1)
    notebook.open()
    view = check_begin(notebook)
    view = check_reload(notebook)
    if screenshot is not None:
        take_screenshot(page, view, screenshot)
    check_stop(notebook, view)
    elsewhere = sorted(set(hosts) - set(LOCAL))
    assert not elsewhere, f"the page asked {', '.join(elsewhere)}"
    assert not errors, errors
    say(f"{len(hosts)} requests, all to {' and '.join(sorted(set(hosts)))}; no errors in the page")
    check_stop_while_waiting(notebook)


def main() -> int:
    """Runs the tool. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    parser.add_argument(
        "--screenshot", type=Path, metavar="OUT.png", help="save a screenshot of the view"
    )
    parser.add_argument("--dark", action="store_true", help="use JupyterLab's dark theme")
    arguments = parser.parse_args()
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
        write_settings(folder, arguments.dark)
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=CHROMIUM_OPTIONS
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=2)
        with jupyter(folder) as address:
            try:
                check(page, address, arguments.screenshot)
            except BaseException:
                page.screenshot(path="live-view-failed.png")
                raise
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
