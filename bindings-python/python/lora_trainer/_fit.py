"""Training in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._trainer import Trainer

if TYPE_CHECKING:
    from ._core import ImageSource, TrainConfig
    from ._history import History


def fit(
    config: TrainConfig,
    *,
    data: Iterable[tuple[ImageSource, str]] | None = None,
    callbacks: Iterable[object] = (),
    log_with: str | Iterable[str] | None = None,
    progress: bool = True,
) -> History:
    """Trains to the end and returns the history of the run.

    Ctrl-C and a notebook's stop button save the LoRA and raise KeyboardInterrupt with the
    attributes `path` and `history`.

    Args:
        config: The options.
        data: More images, in addition to those of the options: a list of `(image, caption)`.
            Each image is a path, a `PIL.Image` or an array `[h, w, 3 or 4]` of `uint8`.
        callbacks: Objects with some of the methods of `Callback`.
        log_with: Loggers by name: "wandb", "mlflow" or "trackio".
        progress: Show a progress bar.

    >>> history = lt.fit(config, progress=False)
    >>> len(history.losses), history.path.name
    (4, 'last.safetensors')
    """
    with Trainer(
        config, data=data, callbacks=callbacks, log_with=log_with, progress=progress
    ) as trainer:
        for _ in trainer.events():
            pass
        return trainer.history
