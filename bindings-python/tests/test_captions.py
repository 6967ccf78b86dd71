"""The captions of a folder, and their changes."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import TAGGER
from lora_trainer import _core

TEXTS = {
    "a": "1girl, blue eyes, smile",
    "b": "1boy, red eyes, 1boy",
    "c": "",
    "d": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four images, of which one has no caption file and one has no text."""
    from PIL import Image

    folder = tmp_path / "captioned"
    folder.mkdir()
    for index, (name, text) in enumerate(TEXTS.items()):
        Image.new("RGB", (32, 32), (80 * index, 0, 0)).save(folder / f"{name}.png")
        if text is not None:
            (folder / f"{name}.txt").write_text(text)
    return folder


def texts(folder: Path) -> dict[str, str]:
    """Returns the captions in the folder."""
    return {file.stem: file.read_text() for file in sorted(folder.glob("*.txt"))}


def names(captions: lt.Captions) -> str:
    return "".join(entry.image.stem for entry in captions)


def test_entries(folder: Path) -> None:
    captions = lt.Captions(folder)
    assert len(captions) == 4 and captions.folder == folder and captions.problems == []
    entry = captions[0]
    assert (entry.image, entry.file) == (folder / "a.png", folder / "a.txt")
    assert (entry.text, entry.tags) == (TEXTS["a"], ["1girl", "blue eyes", "smile"])
    assert captions[-1].text is None and captions[-1].tags == [] and len(captions[1:3]) == 2
    assert repr(captions) == f"<Captions {folder}: 4 images>"
    assert repr(captions.filter(missing=True)) == f"<Captions {folder}: 2 images, filtered>"
    assert repr(pickle.loads(pickle.dumps(entry))) == repr(entry)


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        ({}, "abcd"),
        ({"with_": "smile"}, "a"),
        ({"with_": ["* eyes", "1boy"]}, "b"),
        ({"with_": ("* eyes",)}, "ab"),
        ({"without": "smile"}, "bcd"),
        ({"with_regex": "^(red|blue) "}, "ab"),
        ({"without_regex": ["^1"]}, "cd"),
        ({"missing": True}, "cd"),
        ({"images": ["[ab].png", "d*"]}, "abd"),
        ({"with_": "smile", "missing": True, "any": True}, "acd"),
    ],
)
def test_filters(folder: Path, conditions: dict[str, Any], chosen: str) -> None:
    assert names(lt.Captions(folder).filter(**conditions)) == chosen


def test_a_filter_keeps_its_images(folder: Path) -> None:
    captions = lt.Captions(folder)
    chosen = captions.filter(with_="* eyes").filter(without="1boy")
    assert names(chosen) == "a"
    chosen.remove("blue eyes")
    chosen.add("green eyes", at=2)
    assert chosen[0].tags == captions[0].tags == ["1girl", "green eyes", "smile"]
    assert captions[1].text == TEXTS["b"]


EDITS: list[tuple[Callable[[lt.Captions, bool], lt.CaptionChanges], dict[str, str], str]] = [
    (
        lambda captions, dry_run: captions.add("x, y", dry_run=dry_run),
        {"a": f"{TEXTS['a']}, x, y", "b": f"{TEXTS['b']}, x, y", "c": "x, y\n", "d": "x, y\n"},
        "add('x, y')",
    ),
    (
        lambda captions, dry_run: captions.add(["x"], first=True, dry_run=dry_run),
        {"a": f"x, {TEXTS['a']}", "b": f"x, {TEXTS['b']}", "c": "x\n", "d": "x\n"},
        "add(['x'], first=True)",
    ),
    (
        lambda captions, dry_run: captions.remove(["smile", "1boy"], dry_run=dry_run),
        {"a": "1girl, blue eyes", "b": "red eyes"},
        "remove(['smile', '1boy'])",
    ),
    (
        lambda captions, dry_run: captions.replace("smile", "grin", dry_run=dry_run),
        {"a": "1girl, blue eyes, grin"},
        "replace('smile', 'grin')",
    ),
    (
        lambda captions, dry_run: captions.replace(
            r"(\w+) eyes", "$1-eyed", regex=True, dry_run=dry_run
        ),
        {"a": "1girl, blue-eyed, smile", "b": "1boy, red-eyed, 1boy"},
        r"replace('(\\w+) eyes', '$1-eyed', regex=True)",
    ),
    (
        lambda captions, dry_run: captions.replace("eyes", "hair", text=True, dry_run=dry_run),
        {"a": "1girl, blue hair, smile", "b": "1boy, red hair, 1boy"},
        "replace('eyes', 'hair', text=True)",
    ),
    (
        lambda captions, dry_run: captions.sort("length", keep=1, dry_run=dry_run),
        {"a": "1girl, smile, blue eyes", "b": "1boy, 1boy, red eyes"},
        "sort('length', keep=1)",
    ),
    (
        lambda captions, dry_run: captions.sort("alphabet", reverse=True, dry_run=dry_run),
        {"a": "smile, blue eyes, 1girl", "b": "red eyes, 1boy, 1boy"},
        "sort('alphabet', reverse=True)",
    ),
    (
        lambda captions, dry_run: captions.dedupe(dry_run=dry_run),
        {"b": "1boy, red eyes"},
        "dedupe()",
    ),
    (
        lambda captions, dry_run: captions.truncate(5, dry_run=dry_run),
        {"a": "1girl, blue eyes", "b": "1boy, red eyes"},
        "truncate(5)",
    ),
    (
        lambda captions, dry_run: captions.move_first("smile, red eyes", dry_run=dry_run),
        {"a": "smile, 1girl, blue eyes", "b": "red eyes, 1boy, 1boy"},
        "move_first('smile, red eyes')",
    ),
    (
        lambda captions, dry_run: captions.import_(
            from_file_names=True, overwrite=True, dry_run=dry_run
        ),
        {"a": "a\n", "b": "b\n", "c": "c\n", "d": "d\n"},
        "import_(from_file_names=True, overwrite=True)",
    ),
]


