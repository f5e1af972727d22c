"""A quantity that is set now and then, as a function of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """Piecewise constant. What holds before the first `set` is `first`."""

    def __init__(self, first: T) -> None:
        self._times_s: list[float] = [-math.inf]
        self._values: list[T] = [first]

    def set(self, now_s: float, value: T) -> None:
        """From `now_s` on this value. Raise ValueError when a later one is set already."""
        if now_s < self._times_s[-1]:
            raise ValueError(f"set at {now_s} s after it was set at {self._times_s[-1]} s")
        self._times_s.append(now_s)
        self._values.append(value)

    def at(self, now_s: float) -> T:
        """What holds at this time."""
        return self._values[bisect_right(self._times_s, now_s) - 1]

    def next_s(self, now_s: float) -> float:
        """When something else is set after `now_s`; infinity when nothing is."""
        index = bisect_right(self._times_s, now_s)
        return self._times_s[index] if index < len(self._times_s) else math.inf

    def changes(self) -> list[tuple[float, T]]:
        """Every `set` so far: when, and to what."""
        return list(zip(self._times_s, self._values, strict=True))[1:]
