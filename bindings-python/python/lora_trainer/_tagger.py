"""Taggers, which give each tag that they know a probability."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from . import _core

if TYPE_CHECKING:
    from ._core import ImageSource, TaggerStyle


class Tagger:
    """A tagger, which gives each tag that it knows a probability.

    Args:
        model: The tagger: its folder or `.onnx` file, a name such as `wd-vit-v3`, or `OWNER/NAME`
            on the Hugging Face Hub. Names are looked for in `$LORA_TRAINER_MODELS`, in the folder
            `wd14_tagger_model` and in the cache of the Hub.
        runtime: The program that runs it: "rten", which is included, or "onnxruntime", which needs
            a build with the feature `ort`.
        onnxruntime: Run it by this libonnxruntime. Default: `$ORT_DYLIB_PATH`.
        threads: The number of threads. Default: one per processor.
        download: Download it if it is not found. Needs a build with the feature `hub`.

    Attributes:
        path: The file of the model.
        kind: The kind: "wd" or "cl".
        side: The width and height of its input in pixels.
        fixed_batch: The number of images per batch, if the file fixes it.
        tag_count: The number of tags that it knows.

    >>> tagger = lt.Tagger(tagger_folder)
    >>> tagger.kind, tagger.side, tagger.tag_count
    ('wd', 448, 52)
    >>> scores = tagger(f"{config.train_data_dir}/banana.png")
    >>> list(scores), max(scores["rating"], key=scores["rating"].get)
    (['rating', 'general', 'character'], 'general')
    """

    path: Path
    kind: str
    side: int
    fixed_batch: int | None
    tag_count: int
    _loaded: _core.LoadedTagger

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        runtime: Literal["rten", "onnxruntime"] = "rten",
        onnxruntime: str | PathLike[str] | None = None,
        threads: int | None = None,
        download: bool = False,
    ) -> None:
        self._loaded = _core.LoadedTagger(model, runtime, onnxruntime, threads, download)
        self.path = self._loaded.path
        self.kind = self._loaded.kind
        self.side = self._loaded.side
        self.fixed_batch = self._loaded.fixed_batch
        self.tag_count = self._loaded.tag_count

    @overload
    def __call__(  # type: ignore[overload-overlap]  # A str is a path, not a sequence.
        self, image: ImageSource, style: TaggerStyle = "sd-trainer"
    ) -> dict[str, dict[str, float]]: ...
    @overload
    def __call__(
        self, image: Sequence[ImageSource], style: TaggerStyle = "sd-trainer"
    ) -> list[dict[str, dict[str, float]]]: ...
    def __call__(
        self, image: ImageSource | Sequence[ImageSource], style: TaggerStyle = "sd-trainer"
    ) -> dict[str, dict[str, float]] | list[dict[str, dict[str, float]]]:
        """Returns the probabilities of all tags by category, in the order of the tagger.

        Transparent images are blended over white, and the Exif orientation is applied.

        Args:
            image: A path, a `PIL.Image` or an array `[h, w, 3 or 4]` of `uint8`. A list gives a
                list.
            style: The program whose way of resizing images is used: "sd-trainer" pads small images
                for WD taggers, "sd-scripts" upsamples them.
        """
        if isinstance(image, (list, tuple)):
            return [
                self._loaded.scores(each, style, f"image[{index}]")
                for index, each in enumerate(image)
            ]
        return self._loaded.scores(image, style, "image")  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<Tagger {self.path}: {self.kind}, {self.tag_count} tags>"