@pytest.mark.parametrize(("edit", "changed", "command"), EDITS, ids=[row[2] for row in EDITS])
def test_edits(
    folder: Path,
    edit: Callable[[lt.Captions, bool], lt.CaptionChanges],
    changed: dict[str, str],
    command: str,
) -> None:
    captions, before = lt.Captions(folder), texts(folder)
    planned = edit(captions, True)
    assert texts(folder) == before and captions.history() == [] and planned.dry_run
    changes = edit(captions, False)
    assert {change.file.stem: change.new for change in changes} == changed
    assert [change.old for change in changes] == [TEXTS[change.file.stem] for change in changes]
    assert list(map(repr, planned)) == list(map(repr, changes))
    assert texts(folder) == before | changed
    assert {entry.file.stem: entry.text for entry in captions} == TEXTS | changed
    [entry] = captions.history()
    assert (entry.command, entry.written) == (command, len(changed))
    undone = captions.undo()
    assert (undone.command, undone.restored, undone.kept) == (command, len(changed), [])
    assert texts(folder) == before
    assert {entry.file.stem: entry.text for entry in captions} == TEXTS


def test_the_edits_of_the_command_line_are_the_same(folder: Path, program: Path) -> None:
    captions = lt.Captions(folder)
    captions.add("my character", first=True)
    ours = texts(folder)
    captions.undo()
    command = [str(program), "captions", str(folder), "add", "my character", "--first"]
    subprocess.run(command, check=True, capture_output=True)
    assert texts(folder) == ours
    captions.reload()
    assert captions.undo().command == 'add "my character" --first'


def test_stats_are_those_of_the_command_line(folder: Path, program: Path) -> None:
    (folder / "orphan.txt").write_text("x")
    (folder / "same.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "a.txt").write_text("long hair, " * 80)
    stats = lt.Captions(folder).stats()
    command = [str(program), "captions", str(folder), "stats", "--json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = json.loads(printed)
    del theirs["notices"], theirs["problems"]
    theirs["tags"] = {each["tag"]: each["captions"] for each in theirs["tags"]}
    repeated = theirs["repeated_tags"]
    theirs["repeated_tags"] = {each["caption"]: each["tags"] for each in repeated}
    limits = theirs["tokens"]["longer_than"]
    theirs["tokens"]["longer_than"] = {str(each["tokens"]): each["captions"] for each in limits}

    def with_texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): with_texts(each) for key, each in value.items()}
        if isinstance(value, list):
            return [with_texts(each) for each in value]
        return str(value) if isinstance(value, Path) else value

    assert with_texts(dict(stats)) == theirs
    assert stats["tokens"]["longest"] == 240 and stats["tokens"]["longer_than"][225]
    html = stats._repr_html_()
    assert "more than 225 tokens" in html and "Images with the same bytes: 1" in html


