"""Things that come at random instants, at the pace of the hour: a Poisson process that can be asked about any time.

Theory of operation. Time is cut into hours. What comes within one is drawn by a random source seeded by its number, so
no hour depends on another being asked about. The last few hours asked about are kept.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

from pave_emulator.scenario.calendar import DAY_S, HOUR_S, Calendar, Profile

T = TypeVar("T")

_HOURS_KEPT = 4


class Arrivals(Generic[T]):
    """`per_day` things a weekday; `draw(rng, t_s)` makes each, or None for one that does not matter."""

    def __init__(
        self,
        key: str,
        per_day: float,
        calendar: Calendar,
        profile: Profile,
        draw: Callable[[random.Random, float], T | None],
    ) -> None:
        """`key` seeds the process: scenario seed and name."""
        self._key = key
        self._per_s = per_day / DAY_S
        self._calendar = calendar
        self._profile = profile
        self._draw = draw
        self._hours: dict[int, tuple[list[float], list[T]]] = {}

    def between(self, from_s: float, until_s: float) -> list[T]:
        """What comes from `from_s` on and before `until_s`, in order."""
        found: list[T] = []
        for hour in range(max(0, math.floor(from_s / HOUR_S)), math.floor(until_s / HOUR_S) + 1):
            times_s, things = self._hour(hour)
            found += things[bisect_left(times_s, from_s) : bisect_left(times_s, until_s)]
        return found

    def _hour(self, hour: int) -> tuple[list[float], list[T]]:
        known = self._hours.get(hour)
        if known is None:
            while len(self._hours) >= _HOURS_KEPT:
                del self._hours[next(iter(self._hours))]
            known = self._hours[hour] = self._drawn(hour)
        return known

    def _drawn(self, hour: int) -> tuple[list[float], list[T]]:
        rng = random.Random(f"{self._key}:{hour}")
        times_s: list[float] = []
        things: list[T] = []
        now_s, end_s = hour * HOUR_S, (hour + 1) * HOUR_S
        rate_hz = self._per_s * self._calendar.weight(self._profile, now_s)
        while rate_hz > 0:
            now_s += rng.expovariate(rate_hz)
            if now_s >= end_s:
                break
            thing = self._draw(rng, now_s)
            if thing is not None:
                times_s.append(now_s)
                things.append(thing)
        return times_s, things
