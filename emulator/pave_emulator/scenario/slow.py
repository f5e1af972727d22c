"""What changes the field without anything moving on the street: trains below it, temperature, and time.

Theory of operation. A DC metro feeds trains by a third rail and takes the current back by the running rails; while one
draws its starting current, the loop of both makes a field of microteslas at the street above. Such swells last tens of
seconds and come with every train (BART in San Francisco: Fraser-Smith and Coates, Radio Science 13, 1978; Ho,
Fraser-Smith and Villard, Radio Science 14, 1979). One swell here is sin2 in
time, so its slope is known, and with it for how long the field surely stays where it is.

Drift is linear between points ten minutes apart. A sensor follows the road's temperature that much later, so what a
step does to the weather never changes what a sensor has felt already, or was promised.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pave_emulator.scenario.calendar import DAY_S, Calendar
from pave_emulator.scenario.model import NO_FIELD, Drift, Metro
from pave_emulator.scenario.noise import key_of, uniform, wander
from pave_emulator.scenario.vehicle import Vector

GRID_S = 600.0
_JITTER = 0.4  # of a headway: trains are not quite regular
_MIN_SHARE, _MAX_SHARE = 0.5, 1.5  # of the mean train's field


class Trains:
    """One line, as it is felt above."""

    def __init__(self, metro: Metro, seed: int, calendar: Calendar) -> None:
        """`seed` and the line's name decide when each train comes."""
        self._metro = metro
        self._key = key_of(seed, f"{metro.line}:trains")
        self._calendar = calendar
        sides = self._metro.field_ut
        self._felt: list[tuple[float, float]] = []
        self._from_s, self._until_s = math.inf, -math.inf
        self._slope_utps = math.pi / metro.swell_s * _MAX_SHARE * max(abs(side) for side in sides)

    def field_ut(self, now_s: float) -> Vector:
        """What its trains add to the field: x north, y east, z down."""
        if not self._from_s <= now_s < self._until_s:
            self._look(now_s)
        if not self._felt:
            return NO_FIELD
        share = 0.0
        for begin_s, size in self._felt:
            share += size * math.sin(math.pi * (now_s - begin_s) / self._metro.swell_s) ** 2
        x, y, z = self._metro.field_ut
        return (share * x, share * y, share * z)

    def steady_until_s(self, now_s: float, within_ut: float) -> float:
        """Until when what they add changes by no more than this on any axis."""
        if not self._from_s <= now_s < self._until_s:
            self._look(now_s)
        steady_s = within_ut / (self._slope_utps * len(self._felt)) if self._felt else math.inf
        return min(self._until_s, now_s + steady_s)

    def _look(self, now_s: float) -> None:
        """Who is felt now, and until when they and no others are."""
        metro = self._metro
        number = math.floor(now_s / metro.headway_s)
        trains = [self._train(n) for n in range(max(0, number - 2), number + 3)]
        felt = [(begin_s, size) for begin_s, size in trains if size and begin_s <= now_s < begin_s + metro.swell_s]
        ends_s = [begin_s + metro.swell_s for begin_s, _ in felt]
        self._felt, self._from_s = felt, now_s
        self._until_s = min([*ends_s, *(begin_s for begin_s, _ in trains if begin_s > now_s)])

    def _train(self, number: int) -> tuple[float, float]:
        """When its swell begins, and its size against the mean; 0 out of hours."""
        begin_s = (number + _JITTER * uniform(self._key, 2 * number)) * self._metro.headway_s
        first, last = self._metro.hours
        if (self._calendar.hour(begin_s) - first) % 24 > last - first:
            return begin_s, 0.0
        return begin_s, _MIN_SHARE + (_MAX_SHARE - _MIN_SHARE) * uniform(self._key, 2 * number + 1)


class SlowField:
    """Hard iron, temperature and wander of one sensor."""

    def __init__(self, drift: Drift, seed: int, place: str, temperature_c: Callable[[float], float]) -> None:
        """`temperature_c` is the sensor's; its coefficient is against 25 degrees."""
        self._drift = drift
        self._temperature_c = temperature_c
        key = key_of(seed, f"{place}:drift")
        self._walks = [key_of(seed, f"{place}:drift:{axis}") for axis in "xyz"]
        signs = [2 * uniform(key, n) - 1 for n in range(6)]
        self._per_k = [sign * drift.temperature_ut_per_k for sign in signs[:3]]
        self._fixed = [sign * drift.hard_iron_ut for sign in signs[3:]]
        self._none = not (drift.temperature_ut_per_k or drift.wander_ut or drift.hard_iron_ut)
        self._cell = -1
        self._from, self._to = NO_FIELD, NO_FIELD

    def field_ut(self, now_s: float) -> Vector:
        """What they add to the field."""
        if self._none:
            return NO_FIELD
        cell = int(now_s // GRID_S)
        if cell != self._cell:
            self._from, self._to, self._cell = self._point(cell), self._point(cell + 1), cell
        part = now_s / GRID_S - cell
        a, b = self._from, self._to
        return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part)

    def steady_until_s(self, now_s: float, within_ut: float) -> float:
        """Until when it changes by no more than this on any axis; at most to the next point."""
        if self._none:
            return math.inf
        self.field_ut(now_s)
        slope_utps = max(abs(b - a) for a, b in zip(self._from, self._to, strict=True)) / GRID_S
        end_s = (self._cell + 1) * GRID_S
        return min(end_s, now_s + within_ut / slope_utps) if slope_utps else end_s

    def _point(self, cell: int) -> Vector:
        at_s = cell * GRID_S
        over_k = self._temperature_c(at_s - GRID_S) - 25.0
        x, y, z = (
            fixed + per_k * over_k + self._drift.wander_ut * wander(key, at_s / (self._drift.days * DAY_S))
            for fixed, per_k, key in zip(self._fixed, self._per_k, self._walks, strict=True)
        )
        return (x, y, z)
