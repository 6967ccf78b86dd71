"""The iterators of a trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ._core import Event, Step


class Events(Iterator[Event]):
    """Calls a function until it returns `None`. Unlike a generator, it survives an exception."""

    def __init__(self, advance: Callable[[], Event | None]) -> None:
        self._advance = advance

    def __next__(self) -> Event:
        event = self._advance()
        if event is None:
            raise StopIteration
        return event


class Steps(Iterator[Step]):
    """The updates among events."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events

    def __next__(self) -> Step:
        for event in self._events:
            if isinstance(event, Step):
                return event
        raise StopIteration
