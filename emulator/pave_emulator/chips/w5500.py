"""WIZnet W5500 Ethernet controller, as far as it can be seen: where it is wired, and whether a cable is in.

The firmware never speaks with it: ESP-IDF's driver does, below the seam of this emulator (`network.LAN`). So there are
no registers here, and whoever reads them through `machine.SPI` gets a fault. Supply currents: W5500 datasheet v1.0.9,
5.4.4 (132 mA at 100 Mbit/s, 13 mA in power-down).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pave_emulator.chips.chip import ChipFault, Environment, SpiChip


class W5500(SpiChip):
    """`plugged` says whether a cable with a link is in; `plug` changes it."""

    PINS: ClassVar[tuple[str, ...]] = ("int",)
    INPUTS: ClassVar[tuple[str, ...]] = ("reset",)
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "on": 132_000.0}

    def __init__(self, environment: Environment, **options: Any) -> None:
        super().__init__(environment, **options)
        self.plugged = True
        self.plugged_at_s = 0.0

    def plug(self, on: bool, now_s: float) -> None:
        """Put the cable in, or pull it."""
        if on and not self.plugged:
            self.plugged_at_s = now_s
        self.plugged = on

    def pin_level(self, name: str) -> int | None:
        """INTn is high while nothing is to be said."""
        return 1 if self.state == "on" else None

    def exchange(self, data: bytes, now_s: float) -> bytes:
        """Not modelled."""
        raise ChipFault("W5500: its registers (datasheet v1.0.9, section 4) are ESP-IDF's business: use network.LAN")
