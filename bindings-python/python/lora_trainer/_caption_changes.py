"""The results of edits of captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from ._core import CaptionChange
from ._figures import plural


class CaptionChanges(Sequence[CaptionChange]):
    """The changed captions of an edit: a sequence of `CaptionChange`.

    Attributes:
        considered: The number of captions that were looked at.
        dry_run: True if the changes were not made.
        unknown_tags: Tags of the edit that none of the captions has.
        respelled: For some of them, a tag of a caption that differs only in backslashes or
            underscores.
        too_long: Captions whose first tag alone is longer than `truncate` allows.
        kept: Captions with text that an import left as they are.
        without_entry: The number of images without an entry in an imported file.
        other_entries: Its entries for other images.
    """

    def __init__(
        self,
        changes: Iterable[CaptionChange],
        considered: int,
        *,
        dry_run: bool,
        separator: str,
        unknown_tags: Iterable[tuple[str, str | None]] = (),
        too_long: Iterable[Path] = (),
        kept: Iterable[Path] = (),
        without_entry: int = 0,
        other_entries: Iterable[str] = (),
    ) -> None:
        self._changes = list(changes)
        self._separator = separator
        self.considered = considered
        self.dry_run = dry_run
        unknown = dict(unknown_tags)
        self.unknown_tags = list(unknown)
        self.respelled = {tag: other for tag, other in unknown.items() if other is not None}
        self.too_long = list(too_long)
        self.kept = list(kept)
        self.without_entry = without_entry
        self.other_entries = list(other_entries)

    def __len__(self) -> int:
        return len(self._changes)

    @overload
    def __getitem__(self, index: int) -> CaptionChange: ...
    @overload
    def __getitem__(self, index: slice) -> list[CaptionChange]: ...
    def __getitem__(self, index: int | slice) -> CaptionChange | list[CaptionChange]:
        return self._changes[index]

    def summary(self) -> str:
        """Returns the numbers of changed and created captions as text."""
        created = sum(change.old is None for change in self._changes)
        changed = len(self._changes) - created
        considered = plural(self.considered, "caption")
        parts = []
        if changed:
            parts.append(
                f"{'would change' if self.dry_run else 'changed'} {changed} of {considered}"
            )
        if created:
            verb = "would create" if self.dry_run else "created"
            parts.append(f"{verb} {plural(created, 'caption')}")
        return ", ".join(parts) or f"nothing to change in {considered}"

    def notes(self) -> list[str]:
        """Returns what the edit did not reach, as texts."""
        notes = []
        for tag in self.unknown_tags:
            hint = f"; did you mean `{self.respelled[tag]}`?" if tag in self.respelled else ""
            notes.append(f"no caption has the tag `{tag}`{hint}")
        notes += [f"{file}: its first tag alone is longer" for file in self.too_long]
        if self.without_entry:
            notes.append(f"{plural(self.without_entry, 'image')} without an entry in the file")
        if self.other_entries:
            entries = plural(len(self.other_entries), "entry", "entries")
            notes.append(f"ignored {entries} for other images")
        if self.kept:
            kept = plural(len(self.kept), "caption")
            notes.append(f"kept {kept} that already had text; overwrite=True replaces them")
        return notes

    def __repr__(self) -> str:
        return f"<CaptionChanges: {'; '.join([self.summary(), *self.notes()])}>"

    def _repr_html_(self) -> str:
        from ._caption_views import changes_html

        return changes_html(self, self._separator)


class MovedFiles(Sequence[tuple[Path, "Path | None"]]):
    """The files that were moved or deleted: a sequence of old and new paths.

    The new path of a deleted file is `None`.

    Attributes:
        dry_run: True if nothing was moved or deleted.
    """

    def __init__(self, files: Iterable[tuple[Path, Path | None]], *, dry_run: bool) -> None:
        self._files = list(files)
        self.dry_run = dry_run

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> tuple[Path, Path | None]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Path, Path | None]]: ...
    def __getitem__(
        self, index: int | slice
    ) -> tuple[Path, Path | None] | list[tuple[Path, Path | None]]:
        return self._files[index]

    def summary(self) -> str:
        """Returns the number of files as text."""
        is_deletion = any(new is None for _, new in self._files)
        verb, past = ("delete", "deleted") if is_deletion else ("move", "moved")
        files = plural(len(self._files), "file")
        return f"would {verb} {files}" if self.dry_run else f"{past} {files}"

    def __repr__(self) -> str:
        return f"<MovedFiles: {self.summary()}>"

    def _repr_html_(self) -> str:
        from ._caption_views import moved_html

        return moved_html(self)
