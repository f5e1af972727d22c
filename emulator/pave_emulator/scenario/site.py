"""Where the bays lie: rows of bays along a street, who is whose neighbour, which way the street runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEIGHBOUR_M = 12.0  # farther bays are not felt
ROW_M = 60.0  # a longer row is cut: who passes its ends has little to do with one another


@dataclass(frozen=True)
class Bay:
    """A place where a vehicle may stand.

    Attributes:
        id: its name.
        kind: selects its traffic.
        street: bays of one street that lie close are neighbours.
        position_m: east and north of any common origin; None: nobody knows, and it has no neighbours.
    """

    id: str
    kind: str
    street: str = ""
    position_m: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """Bays in a row.

    Attributes:
        name: that of its first bay, by name.
        heading_rad: of the street, from north towards east, under 180 degrees.
        along_m: how far along each bay is from the first, by bay.
        across_m: how far to the right of the line.
    """

    name: str
    heading_rad: float
    along_m: dict[str, float]
    across_m: dict[str, float]


def local_m(lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """East and north of the equator at Greenwich on a plane that is true to metres over one street."""
    return lon_deg * 111_320 * math.cos(math.radians(lat_deg)), lat_deg * 111_200


def rows(bays: Sequence[Bay]) -> list[Row]:
    """The bays in rows: of one street, each within NEIGHBOUR_M of another of its row. One alone is a row."""
    streets: dict[str, list[Bay]] = {}
    found: list[Row] = []
    for bay in sorted(bays, key=lambda bay: bay.id):
        if bay.position_m is None:
            found.append(_row([bay]))
        else:
            streets.setdefault(bay.street, []).append(bay)
    for left in streets.values():
        while left:
            found.append(_row(_taken(left)))
    return found


def _taken(left: list[Bay]) -> list[Bay]:
    """Take from `left`, the bays of one street, its first and all that are in a row with it."""
    first = left.pop(0)
    members, edge = [first], [first]
    while edge:
        here = edge.pop()
        near = [bay for bay in left if _distance_m(here, bay) < NEIGHBOUR_M and _distance_m(first, bay) < ROW_M]
        for bay in near:
            left.remove(bay)
        members += near
        edge += near
    return members


def _row(members: list[Bay]) -> Row:
    first = members[0]
    if first.position_m is None or len(members) == 1:
        return Row(first.id, 0.0, {first.id: 0.0}, {first.id: 0.0})
    far = max(members, key=lambda bay: _distance_m(first, bay))
    east, north = _vector_m(first, far)
    heading = math.atan2(east, north) % math.pi
    along: dict[str, float] = {}
    across: dict[str, float] = {}
    for bay in members:
        east, north = _vector_m(first, bay)
        along[bay.id] = north * math.cos(heading) + east * math.sin(heading)
        across[bay.id] = east * math.cos(heading) - north * math.sin(heading)
    return Row(first.id, heading, along, across)


def _distance_m(one: Bay, other: Bay) -> float:
    return math.hypot(*_vector_m(one, other))


def _vector_m(one: Bay, other: Bay) -> tuple[float, float]:
    assert one.position_m is not None and other.position_m is not None
    return other.position_m[0] - one.position_m[0], other.position_m[1] - one.position_m[1]
