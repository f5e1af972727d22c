"""The street: which vehicle stands where, the field it makes, and the truth about each bay.

Theory of operation. Each bay has one endless sequence of visits, drawn from a random source of its own that is seeded
by the scenario's seed and the bay's id, so that nothing depends on the order of questions. Visits are drawn as far as
they are needed. A vehicle has stopped at `arrive_s`, moves again MOVE_S before `leave_s`, and has gone at `leave_s`:
these two instants are the truth. Time is an argument (seconds, from 0).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pave_emulator.nearest import hint
from pave_emulator.scenario import vehicle
from pave_emulator.scenario.load import Scenario, ScenarioError, Traffic
from pave_emulator.scenario.vehicle import MOVE_S, Vehicle

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Bay:
    """A place where a vehicle may stand. `kind` selects its traffic."""

    id: str
    kind: str


@dataclass(frozen=True, order=True)
class Change:
    """A vehicle has stopped on a bay, or has gone from it: the n-th change there, from 1."""

    t_s: float
    bay: str
    n: int
    occupied: bool


@dataclass(frozen=True)
class _Stay:
    arrive_s: float
    leave_s: float
    vehicle: Vehicle


class _BayTrack:
    """The visits of one bay so far drawn."""

    def __init__(self, stays: Iterator[_Stay]) -> None:
        self._source = stays
        self._stays: list[_Stay] = []
        self._current = 0  # the first stay that is not long past
        self._ended = False

    def around(self, now_s: float, begins: Callable[[float], bool]) -> _Stay | None:
        """The stay that is going on or comes next; times must not go back. One that may not end stays."""
        while (stay := self.stay(self._current)) and stay.leave_s < now_s and begins(stay.leave_s - MOVE_S):
            self._current += 1
        return stay

    def stay(self, index: int) -> _Stay | None:
        """The stay with this number, None when the sequence has fewer."""
        while len(self._stays) <= index and not self._ended:
            drawn = next(self._source, None)
            if drawn is None:
                self._ended = True
            else:
                self._stays.append(drawn)
        return self._stays[index] if index < len(self._stays) else None

    def change(self, number: int) -> tuple[float, bool, float] | None:
        """Change `number` (from 0) as (time, occupied, start of the movement)."""
        stay = self.stay(number // 2)
        if stay is None:
            return None
        when_s = stay.leave_s if number % 2 else stay.arrive_s
        return when_s, not number % 2, when_s - MOVE_S


class World:
    """The bays of one site under one scenario."""

    def __init__(self, scenario: Scenario, bays: list[Bay]) -> None:
        self._scenario = scenario
        self._check(bays)
        self._tracks = {bay.id: _BayTrack(self._stays(bay)) for bay in bays}
        self._stopped_s: float | None = None
        self._due: list[Change] = []
        for bay in bays:
            self._push(bay.id, 0)

    def field_ut(self, place: str, now_s: float) -> Vector:
        """Field at a bay's sensor without noise, uT: x north, y east, z down."""
        stay = self._tracks[place].around(now_s, self._begins)
        earth = self._scenario.earth_field_ut
        if stay is None or now_s < stay.arrive_s - MOVE_S or not self._begins(stay.arrive_s - MOVE_S):
            return earth
        leave_s = stay.leave_s if self._begins(stay.leave_s - MOVE_S) else float("inf")
        added = stay.vehicle.field_ut(vehicle.distance_m(now_s, stay.arrive_s, leave_s))
        return (earth[0] + added[0], earth[1] + added[1], earth[2] + added[2])

    def sensor(self, place: str) -> Callable[[float], Vector]:
        """The field at a bay as one sensor measures it: with noise of its own, the same for the same seed."""
        if place not in self._tracks:
            raise KeyError(f"no bay {place!r}: {hint(place, self._tracks)}")
        noise = random.Random(f"{self._scenario.seed}:{place}:noise")
        sigma_ut = self._scenario.noise_ut

        def measure(now_s: float) -> Vector:
            x, y, z = self.field_ut(place, now_s)
            return (x + noise.gauss(0, sigma_ut), y + noise.gauss(0, sigma_ut), z + noise.gauss(0, sigma_ut))

        return measure

    def advance(self, now_s: float) -> list[Change]:
        """The changes due up to `now_s` that were not given yet, in order of time."""
        given: list[Change] = []
        while self._due and self._due[0].t_s <= now_s:
            change = heapq.heappop(self._due)
            given.append(change)
            self._push(change.bay, change.n)
        return given

    def next_change_s(self) -> float | None:
        """When the next change is due; None when nothing will ever change again."""
        return self._due[0].t_s if self._due else None

    def stop_traffic(self, now_s: float) -> None:
        """From now on no vehicle begins to move; those on the move finish, and their changes are still given."""
        self._stopped_s = now_s
        self._due = [change for change in self._due if self._begins(change.t_s - MOVE_S)]
        heapq.heapify(self._due)

    def _begins(self, start_s: float) -> bool:
        return self._stopped_s is None or start_s <= self._stopped_s

    def _push(self, bay: str, number: int) -> None:
        found = self._tracks[bay].change(number)
        if found and self._begins(found[2]):
            heapq.heappush(self._due, Change(found[0], bay, number + 1, found[1]))

    # Visits

    def _stays(self, bay: Bay) -> Iterator[_Stay]:
        rng = random.Random(f"{self._scenario.seed}:{bay.id}")
        scripted = sorted((v for v in self._scenario.visits if v.bay == bay.id), key=lambda v: v.arrive_s)
        for visit in scripted:
            yield _Stay(visit.arrive_s, visit.leave_s, vehicle.draw(rng))
        traffic = next((t for t in self._scenario.traffic if t.kind == bay.kind), None)
        if traffic and not scripted:
            yield from _random_stays(traffic, rng)

    def _check(self, bays: list[Bay]) -> None:
        ids, kinds = {bay.id for bay in bays}, {bay.kind for bay in bays}
        for visit in self._scenario.visits:
            if visit.bay not in ids:
                raise ScenarioError(f"visits: no bay {visit.bay!r}: {hint(visit.bay, ids)}")
        for traffic in self._scenario.traffic:
            if traffic.kind not in kinds:
                raise ScenarioError(f"traffic: no bay of kind {traffic.kind!r}: {hint(traffic.kind, kinds)}")
        by_bay = sorted(self._scenario.visits, key=lambda v: (v.bay, v.arrive_s))
        for before, after in itertools.pairwise(by_bay):
            if before.bay == after.bay and after.arrive_s - before.leave_s < MOVE_S:
                raise ScenarioError(
                    f"visits: {after.bay} arrives at {after.arrive_s} s, within {MOVE_S} s of the last leave"
                )


def _random_stays(traffic: Traffic, rng: random.Random) -> Iterator[_Stay]:
    now_s = 0.0
    while True:
        arrive_s = now_s + max(traffic.min_s, rng.expovariate(1 / traffic.gap_s))
        leave_s = arrive_s + max(traffic.min_s, rng.expovariate(1 / traffic.stay_s))
        yield _Stay(arrive_s, leave_s, vehicle.draw(rng))
        now_s = leave_s
