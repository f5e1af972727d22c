"""A vehicle as a magnetometer in the road feels it: engine, both sides of its body, rear axle, each a magnetic dipole.

Theory of operation. Steel is magnetised by the earth's field and keeps some of it; from a metre below, an engine, a
floor and an axle are felt one after the other, so one dipole would be too smooth; and who passes close passes with one
side. Positions are in the street's frame:
along it, across it (to the right of along), down. Nothing turns: the heading of a vehicle is along or against the
street also while it is steered into a bay.

Source of the figures: a car's moment is of the order of 100 A m2, most of it induced along the earth's field, which at
Paris points 64 degrees down (IGRF-14); so moments are tilted by up to 30 degrees from the vertical. Moments of other
classes go with the mass of steel, some 0.1 A m2 a kg; heights and wheelbases with what is sold. The sum is such that a
vehicle that stands on a sensor gives 10 to 60 uT.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cached_property

Vector = tuple[float, float, float]

MU0_OVER_4PI_UT = 0.1  # uT m3 / (A m2)
MAX_TILT_RAD = math.radians(30)
STANDING_UT = (10.0, 60.0)
WEAK_UT = (2.0, 8.0)
MAX_STOP_ALONG_M, MAX_STOP_ACROSS_M = 0.5, 0.2  # how far from the sensor's place a driver stops
ATTENUATION_DB = (10.0, 20.0)  # of the antenna below a standing vehicle
_DRAWS = 200


@dataclass(frozen=True)
class Kind:
    """Ranges of a class of vehicles: moments in A m2, heights over the sensor and lengths in m."""

    body_am2: tuple[float, float]
    engine_am2: tuple[float, float]
    axle_am2: tuple[float, float]
    height_m: tuple[float, float]
    wheelbase_m: tuple[float, float]
    clearance_m: tuple[float, float]
    side_m: float
    standing_ut: tuple[float, float] = STANDING_UT


KINDS = {
    "car": Kind((90, 150), (20, 50), (5, 20), (0.85, 1.1), (2.4, 2.9), (0.12, 0.20), 0.5),
    "van": Kind((120, 200), (30, 70), (10, 30), (0.95, 1.2), (2.8, 3.7), (0.15, 0.25), 0.6),
    "truck": Kind((400, 700), (150, 300), (100, 200), (1.3, 1.7), (3.6, 5.5), (0.30, 0.60), 0.8),
    "bus": Kind((500, 800), (150, 300), (100, 200), (1.3, 1.7), (5.5, 6.5), (0.20, 0.35), 0.8),
    "two-wheeler": Kind((3, 10), (5, 15), (1, 3), (0.6, 0.8), (1.3, 1.5), (0.12, 0.20), 0.1, WEAK_UT),
    # A body of aluminium on a flat battery; and steel so high, wheels so far apart, that between engine and axle
    # little is left (the dead zone of high-chassis vehicles: Lou, Zhang, Xiong, Jin, Sensors 19, 2019,
    # 2348). Their fields are plausible, not measured.
    "electric": Kind((40, 80), (10, 25), (5, 15), (0.9, 1.1), (2.6, 3.0), (0.13, 0.19), 0.5, (4.0, 14.0)),
    "high-chassis": Kind((150, 300), (100, 250), (80, 200), (1.5, 1.9), (4.0, 5.8), (0.45, 0.75), 0.8, (3.0, 9.0)),
    # A car with little steel, or whose own magnetisation cancels the induced one.
    "weak": Kind((25, 50), (5, 10), (1, 5), (1.0, 1.2), (2.4, 2.9), (0.12, 0.20), 0.5, WEAK_UT),
}


@dataclass(frozen=True)
class Dipole:
    """One part: where it is in the vehicle (along, across, up, m) and its moment (along, across, down, A m2)."""

    along_m: float
    across_m: float
    height_m: float
    moment_am2: Vector


@dataclass(frozen=True)
class Vehicle:
    """One vehicle.

    Attributes:
        kind: one of KINDS.
        dipoles: its parts; their places are from its middle, forward in the street's direction.
        clearance_m: from the road to its floor.
        stop_m: how far along and across from a sensor it comes to stand.
        attenuation_db: what it takes from the signal of an antenna below it.
    """

    kind: str
    dipoles: tuple[Dipole, ...]
    clearance_m: float
    stop_m: tuple[float, float]
    attenuation_db: float

    @cached_property
    def _parts(self) -> tuple[tuple[float, float, float, float, float, float], ...]:
        return tuple((part.along_m, part.across_m, part.height_m, *part.moment_am2) for part in self.dipoles)

    @cached_property
    def reach_m(self) -> float:
        """From its middle to its outermost dipole."""
        return max(math.hypot(dipole.along_m, dipole.across_m) for dipole in self.dipoles)

    @cached_property
    def moment_am2(self) -> float:
        """Sum of the sizes of its moments."""
        return sum(math.hypot(*dipole.moment_am2) for dipole in self.dipoles)

    def field_ut(self, along_m: float, across_m: float) -> Vector:
        """Field (along, across, down) at a sensor with the vehicle's middle so far along and across from it."""
        # mu0/4pi (3 (m.r) r / r5 - m / r3) of each part, in scalars: this is where a busy street's time goes.
        x = y = z = 0.0
        for at_m, beside_m, rz, mx, my, mz in self._parts:
            rx, ry = -along_m - at_m, -across_m - beside_m
            r2 = rx * rx + ry * ry + rz * rz
            scale = MU0_OVER_4PI_UT / (r2 * math.sqrt(r2))
            along = 3 * (mx * rx + my * ry + mz * rz) / r2
            x += scale * (along * rx - mx)
            y += scale * (along * ry - my)
            z += scale * (along * rz - mz)
        return (x, y, z)

    def bound_ut(self, distance_m: float) -> float:
        """No field of it is stronger when its middle is so far away, horizontally."""
        near_m = max(0.0, distance_m - self.reach_m)
        low_m = min(dipole.height_m for dipole in self.dipoles)
        return 2 * MU0_OVER_4PI_UT * self.moment_am2 / (near_m**2 + low_m**2) ** 1.5

    def silent_m(self, field_ut: float) -> float:
        """From how far on its field is surely weaker than this."""
        return (2 * MU0_OVER_4PI_UT * self.moment_am2 / field_ut) ** (1 / 3) + self.reach_m


