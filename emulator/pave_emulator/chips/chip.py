"""What every chip is to its board: a bus, pins with levels, a supply, and something to do at a known time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pave_emulator.chips.environment import Environment, Vector, still_field

__all__ = ["Chip", "ChipFault", "Environment", "I2cChip", "Nack", "SpiChip", "Vector", "still_field"]


class ChipFault(Exception):  # noqa: N818  a fault, in the words of the datasheets
    """Firmware did what the datasheet forbids or the model does not know; names the datasheet's section.

    On I2C the chip answers with a NACK; on SPI, where nothing can be refused, it answers zeros.
    """


class Nack(ChipFault):
    """A refusal the datasheet provides for (nothing measured yet): no fault of the firmware, and not logged as one."""


def _nobody() -> None:
    pass


class Chip:
    """A part of a board. `now_s` (the clock's seconds) never goes back.

    Subclasses say what a board file may give them:

    OPTIONS: keys of the board file and their type, passed to the constructor by name.
    PINS: pins the chip drives; the board file maps each to a GPIO, `pin_level` tells the level.
    INPUTS: pins the microcontroller drives; `set_input` is called at each change of level.
    PWM_INPUT: the pin that takes a PWM signal, if any; `set_pwm` is called when it changes (a plain level is 0 or 1).
    STATES_UA: supply current in uA of each power state, from the datasheet (typical, 25 C, 3.3 V or 3.0 V); the board
        file may give others in `currents_ua`. `state` names the present one.
    """

    OPTIONS: ClassVar[dict[str, type]] = {}
    PINS: ClassVar[tuple[str, ...]] = ()
    INPUTS: ClassVar[tuple[str, ...]] = ()
    PWM_INPUT: ClassVar[str | None] = None
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "on": 0.0}

    def __init__(self, environment: Environment, **options: Any) -> None:
        """Subclasses take OPTIONS by keyword."""
        self.state = "off"
        self.changed: Callable[[], None] = _nobody
        """To call when a pin or the state has changed outside of a call from the board (the air told a radio)."""

    def power_on(self, now_s: float) -> None:
        """Supply applied: every register at its default."""
        self.state = "on"

    def power_off(self, now_s: float) -> None:
        """Supply taken away."""
        self.state = "off"

    def advance(self, now_s: float) -> None:
        """Do everything that was due up to `now_s`."""

    def next_event_s(self) -> float | None:
        """When a pin or the state may next change by itself; None: not before someone talks to the chip."""
        return None

    def pin_level(self, name: str) -> int | None:
        """Level the chip drives on one of PINS; None while it is high-impedance."""
        return None

    def disturbed(self, now_s: float) -> None:
        """The environment has changed in a way it did not foresee: what it promised of its future holds no more."""

    def supply_current_ua(self, now_s: float) -> float:
        """What it draws now, uA. Subclasses whose current depends on more than the state say so here."""
        return self.STATES_UA[self.state]

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """One of INPUTS has this level from now on (a floating pin reads as 0)."""

    def set_pwm(self, duty: float, hz: float, now_s: float) -> None:
        """The signal on PWM_INPUT is high for `duty` (0 to 1) of each period from now on."""


class I2cChip(Chip):
    """A chip on an I2C bus. `stretched_s`: how long it held the clock in the last transaction."""

    stretched_s: float = 0.0

    def write(self, data: bytes, now_s: float) -> None:
        """Bytes after the address of a write. An empty write is a probe. Raise ChipFault to NACK."""

    def read(self, size: int, now_s: float) -> bytes:
        """Bytes of a read. Raise ChipFault to NACK."""
        raise ChipFault(f"{type(self).__name__} cannot be read")


class SpiChip(Chip):
    """A chip on an SPI bus, behind a chip-select line of its own (active low)."""

    def selected(self, now_s: float) -> None:
        """NSS has fallen: a transaction begins."""

    def exchange(self, data: bytes, now_s: float) -> bytes:
        """Bytes on MOSI; return as many from MISO. Several calls may make one transaction."""
        return bytes(len(data))

    def deselected(self, now_s: float) -> None:
        """NSS has risen: the transaction is complete."""
