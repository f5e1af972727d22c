"""What a board file may name besides pins: the parts there are, and words with a meaning elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """What can be soldered to a board under this part number.

    Attributes:
        bus: "i2c", "spi", or None for what is on no bus.
        outputs, inputs: its pins and who drives them, the part or the microcontroller.
        pwm: its pin that takes a PWM signal, which a board must connect.
        options: other keys of its table, and their type.
        states: names of its power states.
        refuses: what is wrong with these options, as a text; None when nothing is.
    """

    bus: str | None
    outputs: Collection[str] = ()
    inputs: Collection[str] = ()
    pwm: str | None = None
    options: Mapping[str, type] = field(default_factory=dict)
    states: Collection[str] = ()
    refuses: Callable[[dict[str, Any]], str | None] = lambda options: None

    @property
    def keys(self) -> set[str]:
        """Keys of its table that other parts may not have."""
        own = {*self.outputs, *self.inputs, *self.options, *filter(None, [self.pwm])}
        return own | {"i2c": {"bus", "address"}, "spi": {"bus", "cs"}}.get(self.bus or "", set())


@dataclass(frozen=True)
class Catalogue:
    """Every word with a meaning elsewhere: part numbers, and what `[power]`, `[mcu]` and `[[analog]]` may name."""

    parts: Mapping[str, Part]
    cells: Collection[str]
    capacitors: Collection[str]
    regulators: Collection[str]
    mcu_states: Collection[str]
    sources: Collection[str]
    """Of voltages that an analog input may measure."""
