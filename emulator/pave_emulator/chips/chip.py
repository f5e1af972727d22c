"""What every chip is to its board: registers behind a bus, pins with levels, and something to do at a known time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

Vector = tuple[float, float, float]


class ChipFault(Exception):  # noqa: N818  a fault, in the words of the datasheets
    """Firmware did what the datasheet forbids or the model does not know. The bus answers with a NACK."""


@dataclass(frozen=True)
class Environment:
    """What a board's chips feel: the field in sensor axes at a time in s (uT), and the temperature."""

    field_ut: Callable[[float], Vector]
    temperature_c: float = 15.0


def still_field(_now_s: float) -> Vector:
    """The field of a device that lies in no street: none."""
    return (0.0, 0.0, 0.0)


class Chip:
    """A chip on an I2C bus. `now_s` never goes back. Subclasses name their board-file keys and pins."""

    OPTIONS: ClassVar[dict[str, type]] = {}  # keys of the board file besides part, name, bus and address
    PINS: ClassVar[tuple[str, ...]] = ()  # keys of the board file whose value is a pin

    def __init__(self, environment: Environment, **options: Any) -> None:
        """Subclasses take OPTIONS by keyword."""

    def power_on(self, now_s: float) -> None:
        """Supply applied: every register at its default."""

    def write(self, data: bytes, now_s: float) -> None:
        """Bytes after the address of a write. An empty write is a probe. Raise ChipFault to NACK."""

    def read(self, size: int, now_s: float) -> bytes:
        """Bytes of a read."""
        raise ChipFault(f"{type(self).__name__} cannot be read")

    def advance(self, now_s: float) -> None:
        """Do everything that was due up to `now_s`."""

    def next_event_s(self) -> float | None:
        """When a pin of this chip may next change by itself; None: not before someone talks to it."""
        return None

    def pin_level(self, name: str) -> int | None:
        """Level the chip drives on one of PINS; None while it is high-impedance."""
        return None
