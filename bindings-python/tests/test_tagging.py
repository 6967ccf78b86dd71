"""Taggers, and captions for folders."""

from __future__ import annotations

import inspect
import json
import logging
import signal
import subprocess
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import POSIX_ONLY, TAGGER, Script, finish
from lora_trainer import _core

ROWS: list[dict[str, Any]] = json.loads((TAGGER / "tagger.json").read_text())["images"]
PNG = next(row for row in ROWS if row["file"].endswith(".png"))
"""The image that is not lossy, whose stored captions must be equal."""


def written(file: Path) -> str:
    """Returns a caption; sd-scripts ends it with a line end."""
    return file.read_text().removesuffix("\n")


@pytest.fixture(scope="module")
def tagger() -> lt.Tagger:
    return lt.Tagger(TAGGER)


def test_the_properties_of_a_tagger(tagger: lt.Tagger) -> None:
    assert tagger.path == TAGGER / "model.onnx" and tagger.kind == "wd"
    assert (tagger.side, tagger.fixed_batch, tagger.tag_count) == (448, None, 52)
    assert repr(tagger) == f"<Tagger {tagger.path}: wd, 52 tags>"
    assert lt.Tagger(str(tagger.path), threads=1).tag_count == 52


def test_the_probabilities_are_those_of_sd_scripts(tagger: lt.Tagger) -> None:
    scores = tagger(TAGGER / PNG["file"], "sd-scripts")
    assert list(scores) == ["rating", "general", "character"]
    assert sum(map(len, scores.values())) == tagger.tag_count
    assert max(scores["rating"], key=lambda tag: scores["rating"][tag]) == PNG["rating"]
    both = [*scores["general"].items(), *scores["character"].items()]
    chosen = [tag for tag, probability in both if probability >= 0.35]
    assert ", ".join(chosen) == PNG["sd_scripts_tags_0.35"]


def test_images_in_memory(tagger: lt.Tagger) -> None:
    import numpy
    from PIL import Image

    file = TAGGER / PNG["file"]
    image = Image.open(file)
    assert image.mode == "RGBA", "blended over white"
    array = numpy.asarray(image)
    from_file, from_pillow, from_array = tagger([file, image, array])
    assert from_file == from_pillow == from_array == tagger(str(file))
    opaque = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert tagger(opaque) == tagger(numpy.asarray(opaque))
    for category, tags in tagger(opaque).items():
        assert from_file[category] == pytest.approx(tags, abs=0.02)
    assert tagger(array[..., :3]) != from_file


def test_the_exif_orientation_of_images_in_memory(tagger: lt.Tagger, tmp_path: Path) -> None:
    from PIL import Image

    image = Image.open(TAGGER / "0.jpg").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    turned = Image.open(tmp_path / "turned.png")
    assert tagger(turned) == tagger(image.transpose(Image.Transpose.ROTATE_270))
    assert tagger(turned) != tagger(image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (3, "image: found a value of type int, expected a path, a PIL.Image or an array"),
        ([b"x"], "image[0]: found bytes, expected a path"),
        ("absent.png", "absent.png"),
    ],
)
def test_unusable_images(tagger: lt.Tagger, image: Any, message: str) -> None:
    with pytest.raises(lt.DatasetError) as caught:
        tagger(image)
    assert message in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError) == (image == "absent.png")


