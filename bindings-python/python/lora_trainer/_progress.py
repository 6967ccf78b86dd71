"""The progress bar."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ._core import CacheProgress, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary
from ._figures import duration, plural, speed

REDRAW = 0.5
"""The minimum time between two updates of the bar. Seconds."""

LINES = 20
"""The number of lines that are printed per task if there is no terminal."""

TASKS = {
    "latents": "encoding images",
    "text": "encoding captions",
    "steps": "training",
    "images": "tagging",
}


def step_text(step: Step) -> str:
    """Returns the loss, learning rate, speed and remaining time of a step as text."""
    pace = f"{speed(step.steps_per_second)}, {duration(step.seconds_left)} left"
    return f"loss {step.average_loss:.4f}, lr {step.lr:.2e}, {pace}"


class Progress:
    """One progress bar for caching, training and tagging.

    In a notebook it is a tqdm widget, in a terminal a tqdm bar, elsewhere plain lines.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._task = ""
        self._has_bar = in_notebook() or (sys.stderr is not None and sys.stderr.isatty())

    def show(self, event: Event) -> None:
        """Shows an event."""
        match event:
            case CacheProgress(what=what, done=done, total=total):
                self.advance(what, done, total, "")
            case Step(step=step, total_steps=total):
                self.advance("steps", step, total, step_text(event))
            case _ if not self._has_bar:
                self._print(event)
            case _:
                pass

    def advance(self, task: str, done: int, total: int, text: str) -> None:
        """Shows the progress of a task of `TASKS`, with figures as text."""
        if not self._has_bar:
            is_due = done * LINES // total != (done - 1) * LINES // total
            if done in (1, total) or is_due:
                self._line(f"{TASKS[task]} {done}/{total}{f': {text}' if text else ''}")
            return
        bar = self._begin(task, total, done)
        if text:
            bar.set_postfix_str(text, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.refresh()

    def close(self) -> None:
        """Closes the bar and leaves it as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print(self, event: Event) -> None:
        match event:
            case RunPlan():
                per_epoch = f"{plural(event.images_per_epoch, 'image')} per epoch"
                length = f"{plural(event.epochs, 'epoch')}, {plural(event.total_steps, 'step')}"
                self._line(f"{per_epoch}, {length} on {event.device}")
            case EpochEnd(epoch=epoch, epochs=epochs, average_loss=loss):
                self._line(f"epoch {epoch} of {epochs}: average loss {loss:.4f}")
            case Preview(path=path):
                self._line(f"preview: {path}")
            case Saved(path=path):
                self._line(f"saved {path}")
            case Summary(seconds=seconds, steps=steps):
                self._line(f"{plural(steps, 'step')} in {duration(seconds)}")
            case _:
                pass

    def _begin(self, task: str, total: int, done: int) -> Any:
        """Returns the bar, reset if another task begins."""
        if self._bar is None:
            self._bar = make_bar(total, TASKS[task])
        elif task != self._task:
            self._bar.reset(total)
            self._bar.set_postfix_str("", refresh=False)
        if task != self._task:
            self._task = task
            # Steps from before this iteration do not count towards the speed.
            self._bar.n = self._bar.last_print_n = done - 1
            self._bar.set_description(TASKS[task], refresh=False)
        return self._bar

    def _line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def make_bar(total: int, task: str) -> Any:
    """Returns a tqdm bar. Without notebook widgets it is text, and tqdm's warning is suppressed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    # Loss, learning rate, speed and remaining time follow the bar; tqdm's own speed would include
    # the time for previews.
    layout = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"
    return tqdm(total=total, desc=task, mininterval=REDRAW, bar_format=layout, dynamic_ncols=True)


def in_notebook() -> bool:
    """True if this runs in a notebook's kernel."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")
