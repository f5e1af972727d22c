"""SSD1306, 128 x 64 dot OLED driver (Solomon Systech, rev 1.5), on I2C, and its panel.

Theory of operation. A transmission is a chain of control bytes (8.1.5.2): Co says that one byte follows and then
another control byte, D/C# whether it is command or display data. Data land in GDDRAM at the pointers of the addressing
mode (10.1.3). What is seen is GDDRAM through segment remap, COM direction, multiplex ratio, offset, start line,
scrolling and inversion, on a panel mounted as modules are: upright with A1h and C8h. A module makes its panel's supply
from 3.3 V with the charge pump (8.9): without it the panel is dark. Fading and zooming fault (appendix, 23h and D6h).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pave_emulator.chips import ssd1306_panel as panel
from pave_emulator.chips.chip import ChipFault, Environment, I2cChip
from pave_emulator.chips.png import write_grey
from pave_emulator.chips.ssd1306_panel import COLUMNS, ROWS
from pave_emulator.chips.ssd1306_scroll import (
    LEFT,
    RIGHT,
    VERTICAL_LEFT,
    VERTICAL_RIGHT,
    Scroll,
    Setup,
    frame_s,
)

PAGES = 8

ARGUMENTS = {  # command: bytes that follow it (table 9-1)
    0x20: 1,
    0x21: 2,
    0x22: 2,
    RIGHT: 6,
    LEFT: 6,
    VERTICAL_RIGHT: 5,
    VERTICAL_LEFT: 5,
    0x81: 1,
    0x8D: 1,
    0xA3: 2,
    0xA8: 1,
    0xAD: 1,  # internal IREF of the SSD1306B and SSD1315; drivers send it to all, and an SSD1306 takes no notice
    0xD3: 1,
    0xD5: 1,
    0xD9: 1,
    0xDA: 1,
    0xDB: 1,
}
HORIZONTAL, VERTICAL, PAGE = 0, 1, 2


class Ssd1306(I2cChip):
    """The controller and its panel."""

    OPTIONS: ClassVar[dict[str, type]] = {"width_px": int, "height_px": int}
    INPUTS: ClassVar[tuple[str, ...]] = ("reset",)
    # Sleep: the most that table 12-1 allows. On: a text that lights a tenth of the dots at contrast CFh.
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "sleep": 10.0, "on": 2830.0}

    def __init__(self, environment: Environment, width_px: int = COLUMNS, height_px: int = ROWS) -> None:
        """Size of the panel; narrower ones use the middle columns. Panels over 32 rows have alternative COM wiring."""
        super().__init__(environment)
        self.width_px = width_px
        self.height_px = height_px
        self._held_in_reset = False
        self.power_on(0.0)

    def power_on(self, now_s: float) -> None:
        """Reset values of table 9-1; GDDRAM is undefined after power-on, zeros here."""
        self.gddram = [bytearray(COLUMNS) for _ in range(PAGES)]
        self._reset()
        self.state = "sleep"

    def power_off(self, now_s: float) -> None:
        """Supply taken away."""
        self._reset()
        self.state = "off"

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """RES#: low resets everything but GDDRAM (8.5)."""
        self._held_in_reset = not level
        if not level and self.state != "off":
            self._reset()
            self.state = "sleep"

    def _reset(self) -> None:
        self.on = False
        self.contrast = 0x7F
        self._mode = PAGE
        self._column = self._page = 0
        self._column_range = (0, COLUMNS - 1)
        self._page_range = (0, PAGES - 1)
        self._inverse = self._all_on = False
        self._segments_remapped = self._com_remapped = False
        self._start_line = self._offset = 0
        self._multiplex = ROWS
        self._com_pins = 0x12
        self._clock, self._phases = 0x80, 0x22
        self._charge_pump = False
        self._scroll = Scroll(self.gddram)
        self._pending = bytearray()
        self._lit_dots: int | None = None

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """Control bytes and what they announce. A command's arguments may come in later transmissions."""
        if self._held_in_reset:
            raise ChipFault("SSD1306: written to while RES# is low (8.5)")
        self.advance(now_s)
        self._lit_dots = None
        at = 0
        while at < len(data):
            control = data[at]
            if control & 0x3F:
                raise ChipFault(f"SSD1306: control byte {control:#04x}, the low six bits must be 0 (8.1.5.2)")
            end = at + 2 if control & 0x80 else len(data)
            payload = data[at + 1 : end]
            if control & 0x40:
                self._store(payload)
            else:
                for byte in payload:
                    self._command(byte, now_s)
            at = end

    def read(self, size: int, now_s: float) -> bytes:
        """Status register (table 9-2): bit 6 is set while the display is off."""
        return bytes([0 if self.on else 0x40]) * size

    def advance(self, now_s: float) -> None:
        """Scroll as far as is due."""
        self._scroll.advance(now_s)

    # Commands

    def _command(self, byte: int, now_s: float) -> None:
        self._pending.append(byte)
        command = self._pending[0]
        if len(self._pending) <= ARGUMENTS.get(command, 0):
            return
        arguments = bytes(self._pending[1:])
        self._pending.clear()
        if not arguments:
            self._simple(command, now_s)
        elif command in (0x20, 0x21, 0x22):
            self._address(command, arguments)
        elif command in (RIGHT, LEFT, VERTICAL_RIGHT, VERTICAL_LEFT):
            self._refuse_while_scrolling(f"{command:02X}h")
            self._scroll.set_up(Setup.parse(command, arguments))
        elif command == 0xA3:
            self._scroll.set_area(arguments[0] & 0x3F, arguments[1] & 0x7F, self._multiplex)
        else:
            self._configure(command, arguments[0])

    def _address(self, command: int, arguments: bytes) -> None:
        first = arguments[0]
        if command == 0x20:
            if first & 0x03 == 3:
                raise ChipFault(f"SSD1306: addressing mode {first:#04x} is invalid (10.1.3)")
            self._mode = first & 0x03
        elif command == 0x21:
            self._column_range = self._window(arguments, COLUMNS)
            self._column = self._column_range[0]
        else:
            self._page_range = self._window(arguments, PAGES)
            self._page = self._page_range[0]

    def _window(self, arguments: bytes, limit: int) -> tuple[int, int]:
        start, end = arguments[0] & limit - 1, arguments[1] & limit - 1
        if start > end:
            raise ChipFault(f"SSD1306: address range {start} to {end} ends before it starts (10.1.4)")
        return start, end

    def _configure(self, command: int, value: int) -> None:
        if command == 0x81:
            self.contrast = value
        elif command == 0x8D:
            self._charge_pump = bool(value & 0x04)
        elif command == 0xA8:
            if value & 0x3F < 15:
                raise ChipFault(f"SSD1306: multiplex ratio {value}, 0 to 14 are invalid (10.1.11)")
            self._multiplex = (value & 0x3F) + 1
        elif command == 0xD3:
            self._offset = value & 0x3F
        elif command == 0xD5:
            self._clock = value
        elif command == 0xD9:
            if not value & 0x0F or not value >> 4:
                raise ChipFault(f"SSD1306: pre-charge {value:#04x}, a phase of 0 clocks is invalid (10.1.17)")
            self._phases = value
        elif command == 0xDA:
            self._com_pins = value

    def _simple(self, command: int, now_s: float) -> None:
        if command < 0x10:
            self._column = self._column & 0x70 | command
        elif command < 0x20:
            self._column = (command & 0x07) << 4 | self._column & 0x0F
        elif command == 0x2E:
            self._scroll.stop()
        elif command == 0x2F:
            self._scroll.start(frame_s(self._clock, self._phases, self._multiplex), self._start_line, now_s)
        elif 0x40 <= command < 0x80:
            self._start_line = command & 0x3F
        elif 0xB0 <= command < 0xB8:
            self._page = command & 0x07
        elif command in (0xA0, 0xA1):
            self._segments_remapped = command == 0xA1
        elif command in (0xC0, 0xC8):
            self._com_remapped = command == 0xC8
        elif command in (0xA4, 0xA5):
            self._all_on = command == 0xA5
        elif command in (0xA6, 0xA7):
            self._inverse = command == 0xA7
        elif command in (0xAE, 0xAF):
            self.on = command == 0xAF
            self.state = "on" if self.on else "sleep"
        elif command != 0xE3:  # no operation
            raise ChipFault(f"SSD1306: command {command:#04x} is not modelled (table 9-1)")

    def _refuse_while_scrolling(self, what: str) -> None:
        if self._scroll.active:
            raise ChipFault(f"SSD1306: {what} while scrolling, 2Eh must come first (10.2.1, 10.2.4)")

    # Display data

    def _store(self, data: bytes) -> None:
        if not data:
            return
        self._refuse_while_scrolling("data")
        if self._mode == VERTICAL:
            for byte in data:
                self._put(bytes([byte]))
                self._page, carry = _next(self._page, self._page_range)
                if carry:
                    self._column, _ = _next(self._column, self._column_range)
            return
        limits = (0, COLUMNS - 1) if self._mode == PAGE else self._column_range
        at = 0
        while at < len(data):
            run = data[at : at + max(1, limits[1] - self._column + 1)]  # as far as the row goes
            self._put(run)
            at += len(run)
            self._column, carry = _next(self._column + len(run) - 1, limits)
            if carry and self._mode == HORIZONTAL:
                self._page, _ = _next(self._page, self._page_range)

    def _put(self, run: bytes) -> None:
        """Bytes side by side in one row. Segment remap is for what is written, not for what is there (10.1.8)."""
        row, column = self.gddram[self._page], self._column
        if self._segments_remapped:
            row[COLUMNS - column - len(run) : COLUMNS - column] = run[::-1]
        else:
            row[column : column + len(run)] = run

    # What a person sees

    def frame(self) -> list[list[int]]:
        """Rows from top to bottom of 0 (dark) and 1 (lit); all dark while the display or its charge pump is off."""
        return [list(line) for line in self._lines()]

    def _lines(self) -> list[bytes]:
        dark = bytes(self.width_px)
        if not self.on or not self._charge_pump:
            return [dark] * self.height_px
        scan = panel.Scan(self._multiplex, self._offset, self._com_remapped, self._com_pins)
        lines = panel.lines(self.gddram, (self.width_px, self.height_px), scan, self._memory_row)
        if self._all_on:
            return [dark if line is None else b"\1" * self.width_px for line in lines]
        if self._inverse:
            return [dark if line is None else line.translate(panel.INVERT) for line in lines]
        return [line or dark for line in lines]

    def _memory_row(self, row: int) -> int:
        return (self._scroll.row(row) + self._start_line) % ROWS

    def supply_current_ua(self, now_s: float) -> float:
        """Supply current of the module at 3.3 V: by how many dots are lit, contrast and phases (8.8)."""
        if not self.on:
            return self.STATES_UA[self.state]
        if not self._charge_pump:
            return panel.LOGIC_UA
        return panel.supply_ua(self._lit() / self._multiplex, self.contrast, self._phases)

    def _lit(self) -> int:
        """Dots that are lit, counted anew only after something was written or scrolled."""
        if self._lit_dots is None or self._scroll.active:
            self._lit_dots = sum(map(sum, self._lines()))
        return self._lit_dots

    def ascii(self) -> str:
        """The frame in characters, two rows in one line of text."""
        marks = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
        rows = self.frame()
        pairs = zip(rows[0::2], rows[1::2], strict=True)
        return "\n".join("".join(marks[dots] for dots in zip(*pair, strict=True)) for pair in pairs)

    def to_png(self, path: Path, scale: int = 4) -> None:
        """Write the frame as a PNG, `scale` pixels a dot."""
        rows = [bytes(255 * dot for dot in row for _ in range(scale)) for row in self.frame() for _ in range(scale)]
        write_grey(path, rows)


def _next(value: int, limits: tuple[int, int]) -> tuple[int, bool]:
    """The next address in a range, and whether it started over."""
    return (limits[0], True) if value >= limits[1] else (value + 1, False)
