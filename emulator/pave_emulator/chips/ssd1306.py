"""SSD1306, 128 x 64 dot OLED driver (Solomon Systech, rev 1.1), on I2C.

Theory of operation. A transmission is a chain of control bytes (8.1.5.2): Co says that one byte follows and then
another control byte, D/C# whether it is command or display data. Data land in GDDRAM at the pointers of the addressing
mode (10.1.3). What is seen is GDDRAM through segment remap, COM direction, start line, offset and inversion, on a
panel mounted as modules are: upright with A1h and C8h. Scrolling and what the datasheet does not list fault.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pave_emulator.chips.chip import ChipFault, Environment, I2cChip
from pave_emulator.chips.png import write_grey

COLUMNS = 128
PAGES = 8

ARGUMENTS = {  # command: bytes that follow it (table 9-1)
    0x20: 1,
    0x21: 2,
    0x22: 2,
    0x81: 1,
    0x8D: 1,
    0xA8: 1,
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

    def __init__(self, environment: Environment, width_px: int = COLUMNS, height_px: int = 64) -> None:
        super().__init__(environment)
        self.width_px = width_px
        self.height_px = height_px
        self.power_on(0.0)

    def power_on(self, now_s: float) -> None:
        """Reset values of table 9-1; GDDRAM is undefined after power-on, zeros here."""
        self.gddram = [bytearray(COLUMNS) for _ in range(PAGES)]
        self.on = False
        self.contrast = 0x7F
        self._mode = PAGE
        self._column = self._page = 0
        self._column_range = (0, COLUMNS - 1)
        self._page_range = (0, PAGES - 1)
        self._inverse = self._all_on = False
        self._segments_remapped = self._com_remapped = False
        self._start_line = self._offset = 0
        self._charge_pump = False
        self._pending = bytearray()

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """Control bytes and what they announce."""
        at = 0
        while at < len(data):
            control = data[at]
            if control & 0x3F:
                raise ChipFault(f"SSD1306: control byte {control:#04x}, the low six bits must be 0 (8.1.5.2)")
            end = at + 2 if control & 0x80 else len(data)
            payload = data[at + 1 : end]
            for byte in payload:
                if control & 0x40:
                    self._store(byte)
                else:
                    self._command(byte)
            at = end

    def read(self, size: int, now_s: float) -> bytes:
        """Status register (table 9-2): bit 6 is set while the display is off."""
        return bytes([0 if self.on else 0x40]) * size

    # Commands

    def _command(self, byte: int) -> None:
        self._pending.append(byte)
        command = self._pending[0]
        if len(self._pending) <= ARGUMENTS.get(command, 0):
            return
        arguments = bytes(self._pending[1:])
        self._pending.clear()
        if arguments:
            self._configure(command, arguments)
        else:
            self._simple(command)

    def _configure(self, command: int, arguments: bytes) -> None:
        first = arguments[0]
        if command == 0x20:
            if first & 0x03 == 3:
                raise ChipFault(f"SSD1306: addressing mode {first:#04x} is invalid (10.1.3)")
            self._mode = first & 0x03
        elif command == 0x21:
            self._column_range = self._window(arguments, COLUMNS)
            self._column = self._column_range[0]
        elif command == 0x22:
            self._page_range = self._window(arguments, PAGES)
            self._page = self._page_range[0]
        elif command == 0x81:
            self.contrast = first
        elif command == 0xD3:
            self._offset = first & 0x3F
        elif command == 0x8D:
            self._charge_pump = bool(first & 0x04)
        elif command == 0xA8 and first < 15:
            raise ChipFault(f"SSD1306: multiplex ratio {first}, 0 to 14 are invalid (10.1.11)")

    def _window(self, arguments: bytes, limit: int) -> tuple[int, int]:
        start, end = arguments[0] & limit - 1, arguments[1] & limit - 1
        if start > end:
            raise ChipFault(f"SSD1306: address range {start} to {end} ends before it starts (10.1.4)")
        return start, end

    def _simple(self, command: int) -> None:
        if command < 0x10:
            self._column = self._column & 0x70 | command
        elif command < 0x20:
            self._column = (command & 0x07) << 4 | self._column & 0x0F
        elif 0x40 <= command < 0x80:
            self._start_line = command & 0x3F
        elif 0xB0 <= command < 0xB8:
            self._page = command & 0x07
        elif command in (0xA0, 0xA1):
            self._segments_remapped = command == 0xA1
        elif 0xC0 <= command < 0xD0:
            self._com_remapped = bool(command & 0x08)
        elif command in (0xA4, 0xA5):
            self._all_on = command == 0xA5
        elif command in (0xA6, 0xA7):
            self._inverse = command == 0xA7
        elif command in (0xAE, 0xAF):
            self.on = command == 0xAF
        elif command not in (0xE3, 0x2E):  # no operation; scrolling off, as it always is here
            raise ChipFault(f"SSD1306: command {command:#04x} is not modelled (table 9-1)")

    # Display data

    def _store(self, byte: int) -> None:
        # Segment remap takes effect as data are written, not on what is there (10.1.8).
        segment = COLUMNS - 1 - self._column if self._segments_remapped else self._column
        self.gddram[self._page][segment] = byte
        if self._mode == VERTICAL:
            self._page, carry = _next(self._page, self._page_range)
            if carry:
                self._column, _ = _next(self._column, self._column_range)
            return
        whole_row = (0, COLUMNS - 1)
        self._column, carry = _next(self._column, whole_row if self._mode == PAGE else self._column_range)
        if carry and self._mode == HORIZONTAL:
            self._page, _ = _next(self._page, self._page_range)

    # What a person sees

    def frame(self) -> list[list[int]]:
        """Rows from top to bottom of 0 (dark) and 1 (lit); all dark while the display or its charge pump is off."""
        return [[self._dot(x, y) for x in range(self.width_px)] for y in range(self.height_px)]

    def _dot(self, x: int, y: int) -> int:
        if not self.on or not self._charge_pump:
            return 0
        if self._all_on:
            return 1
        line = y if self._com_remapped else self.height_px - 1 - y
        row = (line + self._start_line + self._offset) % (PAGES * 8)
        lit = self.gddram[row // 8][COLUMNS - 1 - x] >> row % 8 & 1
        return lit ^ int(self._inverse)

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
