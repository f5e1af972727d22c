"""The bays' vehicles and the truth about them: which vehicle stands where, and the changes in order of time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pave_emulator.scenario.calendar import Calendar
from pave_emulator.scenario.model import Scenario, ScenarioError, Visit
from pave_emulator.scenario.site import Bay
from pave_emulator.scenario.stays import Stay, Track, stay_of, stays, traffic_of


@dataclass(frozen=True, order=True)
class Change:
    """A vehicle has stopped on a bay, or has gone from it: the n-th change there, from 1."""

    t_s: float
    bay: str
    n: int
    occupied: bool


class Street:
    """The stays on all bays."""

    def __init__(self, scenario: Scenario, bays: Sequence[Bay], calendar: Calendar) -> None:
        """Nothing has happened yet."""
        self._scenario = scenario
        self._stopped_s: float | None = None
        # Twice the same stays: truth and field are asked about different times.
        self._sources = {bay.id: stays(scenario, calendar, bay.id, bay.kind) for bay in bays}
        self.tracks = {bay.id: Track(stays(scenario, calendar, bay.id, bay.kind), self.begins) for bay in bays}
        self._by_steps = {bay.id for bay in bays if traffic_of(scenario, bay.id, bay.kind) is None}
        self._by_steps -= {visit.bay for visit in scenario.visits}
        self._due: list[tuple[Change, Stay]] = []
        for bay in bays:
            self._push_arrival(bay.id)

    def begins(self, start_s: float) -> bool:
        """Whether a movement that would begin then does: not after the traffic was stopped."""
        return self._stopped_s is None or start_s <= self._stopped_s

    def advance(self, now_s: float) -> list[Change]:
        """The changes due up to `now_s` that were not given yet, in order of time."""
        given: list[Change] = []
        while self._due and self._due[0][0].t_s <= now_s:
            change, stay = heapq.heappop(self._due)
            given.append(change)
            if change.occupied:
                self._push_departure(change.bay, stay)
            else:
                self._push_arrival(change.bay)
        return given

    def next_change_s(self) -> float | None:
        """When the next change is due; None when nothing will ever change again."""
        return self._due[0][0].t_s if self._due else None

    def stop(self, now_s: float) -> None:
        """From now on no vehicle begins to move."""
        self._stopped_s = now_s
        self._due = [
            (change, stay)
            for change, stay in self._due
            if self.begins(stay.begin_s if change.occupied else stay.depart_s)
        ]
        heapq.heapify(self._due)

    def arrive(self, bay: str, vehicle: str, manoeuvre: str, now_s: float) -> None:
        """A vehicle comes into sight of a bay that has no traffic of its own. Raise ScenarioError when it cannot."""
        last = self._own(bay).last()
        if last is not None and now_s < last.leave_s:
            raise ScenarioError(f"arrive: at {now_s:g} s a vehicle is still on {bay}: let it leave first")
        stay = stay_of(Visit(bay, now_s, math.inf, vehicle, manoeuvre), last.n + 1 if last else 0, self._scenario.seed)
        stay.arrive_s = now_s + stay.manoeuvre.in_s
        self.tracks[bay].add(stay)
        self._push(bay, stay, True)

    def leave(self, bay: str, now_s: float) -> None:
        """The vehicle that came by a step begins to leave. Raise ScenarioError when there is none that stands."""
        last = self._own(bay).last()
        if last is None or now_s < last.arrive_s or math.isfinite(last.leave_s):
            raise ScenarioError(f"leave: at {now_s:g} s no vehicle stands on {bay}")
        last.leave_s = now_s + last.manoeuvre.out_s
        self._push(bay, last, False)

    def _own(self, bay: str) -> Track:
        if bay not in self._by_steps:
            raise ScenarioError(f"{bay} has traffic or visits of its own: steps cannot move its vehicles")
        return self.tracks[bay]

    def _push_arrival(self, bay: str) -> None:
        stay = next(self._sources[bay], None)
        if stay is not None and self.begins(stay.begin_s):
            self._push(bay, stay, True)

    def _push_departure(self, bay: str, stay: Stay) -> None:
        if math.isfinite(stay.leave_s) and bay not in self._by_steps and self.begins(stay.depart_s):
            self._push(bay, stay, False)

    def _push(self, bay: str, stay: Stay, occupied: bool) -> None:
        t_s = stay.arrive_s if occupied else stay.leave_s
        heapq.heappush(self._due, (Change(t_s, bay, 2 * stay.n + (1 if occupied else 2), occupied), stay))
