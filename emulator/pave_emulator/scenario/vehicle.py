"""A vehicle as a magnetometer in the road feels it: a dipole that rolls over the bay and stops.

Source of the figures: a car's moment is of the order of 100 A m2, most of it induced along the earth's field; seen from
0.9 to 1.1 m below, that is 10 to 60 uT. Movement is a smooth ramp: no speed profile, no turning, no neighbours.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

Vector = tuple[float, float, float]

MU0_OVER_4PI_UT = 0.1  # uT m3 / (A m2)
MOVE_S = 1.5  # from out of sight to standing still, and back
FAR_M = 7.0  # where the movement starts and ends: the field there is below a sensor's noise
MIN_MOMENT_AM2, MAX_MOMENT_AM2 = 90.0, 150.0
MIN_HEIGHT_M, MAX_HEIGHT_M = 0.85, 1.1
MAX_TILT_RAD = math.radians(30)
MAX_OFFSET_M = 0.15


@dataclass(frozen=True)
class Vehicle:
    """Moment in A m2 (north, east, down), height of the dipole over the sensor, where it stops beside it (m)."""

    moment_am2: Vector
    height_m: float
    offset_m: float

    def field_ut(self, distance_m: float) -> Vector:
        """Field at the sensor with the vehicle `distance_m` along the street from where it stops."""
        # From the dipole to the sensor: back along the street (x), beside (y), down (z).
        return dipole_ut(self.moment_am2, (-distance_m, -self.offset_m, self.height_m))


def draw(rng: random.Random) -> Vehicle:
    """A vehicle at random: a moment tilted by up to 30 degrees from the vertical."""
    size = rng.uniform(MIN_MOMENT_AM2, MAX_MOMENT_AM2)
    tilt, heading = rng.uniform(0, MAX_TILT_RAD), rng.uniform(0, 2 * math.pi)
    moment = (
        size * math.sin(tilt) * math.cos(heading),
        size * math.sin(tilt) * math.sin(heading),
        size * math.cos(tilt),
    )
    return Vehicle(moment, rng.uniform(MIN_HEIGHT_M, MAX_HEIGHT_M), rng.uniform(-MAX_OFFSET_M, MAX_OFFSET_M))


def dipole_ut(moment_am2: Vector, r_m: Vector) -> Vector:
    """Field in uT of a magnetic dipole at distance vector r: mu0/4pi (3 (m.r) r / r5 - m / r3)."""
    r2 = r_m[0] ** 2 + r_m[1] ** 2 + r_m[2] ** 2
    r1 = math.sqrt(r2)
    along = sum(m * r for m, r in zip(moment_am2, r_m, strict=True))
    scale = MU0_OVER_4PI_UT / (r1 * r2)
    x, y, z = (scale * (3 * along * r / r2 - m) for m, r in zip(moment_am2, r_m, strict=True))
    return (x, y, z)


def distance_m(now_s: float, arrive_s: float, leave_s: float) -> float:
    """How far along the street a vehicle is that stands from `arrive_s` to `leave_s - MOVE_S` (gone at `leave_s`)."""
    if now_s < arrive_s:
        return FAR_M * _ease((arrive_s - now_s) / MOVE_S)
    return -FAR_M * _ease((now_s - (leave_s - MOVE_S)) / MOVE_S)


def _ease(x: float) -> float:
    """Smooth ramp from 0 to 1 for x from 0 to 1."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)
