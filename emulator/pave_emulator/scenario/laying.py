"""Which way a sensor lies in the road: its axes against those of the world.

Theory of operation. A sensor is laid as it comes out of its box, so its axes are turned about the vertical by any
angle, and no road is level. A matrix of rotation takes the world's field (north, east, down) to the sensor's axes; a
step that turns the sensor, as a thief or a snow plough does, multiplies another one onto it from its time on. What is
promised of a turned field is asked for in a box that fits into the sensor's bounds whichever way it is turned.
"""

from __future__ import annotations

import math

from pave_emulator.scenario.model import Laying, Vector
from pave_emulator.scenario.noise import key_of, uniform
from pave_emulator.scenario.timeline import Timeline

Matrix = tuple[Vector, Vector, Vector]
STRAIGHT: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Laid:
    """The way one sensor lies."""

    def __init__(self, laying: Laying, seed: int, place: str) -> None:
        """`seed` and `place` decide on its angles."""
        key = key_of(seed, f"{place}:laying")
        yaw_rad = 2 * math.pi * uniform(key, 0) if laying.any_yaw else 0.0
        tilt_rad = math.radians(laying.tilt_deg) * uniform(key, 1)
        self._towards_rad = 2 * math.pi * uniform(key, 2)
        first = turned(yaw_rad, tilt_rad, self._towards_rad)
        self._matrix = Timeline(first)
        self.straight = first == STRAIGHT

    def turn(self, now_s: float, yaw_deg: float, tilt_deg: float) -> None:
        """Turn it about its own axes from now on."""
        more = turned(math.radians(yaw_deg), math.radians(tilt_deg), self._towards_rad)
        self._matrix.set(now_s, product(more, self._matrix.at(now_s)))
        self.straight = False

    def next_s(self, now_s: float) -> float:
        """When it is turned next; infinity when it is not."""
        return self._matrix.next_s(now_s)

    def seen(self, field_ut: Vector, now_s: float) -> Vector:
        """A field of the world in the sensor's axes."""
        x, y, z = field_ut
        (a, b, c), (d, e, f), (g, h, i) = self._matrix.at(now_s)
        return (a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z)

    def room(self, field_ut: Vector, now_s: float, low_ut: Vector, high_ut: Vector) -> tuple[Vector, Vector] | None:
        """Bounds of the world's field that keep the sensor's between `low_ut` and `high_ut`; None if it is outside."""
        seen = self.seen(field_ut, now_s)
        room_ut = min(*map(_less, seen, low_ut), *map(_less, high_ut, seen))
        if room_ut <= 0:
            return None
        x, y, z = field_ut
        half_ut = room_ut / math.sqrt(3)  # the corner of a cube is so much farther than its side
        return (x - half_ut, y - half_ut, z - half_ut), (x + half_ut, y + half_ut, z + half_ut)


def turned(yaw_rad: float, tilt_rad: float, towards_rad: float) -> Matrix:
    """The rotation of a sensor that is turned about the vertical, then tilted about a level axis `towards` there."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    yaw: Matrix = ((cos, sin, 0.0), (-sin, cos, 0.0), (0.0, 0.0, 1.0))
    u, v, cos, sin = math.cos(towards_rad), math.sin(towards_rad), math.cos(tilt_rad), math.sin(tilt_rad)
    tilt: Matrix = (  # Rodrigues' formula about (u, v, 0)
        (cos + u * u * (1 - cos), u * v * (1 - cos), v * sin),
        (u * v * (1 - cos), cos + v * v * (1 - cos), -u * sin),
        (-v * sin, u * sin, cos),
    )
    return STRAIGHT if not yaw_rad and not tilt_rad else product(tilt, yaw)


def product(one: Matrix, other: Matrix) -> Matrix:
    """One rotation after the other."""
    columns = tuple(zip(*other, strict=True))
    x, y, z = (tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns) for row in one)
    return (_vector(x), _vector(y), _vector(z))


def _vector(row: tuple[float, ...]) -> Vector:
    return (row[0], row[1], row[2])


def _less(one: float, other: float) -> float:
    return one - other
