"""Persons: who stands on a bay, who comes to a kiosk and presses its button; and the kiosk's own switches."""

from __future__ import annotations

import heapq
import math
import random
from bisect import insort
from dataclasses import dataclass

from pave_emulator.scenario.arrivals import Arrivals
from pave_emulator.scenario.calendar import HOUR_S, PROFILES, Calendar
from pave_emulator.scenario.noise import key_of, uniform
from pave_emulator.scenario.timeline import Timeline

HEARTBEAT_S = 5.0  # the kiosk PC's, on its UART
ROUNDING_S = 1e-3  # a beat so near is the one that has just been
LEVELS = {"mains": True, "lid": False, "pc": True}  # lid: True is open
_STAY_S, _MOST_S = 40.0, 300.0
_PRESSES = (0, 0, 1, 1, 2, 3)
_LOOK_AHEAD_S = 6 * HOUR_S


@dataclass(frozen=True, order=True)
class Happening:
    """Something at a place that a board can notice: what as in `events`, `on` where it begins or ends, `of` a level."""

    t_s: float
    place: str
    what: str
    on: bool = True
    of: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody at a place, and when they press the button."""

    from_s: float
    until_s: float
    presses_s: tuple[float, ...]


class Persons:
    """Who is at one place. `pressing` is for a place with a button."""

    def __init__(self, per_day: float, seed: int, place: str, calendar: Calendar, pressing: bool) -> None:
        """So many a weekday."""
        draw = _pressing if pressing else _standing
        self._arrivals = Arrivals(f"{seed}:{place}:persons", per_day, calendar, PROFILES["people"], draw)
        self._stepped: list[tuple[float, float]] = []

    def add(self, from_s: float, until_s: float) -> None:
        """A step of the scenario has made somebody stand here."""
        insort(self._stepped, (from_s, until_s))

    def present(self, now_s: float) -> bool:
        """Whether somebody is here."""
        if any(from_s <= now_s < until_s for from_s, until_s in self._stepped):
            return True
        return any(person.until_s > now_s for person in self._arrivals.between(now_s - _MOST_S, now_s + 1e-6))

    def happenings(self, place: str, from_s: float, until_s: float) -> list[Happening]:
        """What those do who come by themselves, from `from_s` on and before `until_s`."""
        found: list[Happening] = []
        for person in self._arrivals.between(from_s - _MOST_S, until_s):
            found += [Happening(person.from_s, place, "person"), Happening(person.until_s, place, "person", False)]
            found += [Happening(press_s, place, "press") for press_s in person.presses_s]
        return sorted(happening for happening in found if from_s <= happening.t_s < until_s)


class Kiosk:
    """One kiosk's surroundings: its persons, its mains, its lid, its PC."""

    def __init__(self, per_day: float, seed: int, place: str, calendar: Calendar) -> None:
        """So many persons a weekday."""
        self.place = place
        self.persons = Persons(per_day, seed, place, calendar, pressing=True)
        self.levels = {name: Timeline(first) for name, first in LEVELS.items()}
        self._due: list[Happening] = []
        self._drawn_s = 0.0
        self._phase_s = uniform(key_of(seed, f"{place}:heartbeat"), 0) * HEARTBEAT_S

    def next_s(self) -> float:
        """When something next happens here; at latest when nobody has looked yet."""
        return min(self._due[0].t_s, self._drawn_s) if self._due else self._drawn_s

    def advance(self, now_s: float) -> list[Happening]:
        """What has happened up to `now_s` and was not given yet."""
        while self._drawn_s <= now_s:
            until_s = self._drawn_s + _LOOK_AHEAD_S
            for happening in self.persons.happenings(self.place, self._drawn_s, until_s):
                heapq.heappush(self._due, happening)
            self._drawn_s = until_s
        found: list[Happening] = []
        while self._due and self._due[0].t_s <= now_s:
            found.append(heapq.heappop(self._due))
        return found

    def plan(self, happening: Happening) -> None:
        """A step of the scenario makes this happen."""
        heapq.heappush(self._due, happening)

    def next_heartbeat_s(self, now_s: float) -> float | None:
        """When the PC next says that it lives, after `now_s`; None while it is dead or without mains."""
        if not (self.levels["pc"].at(now_s) and self.levels["mains"].at(now_s)):
            return None
        count = math.floor((now_s - self._phase_s) / HEARTBEAT_S) + 1
        due_s = count * HEARTBEAT_S + self._phase_s
        return due_s if due_s - now_s > ROUNDING_S else due_s + HEARTBEAT_S


def _standing(rng: random.Random, t_s: float) -> Person:
    return Person(t_s, t_s + min(_MOST_S, 3.0 + rng.expovariate(1 / _STAY_S)), ())


def _pressing(rng: random.Random, t_s: float) -> Person:
    stay_s = min(_MOST_S, 3.0 + rng.expovariate(1 / _STAY_S))
    presses_s = sorted(t_s + rng.uniform(1.0, stay_s - 1.0) for _ in range(rng.choice(_PRESSES)))
    return Person(t_s, t_s + stay_s, tuple(presses_s))