def test_unusable_taggers(tmp_path: Path) -> None:
    with pytest.raises(lt.CheckpointError, match="no model; expected `model.onnx`") as caught:
        lt.Tagger(tmp_path)
    assert caught.value.path == tmp_path
    with pytest.raises(FileNotFoundError, match="did you mean `wd-vit-v3`?") as absent:
        lt.Tagger("wd-vit-v4")
    assert isinstance(absent.value, lt.CheckpointError) and "--" not in str(absent.value)
    with pytest.raises(lt.ConfigError, match="`threads`: found 0, expected an integer ≥ 1"):
        lt.Tagger(TAGGER, threads=0)
    with pytest.raises(lt.ConfigError, match="`runtime`: found .*, expected rten or onnxruntime"):
        lt.Tagger(TAGGER, runtime="torch")  # type: ignore[arg-type]
    with pytest.raises(lt.ConfigError, match="`style`: found .*, expected sd-trainer or sd-script"):
        lt.Tagger(TAGGER)(TAGGER / "0.jpg", "kohya")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("lora_scripts_tags_0.5_escaped", {"threshold": 0.5, "character_threshold": 0.5}),
        ("sd_scripts_tags_0.35", {"style": "sd-scripts"}),
        (
            "sd_scripts_tags_0.35_remove_underscore",
            {"style": "sd-scripts", "remove_underscore": True},
        ),
    ],
)
def test_captions_are_those_of_the_originals(
    tagger: lt.Tagger, tagged: Path, key: str, options: dict[str, Any]
) -> None:
    result = lt.tag_folder(tagged, tagger, **options, progress=False)
    assert result.images == 3 and not result.failed
    image = tagged / PNG["file"]
    assert result.captions[image] == PNG[key]
    for image, caption in result.captions.items():
        assert written(image.with_suffix(".txt")) == caption
    tags = [tag for caption in result.captions.values() for tag in caption.split(", ")]
    assert result.frequency == {tag: tags.count(tag) for tag in tags}
    counts = list(result.frequency.values())
    assert counts == sorted(counts, reverse=True)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"compat": "sd-scripts", "batch": 2, "workers": 1},
    {"style": "sd-scripts", "use_rating_tags": True, "caption_separator": " | "},
    {
        "add_rating_tag": True,
        "general_threshold": 0.6,
        "exclude_tags": "tree,snow",
        "additional_tags": "my style",
        "tag_replacement": "sword,blade",
        "character_tag_expand": True,
        "replace_underscore": False,
        "escape_tag": False,
        "character_tags_first": True,
        "always_first_tags": "1boy",
        "caption_extension": ".caption",
    },
]


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "compat", "style", "many"])
def test_captions_are_those_of_the_command_line(
    tagged: Path, program: Path, options: dict[str, Any]
) -> None:
    ours = lt.tag_folder(tagged, TAGGER, **options, dry_run=True, progress=False)
    assert sorted(path.suffix for path in tagged.iterdir()) == [".jpg", ".jpg", ".png"]
    arguments = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        is_switch = name in ("use_rating_tags", "character_tag_expand", "character_tags_first")
        arguments.append(option if is_switch else f"{option}={value}".replace("False", "false"))
    arguments = [argument.replace("True", "true") for argument in arguments]
    command = [str(program), "tag", str(tagged), "--model", str(TAGGER), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    extension = options.get("caption_extension", ".txt")
    assert {image: written(image.with_suffix(extension)) for image in ours.captions} == (
        ours.captions
    )


TABLE: list[tuple[str, Any, str, str]] = [
    ("style", "sd-scripts", "style: SdTrainer", "style: SdScripts"),
    ("threshold", 0.5, "threshold: 0.35", "threshold: 0.5"),
    *(
        (
            f"{name.lower()}_threshold",
            0.5,
            "category_thresholds: []",
            f"category_thresholds: [({name}, 0.5)]",
        )
        for name in ("General", "Character", "Copyright", "Artist", "Meta", "Model")
    ),
    ("exclude_category", "Meta, artist", "categories: []", "categories: [Meta, Artist]"),
    ("add_rating_tag", True, "rating: None", "rating: Some(ByProbability)"),
    ("use_rating_tags", True, "rating: None", "rating: Some(First)"),
    ("use_rating_tags_as_last_tag", True, "rating: None", "rating: Some(Last)"),
    ("use_quality_tags", True, "quality: None", "quality: Some(First)"),
    ("use_quality_tags_as_last_tag", True, "quality: None", "quality: Some(Last)"),
    ("add_model_tag", False, "model: None", "model: Some(false)"),
    ("additional_tags", " a,,b", "additional_tags: []", 'additional_tags: ["a", "b"]'),
    ("exclude_tags", ["a, b"], "exclude_tags: []", 'exclude_tags: ["a, b"]'),
    ("character_tags_first", True, "tags_first: false", "tags_first: true"),
    ("always_first_tags", ("a", "b"), "first_tags: []", 'first_tags: ["a", "b"]'),
    ("replace_underscore", False, "underscores: None", "underscores: Some(Keep)"),
    (
        "replace_underscore_excludes",
        "a_b",
        "underscores: None",
        'underscores: Some(ReplaceExcept(["a_b"]))',
    ),
    ("remove_underscore", True, "underscores: None", "underscores: Some(ReplaceInLong)"),
    ("escape_tag", False, "escape_tag: None", "escape_tag: Some(false)"),
    ("tag_replacement", "a,b;c,d", "Replacements([])", 'Replacements([("a", "b"), ("c", "d")])'),
    ("tag_replacement", {"a": "b,c"}, "Replacements([])", 'Replacements([("a", "b,c")])'),
    ("character_tag_expand", True, "tag_expand: false", "tag_expand: true"),
    ("caption_separator", "|", 'caption_separator: ", "', 'caption_separator: "|"'),
    ("on_conflict", "prepend", "on_conflict: Ignore", "on_conflict: Prepend"),
    ("recursive", True, "recursive: false", "recursive: true"),
    ("caption_extension", ".caption", 'extension: ".txt"', 'extension: ".caption"'),
    ("output_dir", Path("a"), "output: NextToImages", 'output: Folder("a")'),
    ("output_path", "a.json", "output: NextToImages", 'output: Metadata("a.json")'),
    ("scores", True, "scores: false", "scores: true"),
    ("dry_run", True, "dry_run: false", "dry_run: true"),
    ("batch", 4, "batch: 1", "batch: 4"),
    ("workers", 2, "workers: None", "workers: Some(2)"),
]


@pytest.mark.parametrize(("keyword", "value", "default", "changed"), TABLE)
def test_each_keyword_sets_its_option(
    keyword: str, value: object, default: str, changed: str
) -> None:
    defaults = _core._folder_options({})
    assert defaults.count(default) == 1
    assert _core._folder_options({keyword: value}) == defaults.replace(default, changed)


def test_the_table_and_the_defaults_are_complete() -> None:
    parameters = inspect.signature(lt.tag_folder).parameters
    others = {"folder", "tagger", "from_scores", "progress"}
    assert parameters.keys() - others == {row[0] for row in TABLE} | {"compat"}
    defaults = {name: each.default for name, each in parameters.items() if name not in others}
    assert _core._folder_options(defaults) == _core._folder_options({})
    compat = _core._folder_options({"compat": "sd-scripts"})
    style = _core._folder_options({"style": "sd-scripts"})
    assert compat == style.replace("compat: false", "compat: true")


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        ({"threshold": 2}, "threshold", "found 2, expected a number from 0 to 1"),
        ({"character_threshold": "x"}, "character_threshold", 'found "x", expected a number from'),
        ({"on_conflict": "x"}, "on_conflict", "expected ignore, copy, prepend or append"),
        ({"exclude_category": ["x"]}, "exclude_category", "expected rating, quality, general"),
        ({"additional_tags": 3}, "additional_tags", "found 3, expected a list of strings"),
        ({"tag_replacement": "x"}, "tag_replacement", "found `x`, expected `source,target`"),
        ({"tag_replacement": {"a": 1}}, "tag_replacement", "expected a dict of tags by the tags"),
        ({"batch": 0}, "batch", "found 0, expected an integer ≥ 1"),
        ({"caption_extension": "png"}, "caption_extension", "expected an extension such as `.txt`"),
        ({"output_dir": "a", "output_path": "b"}, "output_path", "found in addition to output_dir"),
        (
            {"use_rating_tags": True, "add_rating_tag": True},
            "use_rating_tags",
            "found in addition to add_rating_tag, expected only one of them",
        ),
        ({"style": "sd-trainer", "compat": "sd-scripts"}, "compat", "found in addition to style"),
        (
            {"remove_underscore": True, "replace_underscore": True},
            "remove_underscore",
            "found in addition to replace_underscore",
        ),
        ({"compat": "sd-scripts", "tag_replacement": "a,b"}, "tag_replacement", "style="),
        ({"from_scores": True}, "tagger", "and from_scores, expected one of them"),
        ({"from_scores": True, "tagger": None, "scores": True}, "scores", "and from_scores"),
        ({"tagger": None}, "tagger", "found None, expected a Tagger, a model such as"),
    ],
)
def test_unusable_options(tagged: Path, options: dict[str, Any], key: str, message: str) -> None:
    given: dict[str, Any] = {"tagger": TAGGER, "progress": False}
    with pytest.raises(lt.ConfigError) as caught:
        lt.tag_folder(tagged, **given | options)
    assert caught.value.key == key and message in str(caught.value)
    assert isinstance(caught.value, ValueError) and "--" not in str(caught.value)


