"""A production gateway's exported journal, made a scenario: the same vehicles, at the times that were told.

Theory of operation. An export is one JSON object a line, a reading each, in the names of the gateway's journal:

    {"device": "24a160fffe000101", "epoch": 1000, "seq": 5, "read_ms": 1795424400000, "values": {"occupied": true}}

`time` (RFC 3339) may stand for `read_ms`, and a bare `occupied` for `values`. A reading that is exported twice counts
once. Readings of a bay are put in order of the time they were made at, and each change of `occupied` becomes an arrival
or a departure. What was there at the first reading arrives at the start; what a vehicle could not do so fast (a stay
or a gap shorter than a manoeuvre) is left out and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from pave_emulator.nearest import hint
from pave_emulator.scenario.model import Scenario, Vector, Visit
from pave_emulator.scenario.motion import MANOEUVRES

LEAD_S = 10.0  # before the first reading: time for a vehicle that is there already
_WAY = MANOEUVRES["quick"]


class ReplayError(ValueError):
    """`file:line: what was wrong`."""


@dataclass(frozen=True)
class Replay:
    """What an export tells.

    Attributes:
        start: UTC at second 0 of the scenario.
        visits: per bay, in order; one that had not left at the end stays.
        readings: how many told whether a bay was occupied.
        repeated: how many came a second time.
        other: readings of other things, and of devices that no bay has.
        too_short: changes left out because no vehicle is so fast.
    """

    start: datetime
    visits: tuple[Visit, ...]
    readings: int
    repeated: int
    other: int
    too_short: int


@dataclass(frozen=True, order=True)
class _Reading:
    read_ms: int
    epoch: int
    seq: int
    occupied: bool


def replay(lines: Iterable[str], bays: Mapping[str, str], name: str = "journal") -> Replay:
    """Read an export; `bays` is device (EUI-64) to bay. Raise ReplayError, which names `name` and the line."""
    seen: set[tuple[str, int, int]] = set()
    by_bay: dict[str, list[_Reading]] = {}
    repeated = other = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        device, reading = _reading(line, where)
        if device not in bays or reading is None:
            other += 1
        elif (device, reading.epoch, reading.seq) in seen:
            repeated += 1
        else:
            seen.add((device, reading.epoch, reading.seq))
            by_bay.setdefault(bays[device], []).append(reading)
    if not by_bay:
        raise ReplayError(f"{name}: no reading tells whether a bay of this site is occupied")
    first_ms = min(reading.read_ms for readings in by_bay.values() for reading in readings)
    start_ms = first_ms - round(LEAD_S * 1000)
    visits: list[Visit] = []
    too_short = 0
    for bay in sorted(by_bay):
        found, dropped = _visits(bay, sorted(by_bay[bay]), start_ms)
        visits += found
        too_short += dropped
    start = datetime.fromtimestamp(start_ms / 1000, UTC).replace(tzinfo=None)
    return Replay(start, tuple(visits), len(seen), repeated, other, too_short)


def scenario(told: Replay, name: str, seed: int, earth_field_ut: Vector, noise_ut: float) -> Scenario:
    """The scenario in which that happens again."""
    return Scenario(name, seed, earth_field_ut, noise_ut, (), told.visits, told.start)


def to_yaml(made: Scenario) -> str:
    """A scenario of visits as a file that `load` reads."""
    visits = [_plain(visit) for visit in made.visits]
    content = {
        "name": made.name,
        "seed": made.seed,
        "start": made.start.isoformat(),
        "earth_field_ut": list(made.earth_field_ut),
        "noise_ut": made.noise_ut,
        "visits": visits,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _plain(visit: Visit) -> dict[str, Any]:
    leaves = {"leave_s": visit.leave_s} if math.isfinite(visit.leave_s) else {}
    return {"bay": visit.bay, "arrive_s": visit.arrive_s, **leaves}


def _visits(bay: str, readings: list[_Reading], start_ms: int) -> tuple[list[Visit], int]:
    visits: list[Visit] = []
    arrived_s: float | None = None
    free_s = -math.inf
    too_short = 0
    for reading in readings:
        at_s = round((reading.read_ms - start_ms) / 1000, 3)
        if reading.occupied and arrived_s is None:
            if at_s - free_s < _WAY.in_s:  # it never left: one stay
                arrived_s, too_short = visits.pop().arrive_s, too_short + 1
            else:
                arrived_s = at_s
        elif not reading.occupied and arrived_s is not None:
            if at_s - arrived_s < _WAY.in_s + _WAY.out_s:
                too_short += 1
            else:
                visits.append(Visit(bay, arrived_s, at_s))
                free_s = at_s
            arrived_s = None
    if arrived_s is not None:
        visits.append(Visit(bay, arrived_s))
    return visits, too_short


def _reading(line: str, where: str) -> tuple[str, _Reading | None]:
    """The device of a line, and what it says of its bay; None when it says nothing of that."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ReplayError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ReplayError(f'{where}: an object expected, such as {{"device": ...}}')
    device = _of_type(row, "device", str, where)
    epoch, seq = _of_type(row, "epoch", int, where), _of_type(row, "seq", int, where)
    values = row.get("values", row)
    occupied = values.get("occupied") if isinstance(values, dict) else None
    if occupied is None:
        return device, None
    if not isinstance(occupied, bool):
        raise ReplayError(f"{where}: occupied is {occupied!r}, true or false expected")
    return device, _Reading(_read_ms(row, where), epoch, seq, occupied)


def _read_ms(row: dict[str, Any], where: str) -> int:
    if "time" not in row:
        return _of_type(row, "read_ms", int, where)
    text = _of_type(row, "time", str, where)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReplayError(f"{where}: time {text!r} is not RFC 3339") from error
    if at.tzinfo is None:
        raise ReplayError(f"{where}: time {text!r} has no zone; end it with Z")
    return round(at.timestamp() * 1000)


def _of_type(row: dict[str, Any], key: str, kind: type, where: str) -> Any:
    if key not in row:
        near = [name for name in row if name not in ("values", "occupied")]
        raise ReplayError(f"{where}: {key!r} is missing: {hint(key, near)}")
    if not isinstance(row[key], kind) or isinstance(row[key], bool):
        raise ReplayError(f"{where}: {key} is {row[key]!r}, {kind.__name__} expected")
    return row[key]
