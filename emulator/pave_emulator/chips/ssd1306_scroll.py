"""Continuous scrolling of the SSD1306 (rev 1.5, 10.2): what moves, how far, and when.

Theory of operation. Every so many frames a step: the pages of the horizontal scroll turn by one column in GDDRAM itself
(so their contents stay shifted when scrolling stops), and the rows of the vertical scroll area start one offset further
down in memory. The frame frequency follows the oscillator, its divider, the phases of a row and the multiplex ratio
(8.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_emulator.chips.chip import ChipFault
from pave_emulator.chips.ssd1306_panel import LIT_CLOCKS, ROWS

RIGHT, LEFT, VERTICAL_RIGHT, VERTICAL_LEFT = 0x26, 0x27, 0x29, 0x2A
STEP_FRAMES = (5, 64, 128, 256, 3, 4, 25, 2)  # 10.2.1, C[2:0]
OSCILLATOR_HZ = 370_000.0  # typical (table 12-1, Fosc); D5h A[7:4] changes it by an amount that is only drawn


@dataclass(frozen=True)
class Setup:
    """One of the four scroll setups (10.2.1, 10.2.2): pages both included; `rows` a step, 0 without vertical."""

    left: bool
    first_page: int
    last_page: int
    frames: int
    rows: int

    @classmethod
    def parse(cls, command: int, arguments: bytes) -> Setup:
        """Read the arguments of 26h, 27h, 29h or 2Ah. Raise ChipFault."""
        first, last = arguments[1] & 0x07, arguments[3] & 0x07
        if first > last:
            raise ChipFault(f"SSD1306: scroll from page {first} to page {last}, the end is before the start (10.2)")
        rows = arguments[4] & 0x3F if command in (VERTICAL_RIGHT, VERTICAL_LEFT) else 0
        return cls(command in (LEFT, VERTICAL_LEFT), first, last, STEP_FRAMES[arguments[2] & 0x07], rows)


class Scroll:
    """The scroll engine. It turns pages of the memory it is given."""

    def __init__(self, gddram: list[bytearray]) -> None:
        self._gddram = gddram
        self._setup: Setup | None = None
        self._since_s: float | None = None
        self._steps = 0
        self._shift = 0
        self._fixed_rows, self._rows = 0, ROWS
        self._frame_s = frame_s(0x80, 0x22, ROWS)

    @property
    def active(self) -> bool:
        """Between 2Fh and 2Eh."""
        return self._since_s is not None

    def set_up(self, setup: Setup) -> None:
        """26h to 2Ah: the newest setup counts."""
        self._setup = setup

    def set_area(self, fixed_rows: int, rows: int, multiplex: int) -> None:
        """A3h (10.2.5): rows at the top that stay, rows below them that scroll. Raise ChipFault."""
        if fixed_rows + rows > multiplex:
            raise ChipFault(f"SSD1306: {fixed_rows} + {rows} scroll rows are more than {multiplex} (10.2.5)")
        self._fixed_rows, self._rows = fixed_rows, rows

    def start(self, frame_s: float, start_line: int, now_s: float) -> None:
        """2Fh, with the present duration of a frame and start line. Raise ChipFault when it cannot be."""
        if self._setup is None:
            raise ChipFault("SSD1306: 2Fh without a scroll setup (10.2.4)")
        if self._setup.rows and max(self._setup.rows, start_line) >= self._rows:
            what = f"a scroll by {self._setup.rows} rows from start line {start_line}"
            raise ChipFault(f"SSD1306: {what} does not fit in {self._rows} scroll rows (10.2.5)")
        self._frame_s, self._since_s, self._steps, self._shift = frame_s, now_s, 0, 0

    def stop(self) -> None:
        """2Eh: memory stays as it is; rows are where the start line says again."""
        self._since_s = None
        self._shift = 0

    def advance(self, now_s: float) -> None:
        """Do the steps that are due."""
        if self._since_s is None or self._setup is None:
            return
        due = int((now_s - self._since_s) / (self._setup.frames * self._frame_s) + 1e-9) - self._steps
        if due <= 0:
            return
        self._steps += due
        self._shift += due * self._setup.rows
        for page in self._gddram[self._setup.first_page : self._setup.last_page + 1]:
            # Memory is by segment, and the module's first column is its last segment: right is towards lower ones.
            by = (-due if self._setup.left else due) % len(page)
            page[:] = page[by:] + page[:by]

    def row(self, row: int) -> int:
        """Which row is shown in the place of `row` (both before the start line is added)."""
        if not self._shift or not self._fixed_rows <= row < self._fixed_rows + self._rows:
            return row
        return self._fixed_rows + (row - self._fixed_rows + self._shift) % self._rows


def frame_s(clock: int, phases: int, multiplex: int) -> float:
    """Duration of a frame (8.3): D x K x rows / Fosc, from the arguments of D5h and D9h."""
    divider = (clock & 0x0F) + 1
    row_clocks = (phases & 0x0F) + (phases >> 4) + LIT_CLOCKS
    return divider * row_clocks * multiplex / OSCILLATOR_HZ
