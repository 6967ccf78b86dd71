"""The trainer as a notebook sees it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING

from . import _core
from ._callbacks import collect
from ._core import Deleted, EpochEnd, Event, Notice, Preview, RunPlan, Saved, Step, Summary, TrainConfig
from ._history import History
from .errors import LossNotFiniteError, TrainingError

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._core import Picture
    from ._live import LiveView
    from ._progress import Progress

logger = logging.getLogger("lora_trainer")


class Trainer(_core.Trainer):
    """A training run. Iterate over it to train; every item is a `Step`.

    Making one reads and checks everything: options, pictures, base model. The work is done on a thread of its own, a step each time that
    the iteration asks for one; Ctrl-C or a notebook's stop button raises KeyboardInterrupt at once, and the run can then be saved, drawn from
    or gone on with. As a context manager it saves the LoRA when an exception ends the run, as the program does, puts `path` and
    `history` on the exception, and frees its memory in the end.

    Args:
        config: The options.
        data: Pictures beside those of the options: a list of `(picture, caption)`, where a picture is a path, a `PIL.Image` or an array
            `[h, w, 3]` of `uint8`.
        callbacks: Objects with some of the methods of `Callback`.
        log_with: Ready callbacks by name: "wandb", "mlflow" or "trackio".
        progress: Whether a progress bar is shown.

    Attributes:
        history: What has happened so far.

    >>> with lt.Trainer(config) as trainer:
    ...     for step in trainer:
    ...         if step.step == 2:
    ...             picture = trainer.sample("a photo of a cat", seed=1, num_inference_steps=2)
    >>> picture.size, len(trainer.history)
    ((64, 64), 4)
    """

    history: History
    _callbacks: list[object]
    _progress: Progress | None
    _background: threading.Event | None
    """Set when the training in the background is over; an interrupted `Thread.join` would not tell."""
    _background_thread: threading.Thread | None
    _background_error: BaseException | None
    _asked_to_stop: threading.Event
    _is_begun: bool
    _is_ended: bool

    def __new__(
        cls,
        config: TrainConfig,
        /,
        *,
        data: Iterable[tuple[Picture, str]] | None = None,
        callbacks: Iterable[object] = (),
        log_with: str | Iterable[str] | None = None,
        progress: bool = False,
    ) -> Self:
        from ._progress import Progress

        collected = collect(callbacks, log_with)
        self = super().__new__(cls, config, data=data)
        self.history = History()
        self._callbacks = collected
        self._progress = Progress() if progress else None
        self._background = self._background_thread = self._background_error = None
        self._asked_to_stop = threading.Event()
        self._is_begun = self._is_ended = False
        return self

    def __iter__(self) -> Iterator[Step]:
        """The updates that are left; each is made when it is asked for."""
        return _Steps(self)

    def events(self) -> Iterator[Event]:
        """All that happens from here on, as events of all classes."""
        return _Events(self._foreground)

    def stop(self) -> None:
        """Ends the training for good after the step that it is at; the LoRA is then saved. May be called from any thread."""
        self._asked_to_stop.set()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called and the training is not over yet."""
        return self._asked_to_stop.is_set() and not self._is_ended

    @property
    def is_in_background(self) -> bool:
        """Whether a training that `live` has begun goes on."""
        return self._background is not None and not self._background.is_set()

    def wait(self, timeout: float | None = None) -> History:
        """Waits for the end of a training that `live` has begun, and raises what has ended it, if it was an exception.

        Ctrl-C and a notebook's stop button end the training as `stop` does. The Stop button of the view is not heard by a kernel that waits
        here: its messages come when the cell is over.

        Args:
            timeout: Seconds after which a TimeoutError is raised; the training goes on.
        """
        if self._background is not None:
            try:
                is_over = self._background.wait(timeout)
            except KeyboardInterrupt as interrupt:
                self.stop()
                self._background.wait()
                self._describe(interrupt)
                raise
            if not is_over:
                raise TimeoutError(f"the training still goes on after {timeout} s")
            error, self._background_error = self._background_error, None
            if error is not None:
                raise error
        return self.history

    def live(self) -> LiveView | None:
        """Trains in the background and shows how it goes: losses, learning rate, speed, memory, previews, and a Stop button.

        The call returns at once, so that the notebook stays free; show the view as the last value of a cell, or with `display`. Without
        anywidget or outside a notebook, a progress bar is shown instead. `wait` waits for the end.
        """
        from ._live import make_view

        if self.is_in_background:
            raise TrainingError("this trainer already trains in the background")
        view = make_view(self)
        if view is None and self._progress is None:
            from ._progress import Progress

            self._progress = Progress()
        self._background = threading.Event()
        # Within the context of the cell: by it a kernel tells whose messages these are, and where answers to them go.
        begin, work = copy_context().run, (self._train, view, self._background)
        thread = threading.Thread(target=begin, args=work, name="lora-trainer-live", daemon=True)
        self._background_thread = thread
        thread.start()
        return view

    def close(self) -> None:
        """Ends the run after the step that it is at and frees its memory. Nothing is saved."""
        is_own = self._background_thread is threading.current_thread()
        if self._background is not None and self.is_in_background and not is_own:
            self.stop()
            self._background.wait()
        super().close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._rescue(error)
        finally:
            self.close()

    def _train(self, view: LiveView | None, over: threading.Event) -> None:
        """The background's life."""
        try:
            for event in _Events(self._advance):
                if view is not None:
                    view.show(event)
        except BaseException as error:
            self._background_error = error
            self._rescue(error)
            logger.error("the training ended: %s", error)
            self._end()
        finally:
            if view is not None:
                view.end(self._background_error)
            over.set()

    def _foreground(self) -> Event | None:
        if self.is_in_background:
            raise TrainingError("this trainer trains in the background; `wait` waits for its end, `stop` ends it")
        return self._advance()

    def _advance(self) -> Event | None:
        """The next event, after all who want to know have been told; `None` at the end."""
        if self._is_ended and self._asked_to_stop.is_set():
            return None
        if self._asked_to_stop.is_set() and not self.is_complete:
            return self._stop()
        event = self.next_event()
        if event is None:
            self._end()
        else:
            self._tell(event)
        return event

    def _stop(self) -> Event | None:
        """Saves what was learned, as the program does when it is stopped."""
        if self.step == 0:
            logger.info("stopped before the first step; nothing was saved")
            self._end()
            return None
        path = self.save()
        logger.info("stopped after step %d; saved %s", self.step, path)
        self.history.path = path
        self._end()
        return None

    def _tell(self, event: Event) -> None:
        self.history.add(event)
        if self._progress is not None:
            self._progress.show(event)
        match event:
            case RunPlan():
                self._is_begun = True
                self._call("on_train_begin", event)
            case Step():
                self._call("on_step", event)
            case EpochEnd():
                self._call("on_epoch", event)
            case Preview():
                self._call("on_sample", event)
            case Saved(path=path):
                logger.info("saved %s", path)
                self._call("on_save", event)
            case Deleted(path=path):
                logger.info("deleted %s", path)
            case Notice(message=message):
                logger.warning("%s", message)
            case Summary(steps=steps, seconds=seconds):
                logger.info("%d steps in %.0f s", steps, seconds)
            case _:
                logger.debug("%r", event)

    def _call(self, method: str, event: object) -> None:
        for callback in self._callbacks:
            called: Callable[[Trainer, object], object] | None = getattr(callback, method, None)
            answer = None if called is None else called(self, event)
            if answer == "stop":
                self.stop()
            elif answer is not None:
                raise TrainingError(f'{method} of {callback!r} returned {answer!r}, expected None or "stop"')

    def _end(self) -> None:
        """Once, when nothing more is trained."""
        if self._is_ended:
            return
        self._is_ended = True
        if self._progress is not None:
            self._progress.close()
        if self._is_begun:
            self._call("on_train_end", self.history)

    def _rescue(self, error: BaseException) -> None:
        """Keeps what was learned before an exception that has not done so itself, and tells it where."""
        is_saved = self.is_complete or isinstance(error, LossNotFiniteError)
        if not is_saved and not self.is_closed:
            try:
                # The step that the interruption came in belongs to it.
                event = self.claim_event()
                if event is not None:
                    self.history.add(event)
            except Exception as failure:
                logger.error("%s", failure)
        if self.step > 0 and not is_saved and not self.is_closed:
            try:
                self.history.path = self.save()
                logger.info("after step %d, saved %s", self.step, self.history.path)
            except Exception as refusal:
                logger.error("the LoRA could not be saved: %s", refusal)
        self._describe(error)

    def _describe(self, error: BaseException) -> None:
        """Puts `path` and `history` on an exception."""
        for name, value in (("path", self.history.path), ("history", self.history)):
            if getattr(error, name, None) is None:
                try:
                    setattr(error, name, value)
                except AttributeError:
                    # An exception of somebody else, without room for it.
                    pass


