"""The captions of a folder of images, and their changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _core
from ._caption_changes import CaptionChanges, MovedFiles
from ._core import CaptionCommand, CaptionEdit, CaptionEntry, UndoneCommand
from ._figures import plural
from .errors import _config_error, _wrong_argument

if TYPE_CHECKING:
    from pandas import DataFrame

logger = logging.getLogger("lora_trainer")


class CaptionStats(dict[str, Any]):
    """The figures of captions, as the command `captions stats` reports them: a dict.

    `images` is the number of images, `tags` the number of captions by tag, `tokens` the length of
    captions in CLIP tokens (`captions`, `median`, `longest`, `longest_caption`, and `longer_than`
    with the caption files above 75, 150 and 225 tokens). `without_caption`, `empty_captions`,
    `orphaned_captions`, `duplicate_images` and `repeated_tags` have the files with such problems.
    """

    def _repr_html_(self) -> str:
        from ._caption_views import stats_html

        return stats_html(self)


class Captions(Sequence[CaptionEntry]):
    """The images of a folder with their captions: a sequence of `CaptionEntry`.

    The captions are read at first and again by each filter, change and `stats`. All changes are
    recorded in the folder and can be undone, also those of the command line. Tags may be a list or
    a text with separators.

    Args:
        folder: The folder.
        recursive: Include subfolders.
        caption_extension: The extension of caption files.
        caption_separator: The text between tags.

    >>> captions = lt.Captions(config.train_data_dir)
    >>> captions[1].tags
    ['banana', 'blueprint style']
    >>> captions.filter(with_="b*").replace("blueprint style", "blueprint")
    <CaptionChanges: changed 3 of 3 captions>
    >>> captions.undo().restored
    3
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        recursive: bool = False,
        caption_extension: str = ".txt",
        caption_separator: str = ",",
    ) -> None:
        self._native = _core.CaptionFolder(folder, recursive, caption_extension, caption_separator)
        self._images: set[Path] | None = None
        for warning in self._native.warnings:
            logger.warning("%s", warning)
        for problem in self._native.problems:
            logger.warning("left out: %s", problem)

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._native.folder

    @property
    def problems(self) -> list[str]:
        """The reasons why the captions of some images cannot be read; these images are left out."""
        return self._native.problems

    def __len__(self) -> int:
        return len(self._native.entries(self._images))

    def __iter__(self) -> Iterator[CaptionEntry]:
        return iter(self._native.entries(self._images))

    @overload
    def __getitem__(self, index: int) -> CaptionEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[CaptionEntry]: ...
    def __getitem__(self, index: int | slice) -> CaptionEntry | list[CaptionEntry]:
        return self._native.entries(self._images)[index]

    def reload(self) -> None:
        """Reads the captions again, after another program has changed them."""
        self._native.reload()

    def filter(
        self,
        *,
        with_: str | Iterable[str] = (),
        without: str | Iterable[str] = (),
        with_regex: str | Iterable[str] = (),
        without_regex: str | Iterable[str] = (),
        missing: bool = False,
        images: str | Iterable[str] = (),
        any: bool = False,
    ) -> Captions:
        """Returns the images whose captions meet all conditions now.

        Changes of the result affect only its images, and it keeps them if their captions change.

        Args:
            with_: Captions with this tag, a literal tag or a glob such as "* hair".
            without: Captions without this tag.
            with_regex: Captions with a tag that matches this regular expression.
            without_regex: Captions without such a tag.
            missing: Images without a caption.
            images: Images whose name, or path in the folder, matches this glob.
            any: One of `with_`, `with_regex` and `missing` is enough.
        """
        conditions = {
            "with_": _texts("with_", with_),
            "without": _texts("without", without),
            "with_regex": _texts("with_regex", with_regex),
            "without_regex": _texts("without_regex", without_regex),
            "missing": missing,
            "images": _texts("images", images),
            "any": any,
        }
        chosen = object.__new__(Captions)
        chosen._native = self._native
        chosen._images = set(self._native.select(self._images, conditions))
        return chosen

    def add(
        self,
        tags: str | Iterable[str],
        *,
        first: bool = False,
        at: int | None = None,
        dry_run: bool = False,
    ) -> CaptionChanges:
        """Adds tags that a caption does not have; images without a caption get one.

        Args:
            tags: The tags.
            first: Add them before the other tags. Default: after them.
            at: Add them as the tag of this number, counted from 1.
            dry_run: Return the changes without making them.
        """
        edit = CaptionEdit.add(_list(tags), self._native.separator, first, at)
        return self._edit(edit, dry_run, _call("add", tags, first=first, at=at))

    def remove(self, tags: str | Iterable[str], *, dry_run: bool = False) -> CaptionChanges:
        """Removes tags.

        Args:
            tags: The tags.
            dry_run: Return the changes without making them.
        """
        edit = CaptionEdit.remove(_list(tags), self._native.separator)
        return self._edit(edit, dry_run, _call("remove", tags))

    def replace(
        self, old: str, new: str, *, regex: bool = False, text: bool = False, dry_run: bool = False
    ) -> CaptionChanges:
        """Replaces a tag, or text.

        Args:
            old: The tag to replace; with `text` any part of the caption.
            new: The new tag or text; an empty text removes.
            regex: `old` is a regular expression for any part of a tag or text. In `new`, `$1` is a
                group.
            text: Search the whole text of captions, not tag by tag.
            dry_run: Return the changes without making them.
        """
        edit = CaptionEdit.replace(old, new, regex, text)
        return self._edit(edit, dry_run, _call("replace", old, new, regex=regex, text=text))

    def sort(
        self,
        by: Literal["alphabet", "frequency", "score", "length"],
        *,
        reverse: bool = False,
        keep: int = 0,
        dry_run: bool = False,
    ) -> CaptionChanges:
        """Sorts the tags of each caption.

        Args:
            by: The order: by letters, the most frequent first, the best score first (the files of
                `tag_folder` with `scores=True`), or the shortest first.
            reverse: Reverse the order.
            keep: The number of first tags that stay in place.
            dry_run: Return the changes without making them.
        """
        edit = CaptionEdit.sort(by, reverse, keep)
        return self._edit(edit, dry_run, _call("sort", by, reverse=reverse, keep=keep))

    def dedupe(self, *, dry_run: bool = False) -> CaptionChanges:
        """Removes tags that a caption has twice.

        Args:
            dry_run: Return the changes without making them.
        """
        return self._edit(CaptionEdit.dedupe(), dry_run, _call("dedupe"))

    def truncate(self, tokens: int, *, dry_run: bool = False) -> CaptionChanges:
        """Removes tags at the end of captions that have too many CLIP tokens.

        Args:
            tokens: The most tokens: 75, or 150 or 225 for a higher `max_token_length`.
            dry_run: Return the changes without making them.
        """
        return self._edit(CaptionEdit.truncate(tokens), dry_run, _call("truncate", tokens))

    def move_first(self, tags: str | Iterable[str], *, dry_run: bool = False) -> CaptionChanges:
        """Moves tags to the front of the captions that have them.

        Args:
            tags: The tags, in their new order.
            dry_run: Return the changes without making them.
        """
        edit = CaptionEdit.move_first(_list(tags), self._native.separator)
        return self._edit(edit, dry_run, _call("move_first", tags))

    def _edit(self, edit: CaptionEdit, dry_run: bool, command: str) -> CaptionChanges:
        changes, considered, unknown_tags, too_long = self._native.edit(
            edit, self._images, None if dry_run else command
        )
        return CaptionChanges(
            changes,
            considered,
            dry_run=dry_run,
            unknown_tags=unknown_tags,
            too_long=too_long,
            separator=self._native.separator,
        )

    def move(self, destination: str | PathLike[str], *, dry_run: bool = False) -> MovedFiles:
        """Moves images with their captions and scores into another folder.

        Args:
            destination: The folder, which is created if it is missing.
            dry_run: Return the files without moving them.
        """
        command = None if dry_run else _call("move", fspath(destination))
        files = self._native.relocate(self._images, Path(destination), command)
        return MovedFiles(files, dry_run=dry_run)

    def delete(self, *, dry_run: bool = False) -> MovedFiles:
        """Deletes images with their captions and scores; `undo` restores them.

        Args:
            dry_run: Return the files without deleting them.
        """
        if self._images is None:
            expected = 'a filter; filter(images="*") chooses all images'
            raise _config_error("delete", f"found no filter, expected {expected}", expected)
        files = self._native.relocate(self._images, None, None if dry_run else _call("delete"))
        return MovedFiles(files, dry_run=dry_run)

    def import_(
        self,
        file: str | PathLike[str] | None = None,
        *,
        from_file_names: bool = False,
        field: Literal["caption", "tags"] | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
    ) -> CaptionChanges:
        """Writes captions from sd-scripts' JSON metadata (`in_json`), or from file names.

        Args:
            file: The JSON file; its keys are the paths of images.
            from_file_names: The name of each image, without its extension, is its caption.
            field: The field with the caption. Default: caption and tags, joined.
            overwrite: Replace existing captions.
            dry_run: Return the changes without making them.
        """
        if (file is None) != from_file_names:
            raise _wrong_argument("file", file, "either a JSON file or from_file_names=True")
        path = None if file is None else Path(file)
        given = {"from_file_names": from_file_names, "field": field, "overwrite": overwrite}
        words = [] if file is None else [fspath(file)]
        changes, kept, without_entry, other_entries = self._native.import_captions(
            self._images,
            path,
            field,
            overwrite,
            None if dry_run else _call("import_", *words, **given),
        )
        return CaptionChanges(
            changes,
            len(self),
            dry_run=dry_run,
            kept=kept,
            without_entry=without_entry,
            other_entries=other_entries,
            separator=self._native.separator,
        )

    def export(
        self,
        file: str | PathLike[str],
        *,
        field: Literal["caption", "tags"] = "caption",
        force: bool = False,
    ) -> int:
        """Writes the captions into sd-scripts' JSON metadata and returns their number.

        Args:
            file: The JSON file to write.
            field: The field for the captions.
            force: Replace an existing file.
        """
        return self._native.export_captions(self._images, Path(file), field, force)

    def undo(self) -> UndoneCommand:
        """Undoes the last change of the folder; the next call undoes the one before it.

        Files that were changed since are left as they are, with a warning.
        """
        undone = self._native.undo()
        if undone.kept:
            changed = plural(len(undone.kept), "file")
            left = "left as it is" if len(undone.kept) == 1 else "left as they are"
            earlier = ", ".join(fspath(file) for file in undone.earlier)
            note = f"; the content before `{undone.command}` is in {earlier}" if earlier else ""
            logger.warning("%s changed since, %s%s", changed, left, note)
        return undone

    def history(self) -> list[CaptionCommand]:
        """Returns the commands that can be undone, the newest first."""
        return self._native.history()

    def clear_history(self) -> None:
        """Deletes the history. Nothing can be undone afterwards."""
        self._native.clear_history()

    def stats(self) -> CaptionStats:
        """Returns the figures of the captions, such as missing captions, tags and tokens."""
        return CaptionStats(self._native.stats(self._images))

    def to_pandas(self) -> DataFrame:
        """Returns a table with the columns `image`, `file`, `caption` and `tags`."""
        import pandas

        rows = [(entry.image, entry.file, entry.text, entry.tags) for entry in self]
        columns = ["image", "file", "caption", "tags"]
        table: DataFrame = pandas.DataFrame(rows, columns=columns)
        return table

    def __repr__(self) -> str:
        chosen = "" if self._images is None else ", filtered"
        return f"<Captions {self.folder}: {plural(len(self), 'image')}{chosen}>"

    def _repr_html_(self) -> str:
        from ._caption_views import captions_html

        return captions_html(self)


def _texts(name: str, value: str | Iterable[str]) -> list[str]:
    """Returns a list of texts; one text is a list of one."""
    texts = [value] if isinstance(value, str) else _list(value)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _wrong_argument(name, value, "a string or a list of strings")
    return texts


def _list(value: str | Iterable[str]) -> str | list[str]:
    """Returns a text as it is, and the elements of an iterable as a list."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _call(name: str, *arguments: object, **keywords: object) -> str:
    """Returns a call as text, for the history, without keywords that are not set."""
    words = [repr(argument) for argument in arguments]
    words += [f"{key}={value!r}" for key, value in keywords.items() if value]
    return f"{name}({', '.join(words)})"
