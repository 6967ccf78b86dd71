"""The trainer of notebooks and scripts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, final

from . import _core
from ._callbacks import Callbacks, collect
from ._core import (
    Deleted,
    EpochEnd,
    Event,
    Preview,
    RunPlan,
    Saved,
    Step,
    Summary,
    TrainConfig,
    Warning,
)
from ._figures import plural
from ._history import History
from ._iteration import Events, Steps
from .errors import LossNotFiniteError, TrainingError

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from PIL.Image import Image
    from typing_extensions import Self

    from ._core import ImageSource, Sampler, SavePrecision
    from ._generate import ImageSettings
    from ._live import LiveView
    from ._progress import Progress

logger = logging.getLogger("lora_trainer")


@final
class Trainer(_core.Trainer):
    """A training run. Iterate over it to train; every item is a `Step`.

    The constructor reads and checks everything: options, images, base model. Training runs on its
    own thread; each iteration asks it for one step. Ctrl-C and a notebook's stop button raise
    KeyboardInterrupt at once; you can then save the LoRA, generate images or resume iterating.

    Use it as a context manager to free its memory at the end. If the block is left early, by an
    exception or by `break`, the LoRA is saved first; the exception then has the attributes `path`
    and `history`.

    Args:
        config: The options.
        data: More images, in addition to those of the options: a list of `(image, caption)`.
            Each image is a path, a `PIL.Image` or an array `[h, w, 3 or 4]` of `uint8`.
        callbacks: Objects with some of the methods of `Callback`.
        log_with: Loggers by name: "wandb", "mlflow" or "trackio".
        progress: Show a progress bar.

    Attributes:
        history: The events so far.

    >>> with lt.Trainer(config) as trainer:
    ...     for step in trainer:
    ...         if step.step == 2:
    ...             image = trainer.generate("a photo of a cat", seed=1, num_inference_steps=2)
    >>> image.size, len(trainer.history)
    ((64, 64), 4)
    """

    history: History
    _callbacks: Callbacks
    _progress: Progress | None
    _background: threading.Event | None
    """Set when training in the background has ended. An interrupted `Thread.join` would not show
    it."""
    _background_thread: threading.Thread | None
    _background_error: BaseException | None
    _stop_requested: threading.Event
    _saved_step: int
    _is_ended: bool

    def __new__(
        cls,
        config: TrainConfig,
        *,
        data: Iterable[tuple[ImageSource, str]] | None = None,
        callbacks: Iterable[object] = (),
        log_with: str | Iterable[str] | None = None,
        progress: bool = False,
    ) -> Self:
        from ._progress import Progress

        collected = collect(callbacks, log_with)
        self = super().__new__(cls, config, data=data)
        self.history = History()
        self._callbacks = Callbacks(collected)
        self._progress = Progress() if progress else None
        self._background = self._background_thread = self._background_error = None
        self._stop_requested = threading.Event()
        self._saved_step = 0
        self._is_ended = False
        return self

    def __init_subclass__(cls) -> None:
        raise TypeError("Trainer cannot be subclassed; use callbacks instead")

    def __iter__(self) -> Iterator[Step]:
        """Returns the remaining updates. Each is computed when it is requested."""
        return Steps(self.events())

    def events(self) -> Iterator[Event]:
        """Returns all further events, of all classes."""
        return Events(self._next_in_foreground)

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        num_inference_steps: int = 30,
        guidance_scale: float = 7.5,
        seed: int | None = None,
        sampler: Sampler | None = None,
        multiplier: float = 1.0,
    ) -> Image:
        """Generates an image with the current LoRA.

        The same prompt, seed and LoRA give the same image.

        Args:
            prompt: The prompt, with weights such as `(cat:1.2)`.
            negative_prompt: The negative prompt.
            width: The width in pixels, a multiple of 8. Default: the training resolution.
            height: The height in pixels, a multiple of 8. Default: the training resolution.
            num_inference_steps: The number of sampling steps.
            guidance_scale: The scale of classifier-free guidance. Values up to 1 disable the
                guidance and the negative prompt.
            seed: The seed of the noise. Default: the seed of the first preview.
            sampler: The sampler. Default: the option `sample_sampler`.
            multiplier: The multiplier of the LoRA; 0 generates with the base model alone.
        """
        settings: ImageSettings = {
            "negative_prompt": negative_prompt,
            "width": width,
            "height": height,
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
            "seed": seed,
            "sampler": sampler,
        }
        return self._generate(prompt, settings, multiplier)

    def save(
        self, path: str | PathLike[str] | None = None, *, precision: SavePrecision | None = None
    ) -> Path:
        """Saves the current LoRA and returns the path of the file.

        Args:
            path: The file. Default: in the output folder, with the output name and the step.
            precision: "fp16", "bf16" or "float". Default: the option `save_precision`.
        """
        return self._save(path, precision).path

    def stop(self) -> None:
        """Ends training after the current step and saves the LoRA. Can be called on any thread."""
        self._stop_requested.set()

    @property
    def is_stopping(self) -> bool:
        """True if `stop` was called and training has not ended yet."""
        return self._stop_requested.is_set() and not self._is_ended

    @property
    def is_in_background(self) -> bool:
        """True while training that `live` started is running."""
        return self._background is not None and not self._background.is_set()

    def live(self) -> LiveView | None:
        """Trains in the background and shows a live view with a Stop button.

        The view shows losses, learning rate, speed, memory and previews. The call returns at once,
        so the notebook stays usable. Display the view as the last value of a cell or with
        `display`. Without anywidget or outside notebooks, a progress bar is shown instead. Use
        `wait` to wait for the end; if the process ends earlier, unsaved steps are lost.
        """
        from ._live import make_view

        if self.is_in_background:
            raise TrainingError("this trainer is already training in the background")
        if self.is_closed:
            raise TrainingError("the trainer is closed; make a new one")
        view = make_view(self)
        if view is None and self._progress is None:
            from ._progress import Progress

            self._progress = Progress()
        self._background, self._background_error = threading.Event(), None
        # The kernel uses the context of the cell to route messages and the answers to them.
        target, arguments = copy_context().run, (self._train, view, self._background)
        self._background_thread = threading.Thread(
            target=target, args=arguments, name="lora-trainer-live", daemon=True
        )
        self._background_thread.start()
        return view

    def wait(self, timeout: float | None = None) -> History:
        """Waits for the end of training that `live` started. Raises the exception that ended it.

        Ctrl-C and a notebook's stop button end training like `stop`. The Stop button of the view
        has no effect while a cell waits here: the kernel handles its messages after the cell.

        Args:
            timeout: Seconds after which TimeoutError is raised. Training continues.
        """
        if self._background_thread is threading.current_thread():
            raise TrainingError("a callback cannot wait for the training run that calls it")
        if self._background is not None:
            try:
                has_ended = self._background.wait(timeout)
            except KeyboardInterrupt as interrupt:
                self.stop()
                self._background.wait()
                self._attach_to(interrupt)
                raise
            if not has_ended:
                raise TimeoutError(f"training is still running after {timeout} s")
            if self._background_error is not None:
                raise self._background_error
        return self.history

    def close(self) -> None:
        """Ends the run after the current step and frees its memory.

        The LoRA is saved first only if training runs in the background.
        """
        is_callback = self._background_thread is threading.current_thread()
        if self._background is not None and self.is_in_background and not is_callback:
            self.stop()
            self._background.wait()
        super().close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._save_after(error)
            try:
                self.close()
            except Exception as second:
                # The caller gets the first exception.
                logger.error("%s", second, exc_info=second)
            return
        try:
            self.wait()
            self._save_progress()
        finally:
            self.close()

    def _train(self, view: LiveView | None, ended: threading.Event) -> None:
        """Trains to the end, on the background thread."""
        try:
            for event in Events(self._advance):
                if view is not None:
                    view.show(event)
        except BaseException as error:
            self._background_error = error
            self._save_after(error)
            logger.error("training failed: %s", error, exc_info=error)
        finally:
            if view is not None:
                view.end(self._background_error)
            ended.set()

    def _next_in_foreground(self) -> Event | None:
        if self.is_in_background:
            raise TrainingError(
                "this trainer is training in the background; use `wait` to wait for its end or"
                " `stop` to end it"
            )
        return self._advance()

    def _advance(self) -> Event | None:
        """Returns the next event after it has been handled; `None` at the end."""
        if self._is_ended and self._stop_requested.is_set():
            return None
        if self._stop_requested.is_set() and not self.is_complete:
            self._handle_interrupted_event()
            if self.step == 0:
                logger.info("stopped before the first step; nothing was saved")
            self._save_progress()
            self._end()
            return None
        event = self.next_event()
        if event is None:
            self._end()
        else:
            self._handle(event)
        return event

    def _handle_interrupted_event(self) -> None:
        """Handles the step that Ctrl-C interrupted: the next saved file includes it."""
        event = self.claim_event()
        if event is not None:
            self._handle(event)

    def _save_progress(self) -> None:
        """Saves the LoRA if there were steps since the last file."""
        if self.is_complete or self.is_closed or self.step <= self._saved_step:
            return
        saved = self._save(None, None)
        logger.info("saved %s after step %d", saved.path, saved.step)
        self._callbacks.call("on_save", self, saved)

    def _save(self, path: str | PathLike[str] | None, precision: SavePrecision | None) -> Saved:
        written = super().save(path, precision=precision)
        saved = Saved._restore(written, self.step)
        self._saved_step = self.step
        self.history.add(saved)
        return saved

    def _handle(self, event: Event) -> None:
        self.history.add(event)
        if self._progress is not None:
            self._progress.show(event)
        match event:
            case RunPlan():
                self._callbacks.call("on_train_begin", self, event)
            case Step():
                self._callbacks.call("on_step", self, event)
            case EpochEnd():
                self._callbacks.call("on_epoch", self, event)
            case Preview():
                self._callbacks.call("on_preview", self, event)
            case Saved(path=path, step=step):
                self._saved_step = step
                logger.info("saved %s", path)
                self._callbacks.call("on_save", self, event)
            case Deleted(path=path):
                logger.info("deleted %s", path)
            case Warning(message=message):
                logger.warning("%s", message)
            case Summary(steps=steps, seconds=seconds):
                logger.info("%s in %.0f s", plural(steps, "step"), seconds)
            case _:
                logger.debug("%r", event)

    def _end(self) -> None:
        """Ends the progress bar and the callbacks, once."""
        if self._is_ended:
            return
        self._is_ended = True
        if self._progress is not None:
            self._progress.close()
        self._callbacks.end(self)

    def _save_after(self, error: BaseException) -> None:
        """Saves the LoRA after an exception, unless that has been done, and adds its path to it."""
        if isinstance(error, LossNotFiniteError):
            self.history.path = error.path
        elif not self.is_closed:
            try:
                self._handle_interrupted_event()
                self._save_progress()
            except Exception as second:
                logger.error("after %r: %s", error, second, exc_info=second)
        self._attach_to(error)

    def _attach_to(self, error: BaseException) -> None:
        """Adds the attributes `path` and `history` to an exception."""
        self.history.error = error
        for name, value in (("path", self.history.path), ("history", self.history)):
            if getattr(error, name, None) is None:
                try:
                    setattr(error, name, value)
                except AttributeError:
                    # Exceptions of other packages may have no room for it.
                    pass