def test_results_and_their_notes(folder: Path) -> None:
    captions = lt.Captions(folder)
    changes = captions.remove(["smile", "x*"])
    assert changes.considered == 3 and changes.unknown_tags == ["x*"]
    assert repr(changes) == "<CaptionChanges: changed 1 of 3 captions; no caption has the tag `x*`>"
    assert repr(captions.add("x", dry_run=True)) == (
        "<CaptionChanges: would change 3 of 3 captions, would create 1 caption>"
    )
    assert repr(captions.truncate(1)).endswith("b.txt: its first tag alone is longer>")
    imported = captions.import_(from_file_names=True)
    assert imported.kept == [folder / "a.txt", folder / "b.txt"] and len(imported) == 2
    assert "kept 2 captions that already had text" in repr(imported)
    assert repr(captions.dedupe()) == "<CaptionChanges: nothing to change in 4 captions>"


def test_moved_and_deleted_images(folder: Path, tmp_path: Path) -> None:
    captions, before = lt.Captions(folder), sorted(folder.iterdir())
    chosen = captions.filter(with_="* eyes")
    target = tmp_path / "new/place"
    planned = chosen.move(target, dry_run=True)
    assert not target.exists() and repr(planned) == "<MovedFiles: would move 4 files>"
    moved = chosen.move(target)
    assert list(moved) == list(planned) and (folder / "a.png", target / "a.png") in moved
    assert names(captions) == "cd" and len(chosen) == 0
    assert sorted(file.name for file in target.iterdir()) == ["a.png", "a.txt", "b.png", "b.txt"]
    deleted = captions.filter(images="*").delete()
    assert [new for _, new in deleted] == [None] * 3 and len(captions) == 0
    assert repr(deleted) == "<MovedFiles: deleted 3 files>"
    assert [entry.command for entry in captions.history()][0] == "delete()"
    captions.undo()
    captions.undo()
    hidden = [file for file in folder.iterdir() if file.name.startswith(".")]
    assert sorted(folder.iterdir()) == sorted([*before, *hidden])
    assert names(chosen) == "ab" and texts(folder)["a"] == TEXTS["a"]
    captions.clear_history()
    with pytest.raises(lt.DatasetError, match="nothing to undo"):
        captions.undo()


def test_export_and_import(folder: Path, tmp_path: Path) -> None:
    captions, file = lt.Captions(folder), tmp_path / "meta.json"
    assert captions.filter(with_="* eyes").export(file, field="tags") == 2
    assert json.loads(file.read_text())["a.png"] == {"tags": TEXTS["a"]}
    with pytest.raises(lt.DatasetError, match="already exists; force=True replaces it"):
        captions.export(file)
    assert captions.export(file, field="tags", force=True) == 2
    captions.remove("smile")
    changes = captions.import_(file, field="tags", overwrite=True)
    assert [change.new for change in changes] == [f"{TEXTS['a']}\n"]
    assert changes.without_entry == 2


def test_undo_leaves_later_changes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    captions = lt.Captions(folder)
    captions.add("x")
    (folder / "a.txt").write_text("mine")
    with caplog.at_level(logging.WARNING):
        undone = captions.undo()
    assert undone.kept == [folder / "a.txt"]
    assert [file.read_text() for file in undone.earlier] == [TEXTS["a"]]
    assert "1 file changed since, left as it is" in caplog.text
    assert captions[0].text == "mine"


def test_changes_of_other_programs_are_kept(folder: Path) -> None:
    """An edit reads the captions again."""
    captions = lt.Captions(folder)
    (folder / "a.txt").write_text("other, smile")
    assert captions.remove("smile")[0].new == "other"


def test_sorting_by_scores(tagged: Path) -> None:
    lt.tag_folder(tagged, TAGGER, style="sd-scripts", scores=True, progress=False)
    captions = lt.Captions(tagged)
    by_score = captions.sort("score")
    assert len(by_score) == 3
    again = lt.tag_folder(
        tagged,
        from_scores=True,
        on_conflict="copy",
        escape_tag=False,
        replace_underscore=False,
        character_threshold=0.35,
        progress=False,
    )
    assert [change.new.strip() for change in by_score] == list(again.captions.values())
    (tagged / "0.tags.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tag_folder\(…, scores=True\)") as caught:
        captions.sort("score")
    assert isinstance(caught.value, lt.DatasetError)