class _Events(Iterator[Event]):
    """Calls until nothing more comes. Unlike a generator, it goes on after an exception."""

    def __init__(self, advance: Callable[[], Event | None]) -> None:
        self._advance = advance

    def __next__(self) -> Event:
        event = self._advance()
        if event is None:
            raise StopIteration
        return event


class _Steps(Iterator[Step]):
    """The updates among the events."""

    def __init__(self, trainer: Trainer) -> None:
        self._events = trainer.events()

    def __next__(self) -> Step:
        for event in self._events:
            if isinstance(event, Step):
                return event
        raise StopIteration


def fit(
    config: TrainConfig,
    /,
    *,
    data: Iterable[tuple[Picture, str]] | None = None,
    callbacks: Iterable[object] = (),
    log_with: str | Iterable[str] | None = None,
    progress: bool = True,
) -> History:
    """Trains to the end, with one progress bar, and tells what happened.

    Ctrl-C or a notebook's stop button saves the LoRA and raises KeyboardInterrupt with `path` and `history`.

    Args:
        config: The options.
        data: Pictures beside those of the options: a list of `(picture, caption)`, where a picture is a path, a `PIL.Image` or an array
            `[h, w, 3]` of `uint8`.
        callbacks: Objects with some of the methods of `Callback`.
        log_with: Ready callbacks by name: "wandb", "mlflow" or "trackio".
        progress: Whether a progress bar is shown.

    >>> history = lt.fit(config, progress=False)
    >>> len(history.losses), history.path.name
    (4, 'last.safetensors')
    """
    with Trainer(config, data=data, callbacks=callbacks, log_with=log_with, progress=progress) as trainer:
        for _ in trainer.events():
            pass
        return trainer.history
