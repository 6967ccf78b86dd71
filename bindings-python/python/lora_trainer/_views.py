"""HTML views of configurations, reports, LoRA files and histories, for notebooks.

They have no scripts and are readable with light and dark themes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Any

from . import _core
from ._figures import duration, plural, size, smoothed, speed

if TYPE_CHECKING:
    from PIL.Image import Image

    from ._history import History

MUTED = "opacity:0.65"
MARKED = "background:rgba(255,190,60,0.28);font-weight:600"
WRONG = "color:#d03a3a"
MAX_ENTRIES = 20
"""The maximum number of entries of a list."""


def config_html(config: _core.TrainConfig) -> str:
    """Returns all options by group. Options that differ from their defaults are highlighted."""
    changed = config.to_dict()
    count = plural(len(changed), "option")
    parts = [f"<b>TrainConfig</b> <span style='{MUTED}'>{count} changed from the defaults</span>"]
    for group, members in groupby(_core.options(), key=lambda option: option.group):
        options = list(members)
        rows = [_option_row(config, option, changed) for option in options]
        number = sum(option.name in changed for option in options)
        badge = f" <span style='{MARKED}'>&nbsp;{number}&nbsp;</span>" if number else ""
        is_open = " open" if number else ""
        summary = f"<summary>{escape(group)}{badge}</summary>"
        parts.append(f"<details{is_open}>{summary}{_table(rows)}</details>")
    return _block(parts)


def _option_row(config: _core.TrainConfig, option: _core.Option, changed: Mapping[str, Any]) -> str:
    is_changed = option.name in changed
    value = changed[option.name] if is_changed else getattr(config, option.name)
    text = "" if value is None else repr(value)
    return (
        f"<tr style='{MARKED if is_changed else MUTED}' title='{escape(option.help)}'>"
        f"{_cell(option.name, code=True)}{_cell(text, code=True)}</tr>"
    )


def report_html(report: _core.CheckReport) -> str:
    """Returns a report: problems and warnings first, then the dataset, then config keys."""
    truncated = [
        f"{long.path}: {long.used} of {plural(long.tokens, 'token')} used"
        for long in report.long_captions
    ]
    tiny = [
        f"{image.path}: {_size(image.size)}, trained at {_size(image.bucket)}"
        for image in report.tiny_images
    ]
    parts = [
        _verdict(report),
        _list("Problems", report.problems, WRONG),
        _list("Warnings", report.warnings),
        _subsets(report.subsets),
        _buckets(report.buckets),
        _examples(report.examples),
        _list("Tags", [f"{tag} ({count})" for tag, count in report.tags]),
        _list("Truncated captions", truncated),
        _list("Duplicate images", [" = ".join(map(str, group)) for group in report.duplicates]),
        _list("Images that are small for the resolution", tiny),
        _list("sd-scripts behaviour reproduced", report.reproduced),
        _list("Keys of the file", [_key_text(key) for key in report.keys]),
    ]
    return _block(parts)


def _verdict(report: _core.CheckReport) -> str:
    facts = []
    if report.family:
        facts.append(escape(report.family))
    if report.length is not None:
        length = report.length
        images = plural(length.images_per_epoch, "image")
        batches = plural(length.batches_per_epoch, "batch", "batches")
        facts.append(f"{images} per epoch in {batches}")
        facts.append(plural(length.epochs, "epoch"))
        facts.append(plural(length.total_steps, "step"))
    if report.memory is not None:
        facts.append(f"memory: about {size(report.memory)}")
    if report.is_ok:
        verdict = "<b>Ready to train.</b>"
    else:
        problems = plural(len(report.problems), "problem")
        verdict = f"<b style='{WRONG}'>Cannot train: {problems}.</b>"
    return f"{verdict}<div style='{MUTED}'>{' · '.join(facts)}</div>"


def _subsets(subsets: Sequence[_core.SubsetReport]) -> str:
    if not subsets:
        return ""
    rows = [
        _row(
            subset.name + (" (regularisation)" if subset.is_reg else ""),
            subset.images,
            subset.repeats,
            subset.captions_from_files,
            subset.captions_from_class_tokens,
            subset.captions_missing,
        )
        for subset in subsets
    ]
    return _table(rows, ("folder", "images", "repeats", "captioned", "class tokens", "no caption"))


def _buckets(buckets: Sequence[_core.Bucket]) -> str:
    if not buckets:
        return ""
    most = max(bucket.images for bucket in buckets)
    rows = [
        _row(
            _size((bucket.width, bucket.height)),
            bucket.images,
            bucket.batches,
            _bar(bucket.images / most),
        )
        for bucket in buckets
    ]
    return _table(rows, ("bucket", "images per epoch", "batches", ""))


def _examples(examples: Sequence[_core.ExampleImage]) -> str:
    if not examples:
        return ""
    figures = [
        f"<figure style='margin:4px;width:160px'>"
        f"<img src='{data_url(example.image)}' style='max-width:100%'>"
        f"<figcaption style='font-size:85%;{MUTED}'>"
        f"{escape(_short(example.caption or 'no caption'))}<br>{_size(example.bucket)}"
        f"</figcaption></figure>"
        for example in examples
    ]
    return f"<div style='display:flex;flex-wrap:wrap'>{''.join(figures)}</div>"


def lora_html(info: _core.LoraInfo) -> str:
    """Returns a LoRA file: a summary, then its metadata."""
    metadata = info.metadata
    alphas = sorted({adapter.alpha for adapter in info.adapters})
    in_unet = sum(adapter.is_unet for adapter in info.adapters)
    counts = [("ss_steps", "step"), ("ss_epoch", "epoch")]
    facts = {
        "for": info.family or "an unknown base",
        "rank": ", ".join(
            f"{rank} ({plural(count, 'layer')})" for rank, count in info.ranks.items()
        ),
        "alpha": ", ".join(f"{alpha:g}" for alpha in alphas),
        "layers": f"{in_unet} in the UNet, {len(info.adapters) - in_unet} in text encoders",
        "parameters": ", ".join(
            [f"{info.parameters / 1e6:.2f} million", *info.dtypes, size(info.bytes)]
        ),
        "base": metadata.get("ss_sd_model_name", ""),
        "trained": ", ".join(
            f"{metadata[key]} {noun}{'' if metadata[key] == '1' else 's'}"
            for key, noun in counts
            if key in metadata
        ),
        "other keys": ", ".join(info.other_keys[:MAX_ENTRIES]),
    }
    rows = [_row(name, value) for name, value in facts.items() if value]
    entries = [_row(key, _short(value, 200)) for key, value in sorted(metadata.items())]
    parts = [f"<b>{escape(str(info.path))}</b>", _table(rows)]
    if entries:
        summary = plural(len(entries), "metadata entry", "metadata entries")
        parts.append(f"<details><summary>{summary}</summary>{_table(entries)}</details>")
    return _block(parts)


def history_html(history: History) -> str:
    """Returns a run: its result and the curve of its loss."""
    if not history.steps:
        return _block(["<b>History</b>: no steps yet"])
    last = history.steps[-1]
    rows = [
        _row("average loss", f"{last.average_loss:.4f}"),
        _row("speed", speed(last.steps_per_second)),
    ]
    if history.summary is not None:
        rows.append(_row("time", duration(history.summary.seconds)))
    if history.path is not None:
        rows.append(_row("LoRA", history.path))
    title = f"<b>History</b>: {last.step} of {plural(last.total_steps, 'step')}"
    return _block([title, curve(history.losses), _table(rows)])


def curve(losses: Sequence[float], width: int = 560, height: int = 120) -> str:
    """Returns raw and smoothed losses as an SVG image."""
    stride = max(1, len(losses) // width)
    raw, smooth = list(losses[::stride]), smoothed(list(losses))[::stride]
    low, high = min(raw), max(raw)
    span = (high - low) or 1.0

    def points(values: Sequence[float]) -> str:
        last = max(1, len(values) - 1)
        return " ".join(
            f"{at * width / last:.1f},{height - (value - low) / span * height:.1f}"
            for at, value in enumerate(values)
        )

    return (
        f"<svg viewBox='0 -4 {width} {height + 8}' width='{width}' height='{height + 8}'"
        f" style='max-width:100%'>"
        f"<polyline points='{points(raw)}' fill='none' stroke='#5b8def' stroke-opacity='0.35'/>"
        f"<polyline points='{points(smooth)}' fill='none' stroke='#2f6bdf' stroke-width='2'/></svg>"
        f"<div style='font-size:85%;{MUTED}'>"
        f"loss, raw and smoothed, from {low:.4f} to {high:.4f}</div>"
    )


def data_url(image: Image) -> str:
    """Returns an image as a data URL. It is a small JPEG, as notebooks are kept in repositories."""
    out = BytesIO()
    image.save(out, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{b64encode(out.getvalue()).decode()}"


def _block(parts: Iterable[str]) -> str:
    return f"<div style='line-height:1.45'>{''.join(parts)}</div>"


def _list(title: str, entries: Sequence[str], style: str = "") -> str:
    if not entries:
        return ""
    items = "".join(
        f"<li style='white-space:pre-line'>{escape(entry)}</li>" for entry in entries[:MAX_ENTRIES]
    )
    if len(entries) > MAX_ENTRIES:
        items += f"<li style='{MUTED}'>and {len(entries) - MAX_ENTRIES} more</li>"
    is_open = " open" if style else ""
    summary = f"<summary style='{style}'>{title}: {len(entries)}</summary>"
    return f"<details{is_open}>{summary}<ul>{items}</ul></details>"


def _table(rows: Iterable[str], heads: Sequence[str] = ()) -> str:
    style = "text-align:left;padding:1px 10px 1px 0"
    head = "".join(f"<th style='{style}'>{escape(name)}</th>" for name in heads)
    head_row = f"<tr>{head}</tr>" if head else ""
    return f"<table style='text-align:left'>{head_row}{''.join(rows)}</table>"


def _row(*values: Any) -> str:
    return f"<tr>{''.join(_cell(value) for value in values)}</tr>"


class _Markup(str):
    """Text that is HTML already."""


def _cell(value: Any, *, code: bool = False) -> str:
    text = value if isinstance(value, _Markup) else escape(str(value))
    inner = f"<code>{text}</code>" if code else text
    return f"<td style='text-align:left;padding:1px 10px 1px 0'>{inner}</td>"


def _bar(fraction: float) -> _Markup:
    width = max(1, round(fraction * 120))
    return _Markup(f"<div style='background:#5b8def;height:0.7em;width:{width}px'></div>")


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _size(sides: tuple[int, int]) -> str:
    return f"{sides[0]} × {sides[1]}"


def _key_text(key: _core.ConfigKey) -> str:
    reason = f" ({key.reason})" if key.reason else ""
    return f"{key.key}: {key.key_class}{reason}"
