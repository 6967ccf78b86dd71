"""What notebooks show of configurations, reports, files and histories: HTML without scripts, which reads in light and dark."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Any

from . import _core
from ._figures import duration, size, smoothed

if TYPE_CHECKING:
    from PIL.Image import Image

    from ._history import History

MUTED = "opacity:0.65"
MARKED = "background:rgba(255,190,60,0.28);font-weight:600"
WRONG = "color:#d03a3a"
SHOWN = 20
"""How many entries of a list are shown."""


def config_html(config: _core.TrainConfig) -> str:
    """All options by group; those that are not at their defaults are marked and open."""
    given = config.to_dict()
    parts = [f"<b>TrainConfig</b> <span style='{MUTED}'>{len(given)} options are not at their defaults</span>"]
    for group, options in groupby(_core.options(), key=lambda option: option.group):
        rows, changed = [], 0
        for option in options:
            is_changed = option.name in given
            changed += is_changed
            value = given[option.name] if is_changed else getattr(config, option.name)
            rows.append(
                f"<tr style='{MARKED if is_changed else MUTED}' title='{escape(option.help)}'>"
                f"{_cell(option.name, code=True)}{_cell(_value(value), code=True)}</tr>"
            )
        count = f" <span style='{MARKED}'>&nbsp;{changed}&nbsp;</span>" if changed else ""
        opened = " open" if changed else ""
        parts.append(f"<details{opened}><summary>{escape(group)}{count}</summary>{_table(rows)}</details>")
    return _block(parts)


def report_html(report: _core.CheckReport) -> str:
    """What a run would be: problems first, then length, folders, buckets, images."""
    parts = [_verdict(report)]
    parts += [_list("Problems", report.problems, WRONG), _list("Warnings", report.warnings)]
    if report.subsets:
        rows = [
            _row(subset.name + (" (regularisation)" if subset.is_reg else ""), subset.images, subset.repeats,
                 subset.captioned, subset.class_tokens, subset.uncaptioned)
            for subset in report.subsets
        ]  # fmt: skip
        heads = ("folder", "images", "repeats", "captioned", "class tokens", "no caption")
        parts.append(_table(rows, heads))
    if report.buckets:
        most = max(bucket.images for bucket in report.buckets)
        rows = [
            _row(f"{bucket.width} × {bucket.height}", bucket.images, bucket.batches, _bar(bucket.images / most))
            for bucket in report.buckets
        ]
        parts.append(_table(rows, ("bucket", "images an epoch", "batches", "")))
    if report.examples:
        images = [
            f"<figure style='margin:4px;width:160px'><img src='{data_url(example.image)}' style='max-width:100%'>"
            f"<figcaption style='font-size:85%;{MUTED}'>{escape(_short(example.caption or 'no caption'))}<br>"
            f"{example.bucket[0]} × {example.bucket[1]}</figcaption></figure>"
            for example in report.examples
        ]
        parts.append(f"<div style='display:flex;flex-wrap:wrap'>{''.join(images)}</div>")
    if report.tags:
        parts.append(_list("Tags", [f"{tag} ({count})" for tag, count in report.tags]))
    cut = [f"{long.path}: {long.tokens} tokens, of which {long.used} are used" for long in report.long_captions]
    parts.append(_list("Captions that are cut", cut))
    parts.append(_list("Images with the same content", [" = ".join(map(str, group)) for group in report.duplicates]))
    tiny = [f"{small.path}: {_size(small.size)}, trained at {_size(small.bucket)}" for small in report.tiny_images]
    parts.append(_list("Images that are small for the resolution", tiny))
    parts.append(_list("As sd-scripts", report.reproduced))
    parts.append(_list("Keys of the file", [f"{key.key}: {key.key_class}{_reason(key)}" for key in report.keys]))
    return _block(parts)


def lora_html(info: _core.LoraInfo) -> str:
    """A LoRA file: figures, then its metadata."""
    metadata = info.metadata
    ranks = ", ".join(f"{rank} ({count} layers)" for rank, count in info.ranks.items())
    facts = {
        "for": info.family or "an unknown base",
        "rank": ranks,
        "alpha": ", ".join(f"{alpha:g}" for alpha in sorted({adapter.alpha for adapter in info.adapters})),
        "layers": f"{sum(adapter.is_unet for adapter in info.adapters)} of the UNet, "
        f"{sum(not adapter.is_unet for adapter in info.adapters)} of text encoders",
        "parameters": f"{info.parameters / 1e6:.2f} million, {', '.join(info.dtypes)}, {size(info.bytes)}",
        "base": metadata.get("ss_sd_model_name", ""),
        "trained": " ".join(
            f"{metadata[key]} {name}" for key, name in (("ss_steps", "steps"), ("ss_epoch", "epochs")) if key in metadata
        ),
        "other keys": ", ".join(info.other_keys[:SHOWN]),
    }
    rows = [_row(name, value) for name, value in facts.items() if value]
    entries = [_row(key, _short(value, 200)) for key, value in sorted(metadata.items())]
    parts = [f"<b>{escape(str(info.path))}</b>", _table(rows)]
    if entries:
        parts.append(f"<details><summary>{len(entries)} entries of metadata</summary>{_table(entries)}</details>")
    return _block(parts)


def history_html(history: History) -> str:
    """A training: its result and the curve of its loss."""
    if not history.steps:
        return _block(["<b>History</b>: no steps yet"])
    last = history.steps[-1]
    done = f"{last.step} of {last.total_steps} steps"
    rows = [
        _row("average loss", f"{last.average_loss:.4f}"),
        _row("speed", f"{last.it_per_s:.2f} steps a second"),
    ]
    if history.summary is not None:
        rows.append(_row("time", duration(history.summary.seconds)))
    if history.path is not None:
        rows.append(_row("LoRA", history.path))
    return _block([f"<b>History</b>: {done}", curve(history.losses), _table(rows)])


def curve(losses: Sequence[float], width: int = 560, height: int = 120) -> str:
    """Raw and smoothed losses as an SVG."""
    finest = max(1, len(losses) // width)
    raw, smooth = list(losses[::finest]), smoothed(list(losses))[::finest]
    low, high = min(raw), max(raw)
    span = (high - low) or 1.0

    def path(values: Sequence[float]) -> str:
        across = max(1, len(values) - 1)
        return " ".join(
            f"{at * width / across:.1f},{height - (value - low) / span * height:.1f}" for at, value in enumerate(values)
        )

    return (
        f"<svg viewBox='0 -4 {width} {height + 8}' width='{width}' height='{height + 8}' style='max-width:100%'>"
        f"<polyline points='{path(raw)}' fill='none' stroke='#5b8def' stroke-opacity='0.35'/>"
        f"<polyline points='{path(smooth)}' fill='none' stroke='#2f6bdf' stroke-width='2'/></svg>"
        f"<div style='font-size:85%;{MUTED}'>loss, raw and smoothed, from {low:.4f} to {high:.4f}</div>"
    )


def data_url(image: Image) -> str:
    """An image within a page: as JPEG, since notebooks are kept in repositories."""
    out = BytesIO()
    image.save(out, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{b64encode(out.getvalue()).decode()}"


def _verdict(report: _core.CheckReport) -> str:
    family = f"{escape(report.family)} · " if report.family else ""
    memory = "" if report.memory is None else f" · memory: about {size(report.memory)}"
    length = report.length
    steps = "" if length is None else (
        f"{length.images_per_epoch} images an epoch in {length.batches_per_epoch} batches · "
        f"{length.epochs} epochs · {length.total_steps} steps"
    )  # fmt: skip
    count = len(report.problems)
    verdict = "The run is possible." if report.is_ok else f"The run is not possible: {count} problem{'s'[: count != 1]}."
    return f"<b style='{'' if report.is_ok else WRONG}'>{verdict}</b><div style='{MUTED}'>{family}{steps}{memory}</div>"


def _block(parts: Iterable[str]) -> str:
    return f"<div style='line-height:1.45'>{''.join(parts)}</div>"


def _list(title: str, entries: Sequence[str], style: str = "") -> str:
    if not entries:
        return ""
    items = "".join(f"<li style='white-space:pre-line'>{escape(entry)}</li>" for entry in entries[:SHOWN])
    more = f"<li style='{MUTED}'>and {len(entries) - SHOWN} more</li>" if len(entries) > SHOWN else ""
    is_open = " open" if style else ""
    return f"<details{is_open}><summary style='{style}'>{title}: {len(entries)}</summary><ul>{items}{more}</ul></details>"


def _table(rows: Iterable[str], heads: Sequence[str] = ()) -> str:
    head = "".join(f"<th style='text-align:left;padding:1px 10px 1px 0'>{escape(name)}</th>" for name in heads)
    return f"<table style='text-align:left'>{f'<tr>{head}</tr>' if head else ''}{''.join(rows)}</table>"


def _row(*values: Any) -> str:
    return f"<tr>{''.join(_cell(value) for value in values)}</tr>"


class _Markup(str):
    """Text that is HTML already."""


def _cell(value: Any, *, code: bool = False) -> str:
    text = value if isinstance(value, _Markup) else escape(str(value))
    inner = f"<code>{text}</code>" if code else text
    return f"<td style='text-align:left;padding:1px 10px 1px 0'>{inner}</td>"


def _bar(share: float) -> _Markup:
    return _Markup(f"<div style='background:#5b8def;height:0.7em;width:{max(1, round(share * 120))}px'></div>")


def _value(value: Any) -> str:
    return "" if value is None else repr(value)


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _size(sides: tuple[int, int]) -> str:
    return f"{sides[0]} × {sides[1]}"


def _reason(key: _core.ConfigKey) -> str:
    return f" ({key.reason})" if key.reason else ""
