"""The panel behind an SSD1306: which dots are lit, and what that costs (rev 1.5).

Theory of operation. The driver scans COM outputs; each shows a row, moved by the display offset, and nothing when the
row is beyond the multiplex ratio (10.1.11, 10.1.15). COM outputs leave the die at pins as the COM pins configuration
says (10.1.18): a panel wired for another one shows its rows in the wrong places. Panels more than twice as wide as high
are wired sequentially, others alternatively; narrow ones use the middle columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

COLUMNS = 128
ROWS = 64
ALTERNATIVE, LEFT_RIGHT = 0x10, 0x20  # DAh A[4], A[5]
LIT_CLOCKS = 50  # of a row's clocks, after the phases of D9h (8.3)

LOGIC_UA = 50.0  # IDD while displaying (table 12-1, typical)
PANEL_UA = 430.0  # ICC without load, contrast FFh (table 12-1, typical)
SEGMENT_UA = 100.0  # ISEG at full contrast, IREF 12.5 uA (8.8)
PUMP_RATIO = 2.0  # the charge pump doubles the voltage, so it takes twice the current

BIT = [bytes(value >> bit & 1 for value in range(256)) for bit in range(8)]
INVERT = bytes.maketrans(b"\0\1", b"\1\0")


@dataclass(frozen=True)
class Scan:
    """How rows get to COM outputs and these to pins."""

    multiplex: int
    offset: int
    com_remapped: bool
    com_pins: int

    def row(self, pin: int) -> int | None:
        """The row that a COM pin shows; None: it drives nothing."""
        if self.com_pins & LEFT_RIGHT:
            pin ^= ROWS // 2
        com = 2 * (pin % 32) + pin // 32 if self.com_pins & ALTERNATIVE else pin
        row = (self.multiplex - 1 - com if self.com_remapped else com) + self.offset
        return row % ROWS if row % ROWS < self.multiplex else None


def wired_pin(line: int, width_px: int, height_px: int) -> int:
    """The COM pin of a line of the panel, counted from the top of an upright module."""
    number = height_px - 1 - line
    sequential = width_px > 2 * height_px
    return number if sequential else number // 2 + 32 * (number % 2)


def lines(
    gddram: list[bytearray], size: tuple[int, int], scan: Scan, memory_row: Callable[[int], int]
) -> list[bytes | None]:
    """Dots of each line from the top, 0 or 1; None for a line that nothing drives."""
    width_px, height_px = size
    margin = (COLUMNS - width_px) // 2
    rows = [scan.row(wired_pin(line, width_px, height_px)) for line in range(height_px)]
    return [None if row is None else _dots(gddram, memory_row(row), margin, width_px) for row in rows]


def _dots(gddram: list[bytearray], row: int, margin: int, width_px: int) -> bytes:
    dots = gddram[row // 8].translate(BIT[row % 8])[::-1]  # the last segment is at the left
    return bytes(dots[margin : margin + width_px])


def supply_ua(lit_a_row: float, contrast: int, phases: int) -> float:
    """Supply current of a module at 3.3 V that lights so many dots of each row on average (8.8)."""
    lit_part = LIT_CLOCKS / ((phases & 0x0F) + (phases >> 4) + LIT_CLOCKS)
    return LOGIC_UA + PUMP_RATIO * (PANEL_UA + lit_a_row * SEGMENT_UA * contrast / 256 * lit_part)
