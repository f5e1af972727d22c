"""Vehicles that pass by in the lanes beside a row of bays.

Theory of operation. One stream of vehicles for each row of bays: who passes the first of the row passes the others a
moment later. How strong each is at most is found once; who gives next to nothing is left out, so the field is exactly
at rest between the others.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from pave_emulator.scenario import vehicle
from pave_emulator.scenario.arrivals import Arrivals
from pave_emulator.scenario.calendar import HOUR_S, PROFILES, Calendar
from pave_emulator.scenario.model import Passers
from pave_emulator.scenario.vehicle import Vector, Vehicle

SILENT_UT = 0.05  # fields below are left out: a sixth of the sensor's noise
_MOST_REACH_M = 25.0  # from where on nobody is felt
# Where on its way a vehicle's peak is looked for, and what it may be more between two of these points.
_PEAK_POINTS, _PEAK_MARGIN = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0), 1.2
_HOURS_KEPT = 4


@dataclass(frozen=True)
class Passer:
    """One vehicle in a lane: beside the row's origin at `t_s`, going `velocity_mps` along the street."""

    t_s: float
    velocity_mps: float
    across_m: float
    vehicle: Vehicle
    half_s: float
    peak_ut: float

    def window(self, along_m: float) -> tuple[float, float]:
        """From when until when it is felt `along_m` along from the origin."""
        middle_s = self.t_s + along_m / self.velocity_mps
        return middle_s - self.half_s, middle_s + self.half_s

    def loud_window(self, along_m: float, field_ut: float) -> tuple[float, float]:
        """From when until when it may give more than that `along_m` along from the origin; empty if never."""
        middle_s = self.t_s + along_m / self.velocity_mps
        if self.peak_ut <= field_ut:
            return middle_s, middle_s
        half_s = _half_m(self.vehicle, self.across_m, field_ut) / abs(self.velocity_mps)
        return middle_s - half_s, middle_s + half_s

    def field_ut(self, along_m: float, now_s: float) -> Vector:
        """Its field at a sensor `along_m` along from the origin."""
        return self.vehicle.field_ut((now_s - self.t_s) * self.velocity_mps - along_m, self.across_m)


class PasserStream:
    """Who passes one row of bays."""

    def __init__(self, passers: Passers, seed: int, row: str, calendar: Calendar) -> None:
        """`row` names the row, for its randomness."""
        self.slowest_mps = passers.speed_mps[0]
        self._passers = passers
        kinds, shares = zip(*passers.vehicles, strict=True)
        self._kinds, self._shares_so_far = kinds, list(accumulate(shares))
        self._arrivals = Arrivals(
            f"{seed}:{row}:passers", passers.per_day, calendar, PROFILES[passers.profile], self._draw
        )

    def windows(self, along_m: float, from_s: float, until_s: float) -> list[tuple[float, float, Passer]]:
        """Who begins to be felt `along_m` along from the origin, from `from_s` on and before `until_s`.

        Each with its window, in the order of beginning.
        """
        margin_s = (abs(along_m) + _MOST_REACH_M) / self.slowest_mps
        near = self._arrivals.between(from_s - margin_s, until_s + margin_s)
        windows = [(*passer.window(along_m), passer) for passer in near]
        return sorted((w for w in windows if from_s <= w[0] < until_s), key=lambda window: window[0])

    def _draw(self, rng: random.Random, t_s: float) -> Passer | None:
        found = vehicle.draw_passing(rng, rng.choices(self._kinds, cum_weights=self._shares_so_far)[0])
        across_m = rng.uniform(*self._passers.lane_m)
        velocity_mps = rng.uniform(*self._passers.speed_mps) * (1 if rng.random() < 0.5 else -1)
        half_m = _half_m(found, across_m, SILENT_UT)
        if not half_m:
            return None
        near_m = found.reach_m + across_m / 2
        peak_ut = max(math.hypot(*found.field_ut(near_m * share, across_m)) for share in _PEAK_POINTS)
        return Passer(t_s, velocity_mps, across_m, found, half_m / abs(velocity_mps), peak_ut * _PEAK_MARGIN)


