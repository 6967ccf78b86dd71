"""The progress bar."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ._core import CacheProgress, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary
from ._figures import duration, pace, plural

REDRAW = 0.5
"""Seconds between two drawings of the bar, at least."""

LINES = 20
"""Without a terminal, a line appears each time when this share of the work is done."""

WORK = {"latents": "encoding images", "text": "encoding captions", "steps": "training"}


def figures(step: Step) -> str:
    """What is shown of a step: loss, learning rate, speed and the time that is left."""
    return f"loss {step.average_loss:.4f}, lr {step.lr:.2e}, {pace(step.it_per_s)}, {duration(step.eta)} left"


class Progress:
    """One bar for caching and training, by tqdm: in a notebook its widget, in a terminal its bar, elsewhere plain lines."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._work = ""
        self._is_drawn = in_notebook() or (sys.stderr is not None and sys.stderr.isatty())

    def show(self, event: Event) -> None:
        """Shows an event."""
        match event:
            case CacheProgress(what=what, done=done, total=total):
                self._advance(what, done, total, "")
            case Step(step=step, total_steps=total):
                self._advance("steps", step, total, figures(event))
            case RunPlan() if not self._is_drawn:
                epochs = plural(event.epochs, "epoch")
                self._line(f"{event.images_per_epoch} images an epoch, {epochs}, {event.total_steps} steps on {event.device}")
            case EpochEnd(epoch=epoch, epochs=epochs, average_loss=loss) if not self._is_drawn:
                self._line(f"epoch {epoch} of {epochs}: average loss {loss:.4f}")
            case Preview(path=path) if not self._is_drawn:
                self._line(f"preview: {path}")
            case Saved(path=path) if not self._is_drawn:
                self._line(f"saved {path}")
            case Summary(seconds=seconds, steps=steps) if not self._is_drawn:
                self._line(f"{steps} steps in {duration(seconds)}")
            case _:
                pass

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _advance(self, work: str, done: int, total: int, shown: str) -> None:
        if not self._is_drawn:
            if done in (1, total) or done * LINES // total != (done - 1) * LINES // total:
                self._line(f"{WORK[work]} {done}/{total}{f': {shown}' if shown else ''}")
            return
        bar = self._begin(work, total, done)
        if shown:
            bar.set_postfix_str(shown, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.refresh()

    def _begin(self, work: str, total: int, done: int) -> Any:
        """The bar, begun anew where another kind of work begins."""
        if self._bar is None:
            self._bar = make_bar(total, WORK[work])
        elif work != self._work:
            self._bar.reset(total)
            self._bar.set_postfix_str("", refresh=False)
        if work != self._work:
            self._work = work
            # What was done before this trainer was iterated on is no pace.
            self._bar.n = self._bar.last_print_n = done - 1
            self._bar.set_description(WORK[work], refresh=False)
        return self._bar

    def _line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def make_bar(total: int, work: str) -> Any:
    """A bar of tqdm. In a notebook without widgets it draws text, which needs no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    # Loss, learning rate, speed and time left stand behind the bar; tqdm's own pace would count previews, too.
    layout = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"
    return tqdm(total=total, desc=work, mininterval=REDRAW, bar_format=layout, dynamic_ncols=True)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")
