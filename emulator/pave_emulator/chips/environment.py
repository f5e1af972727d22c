"""What a board feels of the world: each quantity a function of the clock's time in s, so nothing has to be pushed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.air.radio import Radio

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Echo:
    """One thing a radar sees: how far it is, and how strongly it reflects (dB, as the XM125 reports strength)."""

    distance_m: float
    strength_db: float


def still_field(_now_s: float) -> Vector:
    """The field of a device that lies in no street: none."""
    return (0.0, 0.0, 0.0)


def _unknown(now_s: float, _low_ut: Vector, _high_ut: Vector) -> float:
    return now_s


def _nothing(_now_s: float) -> tuple[Echo, ...]:
    return ()


@dataclass(frozen=True)
class Environment:
    """What the chips of one board feel.

    Attributes:
        field_ut: the field in sensor axes, uT, as one sample of the sensor has it (with its noise).
        field_stays_until_s: until when, from the time given on, every sample surely lies between a lower and an upper
            bound on each axis, noise included; that time itself while nobody knows. Sensors need not look before it.
        temperature_c: of the board.
        humidity_pct: relative.
        illuminance_lux: at the board's light sensor.
        echoes: what a radar above the board sees, nearest first.
        radio: the board's place on the LoRa air, None where there is none.
        seed: of what chips draw at random.
    """

    field_ut: Callable[[float], Vector] = still_field
    field_stays_until_s: Callable[[float, Vector, Vector], float] = _unknown
    temperature_c: Callable[[float], float] = lambda _now_s: 15.0
    humidity_pct: Callable[[float], float] = lambda _now_s: 50.0
    illuminance_lux: Callable[[float], float] = lambda _now_s: 1000.0
    echoes: Callable[[float], tuple[Echo, ...]] = _nothing
    radio: Radio | None = None
    seed: str = ""