def test_unusable_folders(tmp_path: Path, tagger: lt.Tagger) -> None:
    with pytest.raises(lt.DatasetError, match="no images") as caught:
        lt.tag_folder(tmp_path, tagger)
    assert caught.value.path == tmp_path
    with pytest.raises(FileNotFoundError):
        lt.tag_folder(tmp_path / "absent", tagger)


def test_images_that_fail_or_have_a_caption(
    tagged: Path, tagger: lt.Tagger, caplog: pytest.LogCaptureFixture
) -> None:
    (tagged / "0.txt").write_text("mine")
    (tagged / "broken.png").write_bytes(b"no image")
    (tagged / "inner").mkdir()
    with caplog.at_level(logging.WARNING):
        result = lt.tag_folder(tagged, tagger, progress=False)
    assert (result.images, result.skipped, len(result.captions)) == (2, 1, 2)
    [(image, reason)] = result.failed
    assert image == tagged / "broken.png" and "not an image" in reason
    assert (tagged / "0.txt").read_text() == "mine"
    assert str(tagged / "inner") in caplog.text
    assert repr(result) == "<TagResult: tagged 2 images, skipped 1, 1 failed>"
    again = lt.tag_folder(tagged, tagger, on_conflict="append", progress=False)
    assert again.captions[tagged / "0.jpg"].startswith("mine, ")
    assert lt.Captions(tagged).undo().command == "tag --on-conflict append"
    assert (tagged / "0.txt").read_text() == "mine"