class Lanes:
    """Who passes one bay of a row."""

    def __init__(self, stream: PasserStream, along_m: float, begins: Callable[[float], bool]) -> None:
        """`along_m` is where the bay is in its row; `begins(s)` says whether who would come then does."""
        self.along_m = along_m
        self._stream = stream
        self._begins = begins
        self._hours: dict[int, tuple[list[float], list[tuple[float, float, Passer]]]] = {}

    def felt(self, now_s: float) -> tuple[list[Passer], float]:
        """Who is felt now, and until when nobody else is, and none of them ceases to be."""
        present = list(self._present(now_s))
        until_s = min([self.next_s(now_s), *(end_s for _, end_s, _ in present)])
        return [passer for _, _, passer in present], until_s

    def next_s(self, now_s: float) -> float:
        """When the next begins to be felt; at latest in two hours."""
        for begin_s, _, _ in self._coming(now_s):
            return begin_s
        return self._known_until_s(now_s)

    def faint_until_s(self, now_s: float, until_s: float, field_ut: float, room: int) -> float:
        """Until when nobody gives more than `field_ut`, and no more than `room` come to those who are felt now.

        At most `until_s`; now if somebody may give more already.
        """
        for _, _, passer in self._present(now_s):
            until_s = min(until_s, self._loud_s(passer, now_s, field_ut))
        present_s: list[float] = []  # until when those are felt who have come meanwhile
        for begin_s, end_s, passer in self._coming(now_s):
            if begin_s >= until_s:
                return until_s
            until_s = min(until_s, self._loud_s(passer, begin_s, field_ut))
            present_s = [gone_s for gone_s in present_s if gone_s > begin_s] + [end_s]
            if len(present_s) > room:
                return min(until_s, begin_s)
        return min(until_s, self._known_until_s(now_s))

    def _loud_s(self, passer: Passer, from_s: float, field_ut: float) -> float:
        """From when on, at `from_s` or later, it may give more than a field."""
        loud_s, silent_s = passer.loud_window(self.along_m, field_ut)
        return max(from_s, loud_s) if silent_s > max(from_s, loud_s) else math.inf

    def _present(self, now_s: float) -> Iterator[tuple[float, float, Passer]]:
        """Who is felt now: (from, until, who)."""
        for hour in (now_s // HOUR_S - 1, now_s // HOUR_S):
            starts_s, windows = self._hour(int(hour))
            first = bisect_left(starts_s, now_s - self._longest_s())
            for window in windows[first : bisect_right(starts_s, now_s)]:
                if now_s < window[1] and self._begins(window[0]):
                    yield window

    def _coming(self, now_s: float) -> Iterator[tuple[float, float, Passer]]:
        """Who begins to be felt after now, in order, within two hours: (from, until, who)."""
        for hour in (now_s // HOUR_S, now_s // HOUR_S + 1):
            starts_s, windows = self._hour(int(hour))
            for at in range(bisect_right(starts_s, now_s), len(windows)):
                if not self._begins(windows[at][0]):
                    return
                yield windows[at]

    def _known_until_s(self, now_s: float) -> float:
        """Until when `_coming` knows of all; for ever once nobody begins any more."""
        known_s = (now_s // HOUR_S + 2) * HOUR_S
        return known_s if self._begins(known_s) else math.inf

    def _longest_s(self) -> float:
        return 2 * _MOST_REACH_M / self._stream.slowest_mps

    def _hour(self, hour: int) -> tuple[list[float], list[tuple[float, float, Passer]]]:
        known = self._hours.get(hour)
        if known is None:
            while len(self._hours) >= _HOURS_KEPT:
                del self._hours[next(iter(self._hours))]
            windows = self._stream.windows(self.along_m, hour * HOUR_S, (hour + 1) * HOUR_S)
            known = self._hours[hour] = ([window[0] for window in windows], windows)
        return known


def _half_m(found: Vehicle, across_m: float, field_ut: float) -> float:
    """How far along before and behind a sensor a vehicle in this lane may give more than a field; 0 if nowhere."""
    reach_m = found.silent_m(field_ut) - found.reach_m
    return math.sqrt(reach_m**2 - across_m**2) + found.reach_m if reach_m > across_m else 0.0
