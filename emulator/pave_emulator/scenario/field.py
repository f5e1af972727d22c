"""The magnetic field at one bay: earth, whoever stands or moves there and beside it, who passes by, and slow changes.

Theory of operation. A field is asked for ten times a second and mostly nothing moves. So the sum of what stands still,
and who moves, are kept together with the span of time in which that holds; within it only those who move are computed
anew. Places of neighbours and lanes are in the street's frame, the result in the sensor's: x north, y east, z down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pave_emulator.scenario.model import NO_FIELD
from pave_emulator.scenario.passers import Lanes, Passer
from pave_emulator.scenario.slow import SlowField, Trains
from pave_emulator.scenario.stays import Stay, Track
from pave_emulator.scenario.timeline import Timeline
from pave_emulator.scenario.vehicle import Vector

# Shares of the room that `stays_until_s` finds, which together stay below it.
_MOVERS_SHARE, _TRAINS_SHARE, _SLOW_SHARE = 0.7, 0.15, 0.1
_UNFELT_UT = 0.02


@dataclass(frozen=True)
class Neighbour:
    """A bay whose vehicles are felt: its track, and where it is from here, along and across the street in m."""

    track: Track
    along_m: float
    across_m: float


class PlaceField:
    """The field at one bay without the sensor's noise."""

    def __init__(
        self,
        earth_ut: Vector,
        bays: Sequence[Neighbour],
        heading_rad: float,
        lanes: Lanes | None,
        trains: Sequence[Trains],
        slow: SlowField,
    ) -> None:
        """`bays` are this bay itself, first, and its neighbours; `heading_rad` is the street's, from north to east."""
        self.shift_ut: Timeline[Vector] = Timeline(NO_FIELD)
        self._earth = earth_ut
        self._bays = bays
        self._cos, self._sin = math.cos(heading_rad), math.sin(heading_rad)
        self._lanes = lanes
        self._along_m = lanes.along_m if lanes else 0.0
        self._stays_until_s = -math.inf
        self._trains = trains
        self._slow = slow
        self._standing: list[tuple[Stay | None, Vector]] = [(None, NO_FIELD) for _ in bays]
        # What holds from _from_s until _until_s: the sum of what stands still, and who moves.
        self._still_ut = NO_FIELD
        self._moving: list[tuple[Stay, Neighbour]] = []
        self._passing: list[Passer] = []
        self._from_s, self._until_s = math.inf, -math.inf

    def forget(self) -> None:
        """The world was changed by a step: what was kept no longer holds."""
        self._until_s = -math.inf

    def at(self, now_s: float) -> Vector:
        """Field in uT."""
        x, y, z = self._without_movers(now_s)
        for stay, neighbour in self._moving:
            part = self._turned(_of(stay, neighbour, now_s))
            x, y, z = x + part[0], y + part[1], z + part[2]
        for passer in self._passing:
            part = self._turned(passer.field_ut(self._along_m, now_s))
            x, y, z = x + part[0], y + part[1], z + part[2]
        return (x, y, z)

    def stays_until_s(self, now_s: float, low_ut: Vector, high_ut: Vector) -> float:
        """Until when the field surely stays between two bounds on each axis, from now on; now if that cannot be said.

        Those who move share a part of the room; it holds until one of them comes too near, or one more is felt.
        """
        x, y, z = self._without_movers(now_s)
        room_ut = min(x - low_ut[0], y - low_ut[1], z - low_ut[2], high_ut[0] - x, high_ut[1] - y, high_ut[2] - z)
        if room_ut <= 0:
            return now_s
        bounds_ut = [self._bound_ut(stay, neighbour) for stay, neighbour in self._moving]
        felt = len(self._passing) + sum(bound_ut > _UNFELT_UT for bound_ut in bounds_ut)
        share_ut = room_ut * _MOVERS_SHARE / max(1, felt)
        if max(bounds_ut, default=0.0) > share_ut:
            return now_s
        until_s = min(self._stays_until_s, self._slow.steady_until_s(now_s, room_ut * _SLOW_SHARE))
        for line in self._trains:
            until_s = min(until_s, line.steady_until_s(now_s, room_ut * _TRAINS_SHARE / len(self._trains)))
        if self._lanes:
            until_s = self._lanes.faint_until_s(now_s, until_s, share_ut, 0 if felt else 1)
        return max(now_s, until_s)

    def _without_movers(self, now_s: float) -> Vector:
        if not self._from_s <= now_s < self._until_s:
            self._look(now_s)
        still, slow = self._still_ut, self._slow.field_ut(now_s)
        x, y, z = still[0] + slow[0], still[1] + slow[1], still[2] + slow[2]
        for line in self._trains:
            swell = line.field_ut(now_s)
            x, y, z = x + swell[0], y + swell[1], z + swell[2]
        return (x, y, z)

    def _look(self, now_s: float) -> None:
        """Who stands, who moves, and until when that holds."""
        x = y = z = 0.0
        until_s = self.shift_ut.next_s(now_s)
        self._moving = []
        for index, neighbour in enumerate(self._bays):
            stay, moves, next_s = neighbour.track.at(now_s)
            until_s = min(until_s, next_s)
            if stay is not None and moves:
                self._moving.append((stay, neighbour))
            elif stay is not None:
                part = self._of_standing(index, stay, neighbour)
                x, y, z = x + part[0], y + part[1], z + part[2]
        vehicles, earth, shift = self._turned((x, y, z)), self._earth, self.shift_ut.at(now_s)
        self._still_ut = (
            earth[0] + shift[0] + vehicles[0],
            earth[1] + shift[1] + vehicles[1],
            earth[2] + shift[2] + vehicles[2],
        )
        self._stays_until_s = until_s
        if self._lanes:
            self._passing, passing_s = self._lanes.felt(now_s)
            until_s = min(until_s, passing_s)
        self._from_s, self._until_s = now_s, until_s

    def _turned(self, street: Vector) -> Vector:
        """A field of the street's frame in the sensor's."""
        x, y, z = street
        return (x * self._cos - y * self._sin, x * self._sin + y * self._cos, z)

    def _of_standing(self, index: int, stay: Stay, neighbour: Neighbour) -> Vector:
        known, part = self._standing[index]
        if known is not stay:
            part = _of(stay, neighbour, stay.arrive_s)
            self._standing[index] = (stay, part)
        return part

    def _bound_ut(self, stay: Stay, neighbour: Neighbour) -> float:
        """The most that is felt of a vehicle here while it comes or goes."""
        away_m = math.hypot(neighbour.along_m, neighbour.across_m)
        return stay.vehicle.bound_ut(max(0.0, away_m - stay.manoeuvre.span_m))


def _of(stay: Stay, neighbour: Neighbour, now_s: float) -> Vector:
    along_m, across_m = stay.position_m(now_s)
    return stay.vehicle.field_ut(neighbour.along_m + along_m, neighbour.across_m + across_m)