def test_scores_in_files(tagged: Path, tagger: lt.Tagger) -> None:
    first = lt.tag_folder(tagged, tagger, scores=True, output_path=tagged / "all.json")
    assert not list(tagged.glob("*.txt")) and len(list(tagged.glob("*.tags.json"))) == 3
    assert json.loads((tagged / "all.json").read_text()).keys() == set(map(str, first.captions))
    again = lt.tag_folder(tagged, from_scores=True, progress=False)
    assert again.captions == first.captions
    (tagged / "0.txt").unlink()
    (tagged / "0.tags.json").unlink()
    [(image, reason)] = lt.tag_folder(tagged, from_scores=True, progress=False).failed
    assert image == tagged / "0.jpg" and "tag_folder(…, scores=True) writes" in reason


def test_progress_without_a_terminal(
    tagged: Path, tagger: lt.Tagger, capfd: pytest.CaptureFixture[str]
) -> None:
    lt.tag_folder(tagged, tagger, dry_run=True)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[-1].startswith("tagging 3/3: ") and lines[-1].endswith("0 s left")
    assert "images/s" in lines[-1]
    lt.tag_folder(tagged, tagger, dry_run=True, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_result_as_html(tagged: Path, tagger: lt.Tagger) -> None:
    (tagged / "<i>.png").write_bytes(b"no image")
    (tagged / "0.jpg").rename(tagged / "<b>.jpg")
    result = lt.tag_folder(tagged, tagger, additional_tags="<u>x</u>", progress=False)
    html = result._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 3
    for text in ("&lt;i&gt;.png", "&lt;b&gt;.jpg", "&lt;u&gt;x&lt;/u&gt;", "Tagged 3 images"):
        assert text in html
    assert not any(tag in html for tag in ("<i>", "<b>.jpg", "<u>"))


@POSIX_ONLY
def test_ctrl_c_keeps_the_captions(script: Script, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(200):
        Image.new("RGB", (64, 64), (index, 0, 0)).save(folder / f"{index:03}.png")
    process = script(f"""
try:
    lt.tag_folder({str(folder)!r}, {str(TAGGER)!r})
except KeyboardInterrupt as interrupt:
    print(interrupt.result.images, len(interrupt.result.captions), bool(interrupt.result.frequency))
""")
    assert process.stderr is not None and process.stderr.readline().startswith("tagging 1/200")
    process.send_signal(signal.SIGINT)
    images, captions, has_frequency = finish(process).split()
    written = len(list(folder.glob("*.txt")))
    assert int(images) == int(captions) == written < 200 and has_frequency == "True"
    result = lt.tag_folder(folder, TAGGER, progress=False)
    assert (result.skipped, result.images) == (written, 200 - written)
