"""The live view: how a training in the background goes."""

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
from ._figures import duration, pace, size, smoothed
from ._progress import WORK, in_notebook
from ._views import data_url

if TYPE_CHECKING:
    from ._trainer import Trainer

logger = logging.getLogger("lora_trainer")

UPDATE = 0.5
"""Seconds between two updates of the view, at least."""

POINTS = 500
"""The most points of a curve; of longer runs each point is the mean of some steps."""

IMAGES = 8
"""How many previews are shown."""

SIDE = 320
"""Their longer side, at most. Pixels."""


class LiveView:
    """A view of a training, for a notebook to display. It reads the same after the page is loaded again."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._next = 0.0
        self._work = ("", 0, 0)
        self._previews: dict[int, dict[str, str]] = {}
        self._path = ""
        self.widget: Any = _widget_class()()
        self.widget.on_msg(self._hear)
        self._update("running")

    def show(self, event: Event) -> None:
        """Shows an event, now or with the next ones. A page that is gone does not end a training."""
        with self._unharmed():
            self._show(event)

    def _show(self, event: Event) -> None:
        match event:
            case CacheProgress(what=what, done=done, total=total):
                self._work = (WORK[what], done, total)
            case Step():
                pass
            case Preview(index=index) if index < IMAGES:
                caption = f"{event.prompt} (step {event.step})"
                small = event.image.copy()
                small.thumbnail((SIDE, SIDE))
                self._previews[index] = {"caption": caption, "url": data_url(small)}
                self.widget.previews = [self._previews[at] for at in sorted(self._previews)]
            case Saved(path=path) | Summary(path=path):
                self._path = str(path)
            case _:
                return
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + UPDATE
            self._update("running")

    def end(self, error: BaseException | None) -> None:
        """Shows the end of the training."""
        history = self._trainer.history
        self._path = str(history.path or "")
        with self._unharmed():
            if error is not None:
                self._update("failed", message=f"{type(error).__name__}: {error}")
            else:
                self._update("done" if history.summary is not None else "stopped")

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            logger.debug("the view can't be shown: %s", error)

    def _update(self, state: str, message: str = "") -> None:
        steps = self._trainer.history.steps
        figures = []
        if steps:
            last = steps[-1]
            self._work = (WORK["steps"], last.step, last.total_steps)
            figures = [
                ["loss", f"{last.average_loss:.4f}"],
                ["learning rate", f"{last.lr:.2e}"],
                ["speed", pace(last.it_per_s)],
            ]
            if state == "running":
                figures.append(["left", duration(last.eta)])
            if last.memory is not None:
                figures.append(["memory", size(last.memory)])
            self.widget.curve = curve(steps)
        if state == "running" and self._trainer.is_stopping:
            state = "stopping"
        work, done, total = self._work
        status = {"state": state, "work": work, "done": done, "total": total, "figures": figures, "path": self._path}
        self.widget.status = {**status, "message": message}

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """What the page sends."""
        if content == {"type": "stop"}:
            # Only the training's thread writes what is shown, so that nothing old is written over its last word.
            self._trainer.stop()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        return f"<LiveView: {self.widget.status['state']}, {self._trainer.history!r}>"


def make_view(trainer: Trainer) -> LiveView | None:
    """The view; `None` where there is nothing to show one."""
    return LiveView(trainer) if in_notebook() and find_spec("anywidget") is not None else None


def curve(steps: list[Step]) -> dict[str, list[float]]:
    """Losses, raw and smoothed, and learning rates, with few enough points to send them often."""
    width = -(-len(steps) // POINTS)
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
