"""Captions for a folder of images, by a tagger."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import _core
from ._figures import duration, plural
from ._progress import Progress
from ._tagger import Tagger
from .errors import _config_error, _wrong_argument

if TYPE_CHECKING:
    from ._core import TaggerStyle

logger = logging.getLogger("lora_trainer")


class TagResult:
    """The result of `tag_folder`.

    Attributes:
        images: The number of tagged images.
        skipped: The number of images that already had a caption and were left out.
        failed: The images that could not be tagged, each with the reason.
        frequency: How often each tag was written, the most frequent first.
        captions: The captions by image.
    """

    def __init__(self, run: _core.TagRun, separator: str) -> None:
        self.skipped = run.skipped
        self.failed: list[tuple[Path, str]] = []
        self.frequency = dict(run.frequency)
        self.captions: dict[Path, str] = {}
        self._separator = separator
        for image, caption, reason in run.images:
            if caption is None:
                self.failed.append((image, reason or ""))
            else:
                self.captions[image] = caption
        self.images = len(self.captions)

    def tags(self, image: Path) -> list[str]:
        """Returns the tags of an image of `captions`."""
        tags = self.captions[image].split(self._separator.strip())
        return [tag.strip() for tag in tags if tag.strip()]

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<TagResult: tagged {plural(self.images, 'image')}, skipped {self.skipped}{failed}>"

    def _repr_html_(self) -> str:
        from ._caption_views import tag_result_html

        return tag_result_html(self)


def tag_folder(
    folder: str | PathLike[str],
    tagger: Tagger | str | PathLike[str] | None = None,
    *,
    style: TaggerStyle | None = None,
    compat: TaggerStyle | None = None,
    threshold: float = 0.35,
    general_threshold: float | None = None,
    character_threshold: float | None = None,
    copyright_threshold: float | None = None,
    artist_threshold: float | None = None,
    meta_threshold: float | None = None,
    model_threshold: float | None = None,
    exclude_category: str | Iterable[str] = (),
    add_rating_tag: bool = False,
    use_rating_tags: bool = False,
    use_rating_tags_as_last_tag: bool = False,
    use_quality_tags: bool = False,
    use_quality_tags_as_last_tag: bool = False,
    add_model_tag: bool | None = None,
    additional_tags: str | Iterable[str] = (),
    exclude_tags: str | Iterable[str] = (),
    character_tags_first: bool = False,
    always_first_tags: str | Iterable[str] = (),
    replace_underscore: bool | None = None,
    replace_underscore_excludes: str | Iterable[str] | None = None,
    remove_underscore: bool | None = None,
    escape_tag: bool | None = None,
    tag_replacement: str | Mapping[str, str] = "",
    character_tag_expand: bool = False,
    caption_separator: str = ", ",
    on_conflict: Literal["ignore", "copy", "prepend", "append"] = "ignore",
    recursive: bool = False,
    caption_extension: str = ".txt",
    output_dir: str | PathLike[str] | None = None,
    output_path: str | PathLike[str] | None = None,
    scores: bool = False,
    from_scores: bool = False,
    dry_run: bool = False,
    batch: int = 1,
    workers: int | None = None,
    progress: bool = True,
) -> TagResult:
    """Writes captions for a folder of images.

    The options have the names and defaults of the command `tag`, which are those of SD-Trainer and
    sd-scripts. Lists of tags may be texts with commas. Images that cannot be tagged are in the
    result and do not stop the run. Ctrl-C and a notebook's stop button end it after the image in
    progress and raise KeyboardInterrupt with the attribute `result`; the captions until then are
    kept, and the next run continues with the others. `Captions.undo` restores replaced captions.

    Args:
        folder: The folder.
        tagger: A `Tagger`, or the model of one.
        style: The program whose rules and defaults hold where they differ: "sd-trainer" (default)
            or "sd-scripts".
        compat: Reproduce the faults of this program, and its style.
        threshold: The least probability of a tag.
        general_threshold: The threshold of general tags. Default: `threshold`.
        character_threshold: The threshold of characters. Default: 0.6, or `threshold` in the style
            of sd-scripts.
        copyright_threshold: The threshold of series. Default: `threshold`.
        artist_threshold: The threshold of artists. Default: `threshold`.
        meta_threshold: The threshold of meta tags. Default: `threshold`.
        model_threshold: The threshold of generative models. Default: `threshold`.
        exclude_category: Categories that are not written: "rating", "quality", "general",
            "character", "copyright", "artist", "meta", "model".
        add_rating_tag: Write the most probable rating, by its probability.
        use_rating_tags: Write the most probable rating, first.
        use_rating_tags_as_last_tag: Write the most probable rating, last.
        use_quality_tags: Write the most probable quality tag, first.
        use_quality_tags_as_last_tag: Write the most probable quality tag, last.
        add_model_tag: Write tags of generative models. Default: only in the style of sd-scripts.
        additional_tags: Tags that are added to every caption.
        exclude_tags: Tags that are never written.
        character_tags_first: Write characters before other tags.
        always_first_tags: Tags that are moved to the front if present.
        replace_underscore: Write underscores as spaces. Default: only in the style of SD-Trainer.
        replace_underscore_excludes: Tags that keep their underscores. Default: emoticons.
        remove_underscore: Write underscores as spaces in tags of more than three characters.
        escape_tag: Put a backslash before brackets and backslashes. Default: only in the style of
            SD-Trainer.
        tag_replacement: Replaced tags: a dict, or a text such as "old,new;old,new".
        character_tag_expand: Write `name_(series)` of a character as two tags.
        caption_separator: The text between tags.
        on_conflict: What happens to an image that has a caption: it is skipped ("ignore"), its
            caption is replaced ("copy"), or tags are added before or after it ("prepend",
            "append").
        recursive: Tag images in subfolders, too.
        caption_extension: The extension of caption files.
        output_dir: Write caption files into this folder.
        output_path: Write all captions into this file: `.jsonl`, or `.json` for `in_json`.
        scores: Write the probabilities of each image to `NAME.tags.json`, for `from_scores`.
        from_scores: Take the probabilities from these files instead of a tagger.
        dry_run: Write nothing.
        batch: The number of images per batch. A model whose file fixes the batch takes that.
        workers: The number of threads that decode images. Default: one per processor, at most 4.
        progress: Show a progress bar.

    >>> result = lt.tag_folder(config.train_data_dir, tagger_folder, threshold=0.9,
    ...                        on_conflict="append", progress=False)
    >>> result
    <TagResult: tagged 3 images, skipped 0>
    """
    keywords = dict(locals())
    for name in ("folder", "tagger", "from_scores", "progress"):
        del keywords[name]
    loaded = _source(tagger, from_scores, scores)
    run = _core.TagRun(folder, loaded, keywords)
    for warning in run.warnings:
        logger.warning("%s", warning)
    bar = Progress() if progress else None
    try:
        _wait(run, bar)
    except KeyboardInterrupt as interrupt:
        run.stop()
        _wait(run, None)
        interrupt.result = TagResult(run, caption_separator)  # type: ignore[attr-defined]
        raise
    finally:
        if bar is not None:
            bar.close()
    return TagResult(run, caption_separator)


def _source(
    tagger: Tagger | str | PathLike[str] | None, from_scores: bool, scores: bool
) -> _core.LoadedTagger | None:
    """Returns the tagger; `None` if the probabilities come from files."""
    if from_scores:
        for name, value in (("tagger", tagger), ("scores", scores or None)):
            if value is not None:
                problem = f"found {value!r} and from_scores, expected one of them"
                raise _config_error(name, problem, f"leave out {name}")
        return None
    if tagger is None:
        expected = 'a Tagger, a model such as "wd-vit-v3", or from_scores=True'
        raise _wrong_argument("tagger", tagger, expected)
    return (tagger if isinstance(tagger, Tagger) else Tagger(tagger))._loaded


def _wait(run: _core.TagRun, bar: Progress | None) -> None:
    """Waits for the end of a run."""
    started, total = time.monotonic(), run.remaining
    for done in iter(run.next_image, None):
        if bar is not None:
            speed = done / max(time.monotonic() - started, 1e-9)
            text = f"{speed:.2f} images/s, {duration((total - done) / speed)} left"
            bar.advance("images", done, total, text)
