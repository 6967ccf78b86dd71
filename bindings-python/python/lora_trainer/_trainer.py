"""The trainer as a notebook sees it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Literal, final

from . import _core
from ._callbacks import collect
from ._core import Deleted, EpochEnd, Event, Notice, Preview, RunPlan, Saved, Step, Summary, TrainConfig
from ._history import History
from ._iteration import Events, Steps
from .errors import LossNotFiniteError, TrainingError

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from PIL.Image import Image
    from typing_extensions import Self

    from ._core import Image
    from ._live import LiveView
    from ._progress import Progress

logger = logging.getLogger("lora_trainer")


@final
class Trainer(_core.Trainer):
    """A training run. Iterate over it to train; every item is a `Step`.

    Making one reads and checks everything: options, images, base model. The work is done on a thread of its own, a step each time that
    the iteration asks for one. Ctrl-C or a notebook's stop button raises KeyboardInterrupt at once; the trainer can then be saved, drawn
    from or gone on with.

    As a context manager it frees its memory in the end. Where it is left before the training is over, by an exception or by `break`, the LoRA
    is saved first, as the program does; `path` and `history` on the exception tell where.

    Args:
        config: The options.
        data: Images beside those of the options: a list of `(image, caption)`, where an image is a path, a `PIL.Image` or an array
            `[h, w, 3]` of `uint8`.
        callbacks: Objects with some of the methods of `Callback`.
        log_with: Ready callbacks by name: "wandb", "mlflow" or "trackio".
        progress: Whether a progress bar is shown.

    Attributes:
        history: What has happened so far.

    >>> with lt.Trainer(config) as trainer:
    ...     for step in trainer:
    ...         if step.step == 2:
    ...             image = trainer.sample("a photo of a cat", seed=1, num_inference_steps=2)
    >>> image.size, len(trainer.history)
    ((64, 64), 4)
    """

    history: History
    _callbacks: list[object]
    _begun: list[object]
    """The callbacks that were told of the beginning and not of the end."""
    _progress: Progress | None
    _background: threading.Event | None
    """Set when the training in the background is over; an interrupted `Thread.join` would not tell."""
    _background_thread: threading.Thread | None
    _background_error: BaseException | None
    _asked_to_stop: threading.Event
    _saved_step: int
    _is_ended: bool

    def __new__(
        cls,
        config: TrainConfig,
        *,
        data: Iterable[tuple[Image, str]] | None = None,
        callbacks: Iterable[object] = (),
        log_with: str | Iterable[str] | None = None,
        progress: bool = False,
    ) -> Self:
        from ._progress import Progress

        collected = collect(callbacks, log_with)
        self = super().__new__(cls, config, data=data)
        self.history = History()
        self._callbacks, self._begun = collected, []
        self._progress = Progress() if progress else None
        self._background = self._background_thread = self._background_error = None
        self._asked_to_stop = threading.Event()
        self._saved_step = 0
        self._is_ended = False
        return self

    def __init_subclass__(cls) -> None:
        raise TypeError("Trainer is not made for subclasses; callbacks do more in a training")

    def __iter__(self) -> Iterator[Step]:
        """The updates that are left; each is made when it is asked for."""
        return Steps(self.events())

    def events(self) -> Iterator[Event]:
        """All that happens from here on, as events of all classes."""
        return Events(self._foreground)

    def sample(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        num_inference_steps: int = 30,
        guidance_scale: float = 7.5,
        seed: int | None = None,
        sampler: Literal["ddim", "euler_a"] | None = None,
        strength: float = 1.0,
    ) -> Image:
        """Draws an image with the LoRA as it is now. The same prompt, seed and LoRA give the same image.

        Args:
            prompt: What to draw, with weights such as `(cat:1.2)`.
            negative_prompt: What to avoid.
            width: Pixels, a multiple of 8; by default those of the training resolution.
            height: Pixels, a multiple of 8; by default those of the training resolution.
            num_inference_steps: Steps of the sampler.
            guidance_scale: How much the prompt counts; at most 1 leaves the negative prompt out.
            seed: The seed of the noise; by default that of the first preview.
            sampler: "ddim" or "euler_a"; by default that of the options.
            strength: What the LoRA counts; 0 is the bare base.
        """
        return self.draw(
            prompt,
            negative_prompt,
            width=width,
            height=height,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=seed,
            sampler=sampler,
            strength=strength,
        )

    def save(
        self, path: str | PathLike[str] | None = None, *, precision: Literal["fp16", "bf16", "float"] | None = None
    ) -> Path:
        """Saves the LoRA as it is now and returns the file's path.

        Args:
            path: The file; by default it has the output name with the step's number, in the output folder.
            precision: The number type; by default that of the options.
        """
        return self._save(path, precision).path

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

    def live(self) -> LiveView | None:
        """Trains in the background and shows how it goes: losses, learning rate, speed, memory, previews, and a Stop button.

        The call returns at once, so that the notebook stays free; show the view as the last value of a cell, or with `display`. Without
        anywidget or outside a notebook, a progress bar is shown instead. `wait` waits for the end; a process that ends before loses what was
        not saved.
        """
        from ._live import make_view

        if self.is_in_background:
            raise TrainingError("this trainer already trains in the background")
        if self.is_closed:
            raise TrainingError("the trainer is closed; make a new one")
        view = make_view(self)
        if view is None and self._progress is None:
            from ._progress import Progress

            self._progress = Progress()
        self._background, self._background_error = threading.Event(), None
        # Within the context of the cell: by it a kernel tells whose messages these are, and where answers to them go.
        begin, work = copy_context().run, (self._train, view, self._background)
        self._background_thread = threading.Thread(target=begin, args=work, name="lora-trainer-live", daemon=True)
        self._background_thread.start()
        return view

    def wait(self, timeout: float | None = None) -> History:
        """Waits for the end of a training that `live` has begun, and raises what has ended it, if it was an exception.

        Ctrl-C and a notebook's stop button end the training as `stop` does. The Stop button of the view is not heard by a kernel that waits
        here: its messages come when the cell is over.

        Args:
            timeout: Seconds after which a TimeoutError is raised; the training goes on.
        """
        if self._background_thread is threading.current_thread():
            raise TrainingError("a callback can't wait for the training that calls it")
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
            if self._background_error is not None:
                raise self._background_error
        return self.history

    def close(self) -> None:
        """Ends the run after the step that it is at and frees its memory. Only a training in the background is saved before."""
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
        if error is not None:
            self._rescue(error)
            try:
                self.close()
            except Exception as further:
                # The first one is what the caller has to know.
                logger.error("%s", further, exc_info=further)
            return
        try:
            self.wait()
            self._keep()
        finally:
            self.close()

    def _train(self, view: LiveView | None, over: threading.Event) -> None:
        """The background's life."""
        try:
            for event in Events(self._advance):
                if view is not None:
                    view.show(event)
        except BaseException as error:
            self._background_error = error
            self._rescue(error)
            logger.error("the training ended: %s", error, exc_info=error)
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
            self._claim()
            if self.step == 0:
                logger.info("stopped before the first step; nothing was saved")
            self._keep()
            self._end()
            return None
        event = self.next_event()
        if event is None:
            self._end()
        else:
            self._tell(event)
        return event

    def _claim(self) -> None:
        """Tells of the step that an interruption came in: it belongs to what is saved next."""
        event = self.claim_event()
        if event is not None:
            self._tell(event)

    def _keep(self) -> None:
        """Saves what was learned since the last file, as the program does when it is stopped."""
        if self.is_complete or self.is_closed or self.step <= self._saved_step:
            return
        saved = self._save(None, None)
        logger.info("after step %d, saved %s", saved.step, saved.path)
        self._call("on_save", saved)

    def _save(self, path: str | PathLike[str] | None, precision: Literal["fp16", "bf16", "float"] | None) -> Saved:
        written = super().save(path, precision=precision)
        saved = Saved._restore(written, self.step)
        self._saved_step = self.step
        self.history.add(saved)
        return saved

    def _tell(self, event: Event) -> None:
        self.history.add(event)
        if self._progress is not None:
            self._progress.show(event)
        match event:
            case RunPlan():
                self._call("on_train_begin", event)
            case Step():
                self._call("on_step", event)
            case EpochEnd():
                self._call("on_epoch", event)
            case Preview():
                self._call("on_sample", event)
            case Saved(path=path, step=step):
                self._saved_step = step
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
            if method == "on_train_begin":
                self._begun.append(callback)
            self._call_one(callback, method, event)

    def _call_one(self, callback: object, method: str, event: object) -> None:
        called: Callable[[Trainer, object], object] | None = getattr(callback, method, None)
        answer = None if called is None else called(self, event)
        if answer == "stop":
            self.stop()
        elif answer is not None:
            logger.warning('%s of %r returned %r; only "stop" means something', method, callback, answer)

    def _end(self) -> None:
        """Once, when nothing more is trained: all callbacks that have begun are told, whatever one of them does."""
        if self._is_ended:
            return
        self._is_ended = True
        if self._progress is not None:
            self._progress.close()
        begun, self._begun = self._begun, []
        first: Exception | None = None
        for callback in begun:
            try:
                self._call_one(callback, "on_train_end", self.history)
            except Exception as error:
                if first is not None:
                    logger.error("%s", error, exc_info=error)
                first = first or error
        if first is not None:
            raise first

    def _rescue(self, error: BaseException) -> None:
        """Keeps what was learned before an exception that has not done so itself, and tells it where."""
        if isinstance(error, LossNotFiniteError):
            self.history.path = error.path
        elif not self.is_closed:
            try:
                self._claim()
                self._keep()
            except Exception as further:
                logger.error("after %r: %s", error, further, exc_info=further)
        self._describe(error)

    def _describe(self, error: BaseException) -> None:
        """Puts `path` and `history` on an exception."""
        self.history.error = error
        for name, value in (("path", self.history.path), ("history", self.history)):
            if getattr(error, name, None) is None:
                try:
                    setattr(error, name, value)
                except AttributeError:
                    # An exception of somebody else, without room for it.
                    pass
