"""From latitudes and longitudes to a drawing: metres around the site's middle, scaled, marks pushed apart.

No tiles and no internet: streets are the lines through their own bays. Bays of a rank stand 5 m apart, which is less
than a mark is wide at the scale of a quarter, so marks that would overlap are moved away from each other by as little
as that takes. Of a site with thousands of bays they overlap.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pave_gateway.core.places import Place

WIDTH = 1000.0
MARGIN = 60.0
MARK_GAP = 30.0  # between the middles of two marks
_ROUNDS = 200
_MARKS_SPREAD = 400  # each is held against every other; and more would not fit side by side
_METRES_PER_DEGREE = 111_320.0

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the drawing."""

    place: Place
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Street:
    """A street: a line, and where its name goes.

    Attributes:
        name: As in the site file.
        points: Of an SVG polyline.
        x: Of the name.
        y: Of the name.
        angle: Of the name, in degrees, clockwise, never upside down.
        anchor: "start", "middle" or "end": which part of the name is at (x, y), so that it stays inside the drawing.
        is_lone: Whether it has a single bay, so that nothing shows its direction.
    """

    name: str
    points: str
    x: float
    y: float
    angle: float
    anchor: str
    is_lone: bool


@dataclass(frozen=True, slots=True)
class StreetMap:
    """The drawing; `left`, `top`, `width` and `height` are an SVG view box."""

    left: float
    top: float
    width: float
    height: float
    marks: Sequence[Mark]
    streets: Sequence[Street]


def draw(places: Sequence[Place]) -> StreetMap:
    """Return the drawing of `places`, at least one."""
    points = _fit(_project(places))
    marks = _marks(places, points)
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    return StreetMap(
        left=min(0.0, min(xs) - MARGIN),
        top=min(ys) - MARGIN,
        width=max(WIDTH, max(xs) + MARGIN) - min(0.0, min(xs) - MARGIN),
        height=max(ys) - min(ys) + 2 * MARGIN,
        marks=marks,
        streets=_streets(places, points),
    )


def _project(places: Sequence[Place]) -> list[_Point]:
    """Equirectangular around the mean latitude: within a quarter the error is below a metre."""
    lat0 = math.fsum(place.lat for place in places) / len(places)
    shrink = math.cos(math.radians(lat0))
    return [(place.lon * shrink * _METRES_PER_DEGREE, -place.lat * _METRES_PER_DEGREE) for place in places]


def _fit(points: list[_Point]) -> list[_Point]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    scale = (WIDTH - 2 * MARGIN) / max(max(xs) - min(xs), max(ys) - min(ys), 1.0)
    west, north = min(xs), min(ys)
    left = (WIDTH - scale * (max(xs) - west)) / 2
    return [(left + scale * (x - west), scale * (y - north)) for x, y in points]


def _marks(places: Sequence[Place], points: list[_Point]) -> list[Mark]:
    return [Mark(place, round(x, 1), round(y, 1)) for place, (x, y) in zip(places, _spread(points), strict=True)]


def _spread(points: list[_Point]) -> list[_Point]:
    spread = [list(point) for point in points]
    if len(spread) > _MARKS_SPREAD:
        return points
    for _ in range(_ROUNDS):
        moved = False
        for i in range(len(spread)):
            for j in range(i):
                moved |= _push_apart(spread[i], spread[j], i)
        if not moved:
            break
    return [(x, y) for x, y in spread]


def _push_apart(a: list[float], b: list[float], index: int) -> bool:
    dx, dy = a[0] - b[0], a[1] - b[1]
    gap = math.hypot(dx, dy)
    if gap >= MARK_GAP:
        return False
    if gap < 0.01:  # the same spot: any direction will do, as long as it is always the same
        dx, dy, gap = math.cos(index), math.sin(index), 1.0
    push = (MARK_GAP - gap) / 2 + 0.05
    for axis, step in ((0, dx / gap * push), (1, dy / gap * push)):
        a[axis] += step
        b[axis] -= step
    return True


def _streets(places: Sequence[Place], points: list[_Point]) -> list[Street]:
    by_name: dict[str, list[_Point]] = {}
    for place, point in zip(places, points, strict=True):
        if place.is_bay:
            by_name.setdefault(place.label, []).append(point)
    return [_street(name, street) for name, street in by_name.items()]


def _street(name: str, points: list[_Point]) -> Street:
    along = _in_order(points)
    x, y, angle = _widest_gap(along)
    return Street(
        name=name,
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in along),
        x=round(x, 1),
        y=round(y, 1),
        angle=round(math.degrees(angle), 1),
        anchor=_anchor(x),
        is_lone=len(points) == 1,
    )


def _widest_gap(along: list[_Point]) -> tuple[float, float, float]:
    """Return the middle and the angle of the longest stretch without a bay: there the name covers nothing."""
    if len(along) < 2:
        return *along[0], 0.0
    a, b = max(pairwise(along), key=lambda pair: math.dist(*pair))
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    if abs(angle) > math.pi / 2:
        angle -= math.copysign(math.pi, angle)
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, angle


def _anchor(x: float) -> str:
    if x < 2 * MARGIN:
        return "start"
    return "end" if x > WIDTH - 2 * MARGIN else "middle"


def _in_order(points: list[_Point]) -> list[_Point]:
    """Return `points` sorted along their principal axis."""
    x0 = math.fsum(x for x, _ in points) / len(points)
    y0 = math.fsum(y for _, y in points) / len(points)
    xx = math.fsum((x - x0) ** 2 for x, _ in points)
    yy = math.fsum((y - y0) ** 2 for _, y in points)
    xy = math.fsum((x - x0) * (y - y0) for x, y in points)
    angle = math.atan2(2 * xy, xx - yy) / 2
    return sorted(points, key=lambda point: point[0] * math.cos(angle) + point[1] * math.sin(angle))
