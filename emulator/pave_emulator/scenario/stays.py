"""Who stands on one bay, and when: an endless sequence of stays, drawn as far as it is needed.

Theory of operation. A bay's stays come from a random source of its own, seeded by the scenario's seed and the bay's
id; the vehicle of the n-th stay from another, drawn only when somebody looks at the field. Times asked about may go
back by LOOKBACK_S: what is older than that is forgotten.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from pave_emulator.scenario import vehicle
from pave_emulator.scenario.calendar import PROFILES, Calendar
from pave_emulator.scenario.model import Scenario, Traffic, Visit
from pave_emulator.scenario.motion import MANOEUVRES, Manoeuvre, position_m
from pave_emulator.scenario.vehicle import Vehicle

LOOKBACK_S = 3600.0
_FORGET_STAYS = 16


@dataclass(eq=False)
class Stay:
    """The n-th stay on a bay, from 0. It has stopped at `arrive_s` and has gone at `leave_s`."""

    n: int
    arrive_s: float
    leave_s: float
    manoeuvre: Manoeuvre
    kind: str
    seed: str
    off_m: float = 0.0  # how much farther along than usual it stops

    @property
    def begin_s(self) -> float:
        """When it comes into sight."""
        return self.arrive_s - self.manoeuvre.in_s

    @property
    def depart_s(self) -> float:
        """When it begins to leave."""
        return self.leave_s - self.manoeuvre.out_s

    @cached_property
    def vehicle(self) -> Vehicle:
        """Who it is."""
        drawn = vehicle.draw(random.Random(f"{self.seed}:{self.n}"), self.kind)
        return replace(drawn, stop_m=(drawn.stop_m[0] + self.off_m, drawn.stop_m[1])) if self.off_m else drawn

    def position_m(self, now_s: float) -> tuple[float, float]:
        """Where its middle is, along and across from the sensor of its bay."""
        stop = self.vehicle.stop_m
        if now_s < self.arrive_s:
            at = position_m(self.manoeuvre.arrival, now_s - self.begin_s)
        else:
            at = position_m(self.manoeuvre.departure, now_s - self.depart_s)
        return (stop[0] + at[0], stop[1] + at[1])


class Presence(NamedTuple):
    """Who is on a bay or on the way to or from it, whether it moves, and until when that holds (s)."""

    stay: Stay | None
    moves: bool
    until_s: float


class Track:
    """The stays of one bay. `begins(s)` says whether a movement that would begin then does."""

    def __init__(self, source: Iterator[Stay], begins: Callable[[float], bool]) -> None:
        """Take stays from `source`, which is in order of time and does not overlap."""
        self._source = source
        self._begins = begins
        self._stays: list[Stay] = []
        self._ended = False

    def at(self, now_s: float) -> Presence:
        """Who is there, standing or moving, and when that next changes."""
        self._draw_past(now_s)
        coming_s = math.inf
        for stay in reversed(self._stays):
            if not self._begins(stay.begin_s):
                coming_s = math.inf
            elif stay.begin_s > now_s:
                coming_s = stay.begin_s
            elif now_s < stay.arrive_s:
                return Presence(stay, True, stay.arrive_s)
            elif not self._begins(stay.depart_s):
                return Presence(stay, False, math.inf)
            elif now_s < stay.depart_s:
                return Presence(stay, False, stay.depart_s)
            elif now_s < stay.leave_s:
                return Presence(stay, True, stay.leave_s)
            else:
                break
        return Presence(None, False, coming_s)

    def add(self, stay: Stay) -> None:
        """A stay that a step of the scenario has begun; the track must have no traffic of its own."""
        self._stays.append(stay)

    def last(self) -> Stay | None:
        """The last stay so far drawn or added."""
        return self._stays[-1] if self._stays else None

    def _draw_past(self, now_s: float) -> None:
        """Draw until one begins after `now_s`; forget the old."""
        while not self._ended and not (self._stays and self._stays[-1].begin_s > now_s):
            drawn = next(self._source, None)
            if drawn is None:
                self._ended = True
            else:
                self._stays.append(drawn)
        while len(self._stays) > _FORGET_STAYS and self._stays[0].leave_s < now_s - LOOKBACK_S:
            del self._stays[0]


def stays(scenario: Scenario, calendar: Calendar, bay: str, kind: str) -> Iterator[Stay]:
    """The stays of a bay: its scripted visits, or else the random traffic of its kind."""
    seed = f"{scenario.seed}:{bay}:vehicle"
    scripted = sorted((visit for visit in scenario.visits if visit.bay == bay), key=lambda visit: visit.arrive_s)
    for n, visit in enumerate(scripted):
        yield Stay(n, visit.arrive_s, visit.leave_s, MANOEUVRES[visit.manoeuvre], visit.vehicle, seed)
    if not scripted and (traffic := traffic_of(scenario, bay, kind)):
        yield from _random_stays(traffic, calendar, random.Random(f"{scenario.seed}:{bay}"), seed)


def stays_beside(traffic: Traffic, calendar: Calendar, seed: str) -> Iterator[Stay]:
    """The stays of those who stop next to a bay; `seed` names which bay and which of its `beside`."""
    return _random_stays(traffic, calendar, random.Random(seed), f"{seed}:vehicle")


def traffic_of(scenario: Scenario, bay: str, kind: str) -> Traffic | None:
    """The random traffic of a bay; None where vehicles are scripted, or none come."""
    if any(visit.bay == bay for visit in scenario.visits) or bay in stepped_bays(scenario):
        return None
    return next((traffic for traffic in scenario.traffic if traffic.kind == kind), None)


def stepped_bays(scenario: Scenario) -> set[str]:
    """The bays to which steps make vehicles come."""
    return {step.arguments["bay"] for step in scenario.steps if step.action == "arrive"}


def stay_of(visit: Visit, n: int, seed: int) -> Stay:
    """The n-th stay of a bay whose vehicles come by steps."""
    return Stay(
        n, visit.arrive_s, visit.leave_s, MANOEUVRES[visit.manoeuvre], visit.vehicle, f"{seed}:{visit.bay}:vehicle"
    )


def _random_stays(traffic: Traffic, calendar: Calendar, rng: random.Random, seed: str) -> Iterator[Stay]:
    profile = PROFILES[traffic.profile]
    aside = random.Random(f"{seed}:off")
    now_s, n = traffic.from_s, 0
    while True:
        kind, name = _pick(rng, traffic.vehicles), _pick(rng, traffic.manoeuvres)
        gap_s = calendar.after_busy(profile, now_s, rng.expovariate(1 / traffic.gap_s)) - now_s
        arrive_s = now_s + max(traffic.min_s, gap_s)
        leave_s = arrive_s + max(traffic.min_s, rng.expovariate(1 / traffic.stay_s))
        off_m = aside.choice((-1, 1)) * aside.uniform(*traffic.off_m)
        yield Stay(n, arrive_s, leave_s, MANOEUVRES[name], kind, seed, off_m)
        now_s, n = leave_s, n + 1


def _pick(rng: random.Random, shares: tuple[tuple[str, float], ...]) -> str:
    if len(shares) == 1:
        return shares[0][0]
    at = rng.random() * sum(share for _, share in shares)
    for name, share in shares:
        at -= share
        if at < 0:
            return name
    return shares[-1][0]
