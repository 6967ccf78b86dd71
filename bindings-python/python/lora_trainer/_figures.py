"""Numbers as people read them."""

from __future__ import annotations


def plural(count: int, name: str) -> str:
    """A number of things."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def pace(it_per_s: float) -> str:
    """Steps a second, or seconds a step."""
    return f"{it_per_s:.2f} it/s" if it_per_s >= 1 else f"{1 / it_per_s:.2f} s/it"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def smoothed(values: list[float], weight: float = 0.95) -> list[float]:
    """A running mean in which each value counts `weight` times the one after it; the start is not drawn towards 0."""
    means = []
    mean = share = 0.0
    for value in values:
        mean = weight * mean + (1 - weight) * value
        share = weight * share + (1 - weight)
        means.append(mean / share)
    return means