def draw(rng: random.Random, kind: str = "car") -> Vehicle:
    """A vehicle of a kind at random, such that it gives the field of its kind where it stops."""
    ranges = KINDS[kind]
    for _ in range(_DRAWS):
        found = draw_passing(rng, kind)
        if ranges.standing_ut[0] < math.hypot(*found.field_ut(*found.stop_m)) < ranges.standing_ut[1]:
            return found
    raise ValueError(f"no {kind!r} in {_DRAWS} draws gives {ranges.standing_ut} uT")


def draw_passing(rng: random.Random, kind: str) -> Vehicle:
    """A vehicle of a kind at random."""
    ranges = KINDS[kind]
    half_m = rng.uniform(*ranges.wheelbase_m) / 2 * rng.choice((-1, 1))
    height_m = rng.uniform(*ranges.height_m)
    body, engine, axle = (_moment(rng, size) for size in (ranges.body_am2, ranges.engine_am2, ranges.axle_am2))
    side = (body[0] / 2, body[1] / 2, body[2] / 2)
    dipoles = (
        Dipole(0.0, -ranges.side_m, height_m, side),
        Dipole(0.0, ranges.side_m, height_m, side),
        Dipole(half_m, 0.0, height_m, engine),
        Dipole(-half_m, 0.0, height_m, axle),
    )
    stop_m = (rng.uniform(-1, 1) * MAX_STOP_ALONG_M, rng.uniform(-1, 1) * MAX_STOP_ACROSS_M)
    return Vehicle(kind, dipoles, rng.uniform(*ranges.clearance_m), stop_m, rng.uniform(*ATTENUATION_DB))


def _moment(rng: random.Random, size_am2: tuple[float, float]) -> Vector:
    size = rng.uniform(*size_am2)
    tilt, heading = rng.uniform(0, MAX_TILT_RAD), rng.uniform(0, 2 * math.pi)
    across = size * math.sin(tilt)
    return (across * math.cos(heading), across * math.sin(heading), size * math.cos(tilt))
