"""The live view of a training run in the background."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._core import CacheProgress, Event, Preview, Saved, Step, Summary
from ._figures import duration, size, smoothed, speed
from ._progress import TASKS, in_notebook
from ._views import data_url

if TYPE_CHECKING:
    from ._trainer import Trainer

logger = logging.getLogger("lora_trainer")

UPDATE = 0.5
"""The minimum time between two updates of the view. Seconds."""

MAX_POINTS = 500
"""The maximum number of points of a curve. In longer runs each point is the mean of some steps."""

MAX_PREVIEWS = 8
"""The maximum number of previews in the view."""

MAX_SIDE = 320
"""The maximum length of the longer side of a preview. Pixels."""


class LiveView:
    """The view of a run, for display in a notebook. It survives a reload of the page."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._next_update = 0.0
        self._progress = ("", 0, 0)
        self._previews: dict[int, dict[str, str]] = {}
        self._path = ""
        self.widget: Any = _widget_class()()
        self.widget.on_msg(self._receive)
        self._update("running")

    def show(self, event: Event) -> None:
        """Shows an event now or with the next update. Training continues if the page is closed."""
        with self._errors_logged():
            self._show(event)

    def _show(self, event: Event) -> None:
        match event:
            case CacheProgress(what=what, done=done, total=total):
                self._progress = (TASKS[what], done, total)
            case Step():
                pass
            case Preview(index=index) if index < MAX_PREVIEWS:
                caption = f"{event.prompt} (step {event.step})"
                small = event.image.copy()
                small.thumbnail((MAX_SIDE, MAX_SIDE))
                self._previews[index] = {"caption": caption, "url": data_url(small)}
                self.widget.previews = [self._previews[at] for at in sorted(self._previews)]
            case Saved(path=path) | Summary(lora=path):
                self._path = str(path)
            case _:
                return
        if time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + UPDATE
            self._update("running")

    def end(self, error: BaseException | None) -> None:
        """Shows the end of the run."""
        history = self._trainer.history
        self._path = str(history.path or "")
        with self._errors_logged():
            if error is not None:
                self._update("failed", message=f"{type(error).__name__}: {error}")
            else:
                self._update("done" if history.summary is not None else "stopped")

    @contextmanager
    def _errors_logged(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            logger.debug("cannot update the live view: %s", error)

    def _update(self, state: str, message: str = "") -> None:
        steps = self._trainer.history.steps
        figures = []
        if steps:
            last = steps[-1]
            self._progress = (TASKS["steps"], last.step, last.total_steps)
            figures = [
                ["loss", f"{last.average_loss:.4f}"],
                ["learning rate", f"{last.lr:.2e}"],
                ["speed", speed(last.steps_per_second)],
            ]
            if state == "running":
                figures.append(["left", duration(last.seconds_left)])
            if last.memory is not None:
                figures.append(["memory", size(last.memory)])
            self.widget.curve = curve(steps)
        if state == "running" and self._trainer.is_stopping:
            state = "stopping"
        task, done, total = self._progress
        self.widget.status = {
            "state": state,
            "task": task,
            "done": done,
            "total": total,
            "figures": figures,
            "path": self._path,
            "message": message,
        }

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Handles a message from the page."""
        if content == {"type": "stop"}:
            # Only the training thread updates the view, so an old state cannot overwrite the last
            # one.
            self._trainer.stop()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        return f"<LiveView: {self.widget.status['state']}, {self._trainer.history!r}>"


def make_view(trainer: Trainer) -> LiveView | None:
    """Returns the view; `None` outside notebooks and without anywidget."""
    return LiveView(trainer) if in_notebook() and find_spec("anywidget") is not None else None


def curve(steps: list[Step]) -> dict[str, list[float]]:
    """Returns losses (raw and smoothed) and learning rates, in at most `MAX_POINTS` points."""
    width = -(-len(steps) // MAX_POINTS)
    smooth = smoothed([step.loss for step in steps])
    starts = range(0, len(steps), width)
    parts = [steps[start : start + width] for start in starts]
    return {
        "step": [part[-1].step for part in parts],
        "loss": [sum(step.loss for step in part) / len(part) for part in parts],
        "smooth": [smooth[min(start + width, len(steps)) - 1] for start in starts],
        "lr": [part[-1].lr for part in parts],
    }


@cache
def _widget_class() -> type[Any]:
    import anywidget
    import traitlets

    class Widget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        _esm = Path(__file__).with_name("live.js")
        _css = Path(__file__).with_name("live.css")
        status = traitlets.Dict().tag(sync=True)
        curve = traitlets.Dict().tag(sync=True)
        previews: Any = traitlets.List().tag(sync=True)

    return Widget
