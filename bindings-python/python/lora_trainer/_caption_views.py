"""HTML views of captions and their changes, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from . import _core
from ._figures import plural
from ._views import (
    MAX_ENTRIES,
    MUTED,
    WRONG,
    _bar,
    _block,
    _list,
    _row,
    _short,
    _table,
    data_url,
)

if TYPE_CHECKING:
    from ._caption_changes import CaptionChanges, MovedFiles
    from ._captions import Captions, CaptionStats
    from ._tag_folder import TagResult

THUMBNAIL = 112
"""The maximum width and height of a thumbnail. Pixels."""

MAX_TAGS = 60
"""The maximum number of tags of an image."""

TAG = "display:inline-block;border-radius:4px;padding:0 5px;margin:1px 3px 1px 0;font-size:90%"
PIECES = {
    "kept": ("span", "background:rgba(128,128,128,0.14)"),
    "removed": ("del", "background:rgba(220,60,60,0.25)"),
    "added": ("ins", "background:rgba(60,170,80,0.28);text-decoration:none"),
}
"""The HTML elements and styles of the pieces of a difference."""


def captions_html(captions: Captions) -> str:
    """Returns the first images with their tags."""
    entries = list(captions)
    title = f"<b>{escape(str(captions.folder))}</b> "
    count = f"<span style='{MUTED}'>{plural(len(entries), 'image')}</span>"
    rows = [
        _image(entry.image, entry.image.name, entry.tags, "no caption" if not entry.tags else "")
        for entry in entries[:MAX_ENTRIES]
    ]
    return _block(
        [title, count, *rows, _more(len(entries)), _list("Problems", captions.problems, WRONG)]
    )


def tag_result_html(result: TagResult) -> str:
    """Returns the numbers of images, the first images with their tags, and the failed ones."""
    facts = []
    if result.skipped:
        facts.append(f"skipped {plural(result.skipped, 'image')} that had a caption")
    title = f"<b>Tagged {plural(result.images, 'image')}</b> "
    failed = [
        reason if str(image) in reason else f"{image}: {reason}" for image, reason in result.failed
    ]
    rows = [
        _image(image, image.name, result.tags(image), "")
        for image in list(result.captions)[:MAX_ENTRIES]
    ]
    return _block(
        [
            title,
            f"<span style='{MUTED}'>{' · '.join(facts)}</span>",
            _list("Failed", failed, WRONG),
            *rows,
            _more(len(result.captions)),
            _list("Tags", [f"{tag} ({count})" for tag, count in result.frequency.items()]),
        ]
    )


def changes_html(changes: CaptionChanges, separator: str) -> str:
    """Returns the changed captions, with removed tags in red and added ones in green."""
    rows = []
    for change in changes[:MAX_ENTRIES]:
        name = escape(change.file.name) + (" (new)" if change.old is None else "")
        lines = _core.caption_difference(change.old or "", change.new, separator)
        texts = "<br>".join("".join(_piece(*piece) for piece in line) for line in lines)
        rows.append(
            f"<div style='margin:4px 0'><span style='{MUTED}'>{name}</span><br>{texts}</div>"
        )
    title = changes.summary()
    return _block(
        [
            f"<b>{escape(title[0].upper() + title[1:])}</b>",
            *(f"<div style='{MUTED}'>{escape(note)}</div>" for note in changes.notes()),
            *rows,
            _more(len(changes)),
        ]
    )


def moved_html(moved: MovedFiles) -> str:
    """Returns the moved or deleted files."""
    title = moved.summary()
    rows = [_row(old, "" if new is None else f"→ {new}") for old, new in moved[:MAX_ENTRIES]]
    heading = f"<b>{escape(title[0].upper() + title[1:])}</b>"
    return _block([heading, _table(rows) if rows else "", _more(len(moved))])


def stats_html(stats: CaptionStats) -> str:
    """Returns the figures of captions: numbers, problems, and the most frequent tags."""
    tokens, tags = stats["tokens"], stats["tags"]
    facts = [
        plural(stats["images"], "image"),
        f"{plural(tokens['captions'], 'caption')} with text",
        plural(len(tags), "different tag"),
    ]
    rows = [_row("median length", f"{tokens['median']} CLIP tokens")]
    if tokens["longest_caption"] is not None:
        longest = f"{tokens['longest']} CLIP tokens ({tokens['longest_caption'].name})"
        rows.append(_row("longest caption", longest))
    for limit, files in tokens["longer_than"].items():
        if files:
            names = ", ".join(file.name for file in files[:MAX_ENTRIES])
            rows.append(_row(f"more than {limit} tokens", f"{len(files)} ({_short(names)})"))
    most = max(tags.values(), default=1)
    counts = [_row(tag, count, _bar(count / most)) for tag, count in tags.items()][:MAX_ENTRIES]
    groups = [" = ".join(map(str, group)) for group in stats["duplicate_images"]]
    repeated = [f"{file}: {', '.join(twice)}" for file, twice in stats["repeated_tags"].items()]
    return _block(
        [
            f"<b>Captions</b> <span style='{MUTED}'>{' · '.join(facts)}</span>",
            _table(rows),
            _list("Images without a caption", _paths(stats["without_caption"])),
            _list("Captions without text", _paths(stats["empty_captions"])),
            _list("Captions without an image", _paths(stats["orphaned_captions"])),
            _list("Captions with a tag twice", repeated),
            _list("Images with the same bytes", groups),
            _table(counts, ("tag", "captions", "")) if counts else "",
            _more(len(tags), "tag"),
        ]
    )


def thumbnail(path: Path) -> str:
    """Returns a small image as a data URL, over white; empty if the file is unreadable."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (THUMBNAIL, THUMBNAIL))
            image = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    background = Image.new("RGBA", image.size, "white")
    return data_url(Image.alpha_composite(background, image).convert("RGB"))


def _image(path: Path, name: str, tags: Sequence[str], note: str) -> str:
    url = thumbnail(path)
    size = f"width:{THUMBNAIL}px;flex:none;text-align:center"
    img = f"<img src='{url}'>" if url else f"<span style='{MUTED}'>no image</span>"
    shown = "".join(_piece("kept", tag) for tag in tags[:MAX_TAGS])
    if len(tags) > MAX_TAGS:
        shown += f"<span style='{MUTED}'>and {len(tags) - MAX_TAGS} more</span>"
    shown = shown or f"<span style='{WRONG}'>{escape(note)}</span>"
    text = f"<span style='{MUTED}'>{escape(name)}</span><br>{shown}"
    return (
        f"<div style='display:flex;gap:12px;margin:6px 0'>"
        f"<div style='{size}'>{img}</div><div>{text}</div></div>"
    )


def _piece(kind: str, text: str) -> str:
    element, style = PIECES[kind]
    return f"<{element} style='{TAG};{style}'>{escape(text)}</{element}>"


def _more(count: int, noun: str = "") -> str:
    if count <= MAX_ENTRIES:
        return ""
    left = count - MAX_ENTRIES
    return (
        f"<div style='{MUTED}'>and {plural(left, f'more {noun}') if noun else f'{left} more'}</div>"
    )


def _paths(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]