@pytest.mark.parametrize(
    ("call", "key", "message"),
    [
        (lambda captions: captions.filter(with_=""), "with_", 'found "", expected a tag'),
        (lambda captions: captions.filter(with_=3), "with_", "found 3, expected a string or a"),
        (lambda captions: captions.filter(with_regex="("), "with_regex", "a regular expression"),
        (lambda captions: captions.filter(images="["), "images", "expected a glob"),
        (lambda captions: captions.add([]), "tags", "found [], expected at least one tag"),
        (lambda captions: captions.remove(3), "tags", "found 3, expected a list of strings"),
        (lambda captions: captions.add("x", at=0), "at", "found 0, expected an integer ≥ 1"),
        (lambda captions: captions.add("x", first=True, at=1), "at", "in addition to first"),
        (lambda captions: captions.replace("", "x"), "old", 'found "", expected a tag or text'),
        (lambda captions: captions.replace("(", "x", regex=True), "old", "a regular expression"),
        (lambda captions: captions.replace("a", "$1", regex=True), "new", "found the group 1"),
        (lambda captions: captions.sort("size"), "by", "expected alphabet, frequency, score or"),
        (lambda captions: captions.truncate(-1), "tokens", "found -1, expected an integer ≥ 0"),
        (lambda captions: captions.delete(), "delete", "found no filter, expected a filter"),
        (lambda captions: captions.import_(), "file", "either a JSON file or from_file_names=True"),
        (lambda captions: captions.export("x", field="text"), "field", "expected caption or tags"),
        (
            lambda captions: lt.Captions(captions.folder, caption_separator=""),
            "caption_separator",
            "expected the text between tags",
        ),
    ],
)
def test_unusable_arguments(
    folder: Path, call: Callable[[lt.Captions], object], key: str, message: str
) -> None:
    captions, before = lt.Captions(folder), texts(folder)
    with pytest.raises(lt.ConfigError) as caught:
        call(captions)
    assert caught.value.key == key and message in str(caught.value)
    assert texts(folder) == before


def test_unusable_folders(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lt.Captions(tmp_path / "absent")
    with pytest.raises(lt.DatasetError, match="recursive=True includes them"):
        lt.Captions(tmp_path)
    assert len(lt.Captions(tmp_path, recursive=True)) == 4
    with pytest.raises(lt.DatasetError, match="a folder outside of"):
        lt.Captions(folder).move(folder / "inner")


def test_unreadable_captions(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "a.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with caplog.at_level(logging.WARNING):
        captions = lt.Captions(folder)
    [problem] = captions.problems
    assert "a.txt" in problem and "left out: " in caplog.text and names(captions) == "bcd"
    assert "Problems: 1" in captions._repr_html_()


def test_tables(folder: Path) -> None:
    pytest.importorskip("pandas")
    table = lt.Captions(folder).filter(images="[ad].png").to_pandas()
    assert list(table.columns) == ["image", "file", "caption", "tags"]
    assert list(table["image"]) == [folder / "a.png", folder / "d.png"]
    assert table["tags"].explode().dropna().value_counts()["smile"] == 1
    assert table["caption"][0] == TEXTS["a"] and table["caption"].isna()[1]


def test_views_escape_html(folder: Path) -> None:
    (folder / "a.png").rename(folder / "<i>.png")
    (folder / "<i>.txt").write_text("<script>, <u>")
    captions = lt.Captions(folder)
    changes = captions.replace("<u>", "<b>x</b>")
    html = captions._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 4 and "no caption" in html
    views = [html, changes._repr_html_(), captions.stats()._repr_html_()]
    views.append(captions.filter(images="*").delete(dry_run=True)._repr_html_())
    for view in views:
        assert "&lt;i&gt;" in view or "&lt;script&gt;" in view
        assert not any(tag in view for tag in ("<i>", "<script>", "<u>", "<b>x"))


def test_changes_in_colour(folder: Path) -> None:
    html = lt.Captions(folder).replace("smile", "grin")._repr_html_()
    assert "<b>Changed 1 of 3 captions</b>" in html
    assert ">smile</del>" in html and ">grin</ins>" in html and ">1girl</span>" in html
    [line] = _core.caption_difference("a, b", "a, c", ",")
    assert line == [("kept", "a"), ("removed", "b"), ("added", "c")]


def test_views_of_large_folders_are_short(folder: Path) -> None:
    for index in range(40):
        (folder / f"e{index:02}.png").write_bytes((folder / "a.png").read_bytes())
        (folder / f"e{index:02}.txt").write_text(", ".join(f"tag {n}" for n in range(70)))
    captions = lt.Captions(folder)
    html = captions._repr_html_()
    assert html.count("<img") == 20 and "and 24 more" in html and "and 10 more" in html
    changes = captions.add("x")._repr_html_()
    assert changes.count("</ins>") == 20 and "and 24 more" in changes
