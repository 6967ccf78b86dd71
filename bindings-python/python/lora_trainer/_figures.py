"""Numbers as text, and smoothed curves."""

from __future__ import annotations


def plural(count: int, singular: str, several: str | None = None) -> str:
    """Returns a count with its noun: "1 image", "2 images"."""
    return f"{count} {singular if count == 1 else several or singular + 's'}"


def duration(seconds: float) -> str:
    """Returns a duration as text, such as "2 min 05 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def speed(steps_per_second: float) -> str:
    """Returns steps per second, or seconds per step if that is the larger number."""
    if steps_per_second >= 1:
        return f"{steps_per_second:.2f} it/s"
    return f"{1 / steps_per_second:.2f} s/it"


def size(count: float) -> str:
    """Returns a number of bytes as text, such as "1.5 MB"."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def smoothed(values: list[float], decay: float = 0.95) -> list[float]:
    """Returns the exponential moving average of values, without a bias towards 0 at the start."""
    means = []
    mean = total = 0.0
    for value in values:
        mean = decay * mean + (1 - decay) * value
        total = decay * total + (1 - decay)
        means.append(mean / total)
    return means
