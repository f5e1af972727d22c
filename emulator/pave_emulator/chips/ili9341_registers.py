"""Parameters that an ILI9341 was given, what they mean, and which of them the datasheet (v1.11) forbids."""

from __future__ import annotations

from pave_emulator.chips import ili9341_commands as command
from pave_emulator.chips import ili9341_panel as panel
from pave_emulator.chips.ili9341_gram import HEIGHT, Window

GAMMA_CURVES = (1, 2, 4, 8)
BITS_16, BITS_18 = 5, 6  # DBI (8.2.33)
PTG = (0, 2)  # scan modes of the non-display area that are not prohibited (8.3.7)
NL_320_LINES = 0x27
BLACK_AREA = 1  # PT: source outputs at the level of black; the others leave the glass white (8.3.7)


class Registers:
    """Parameters by command, as they have arrived."""

    def __init__(self) -> None:
        self._values: dict[int, bytearray] = {}
        self.hardware_reset()

    def hardware_reset(self) -> None:
        """Every register at its default."""
        self._values = {code: bytearray(value) for code, value in command.DEFAULTS.items()}

    def software_reset(self) -> None:
        """The same, but for what 8.2.29 and 8.2.33 keep; the default ranges follow MV (8.2.20, 8.2.21)."""
        kept = {code: self._values[code] for code in command.KEPT_BY_SWRESET}
        self.hardware_reset()
        self._values |= kept
        if self.order() & command.MADCTL_MV:
            columns, pages = self._values[command.CASET], self._values[command.PASET]
            self._values[command.CASET], self._values[command.PASET] = pages, columns

    def store(self, code: int, at: int, parameters: bytes) -> None:
        """Parameters of `code` from number `at` (0: the first) on."""
        value = self._values.setdefault(code, bytearray(command.PARAMETERS[code][0]))
        value[at : at + len(parameters)] = parameters

    def first(self, code: int) -> int:
        """The first parameter of a command."""
        return self._values[code][0]

    def text(self, code: int) -> str:
        """All parameters of a command, for a fault."""
        return self._values[code].hex(" ")

    def words(self, code: int) -> list[int]:
        """Parameters as 16-bit numbers."""
        value = self._values[code]
        return [value[at] << 8 | value[at + 1] for at in range(0, len(value), 2)]

    # Meaning

    def order(self) -> int:
        """MADCTL, with the bits that interface control inverts (8.3.28)."""
        return self.first(command.MADCTL) ^ self.first(command.IFCTL) & command.EORS

    def window(self) -> Window:
        """What RAMWR and RAMRD walk."""
        order = self.order()
        columns, pages = self.words(command.CASET), self.words(command.PASET)
        return Window(
            (columns[0], columns[1]),
            (pages[0], pages[1]),
            exchanged=bool(order & command.MADCTL_MV),
            mirrored_x=bool(order & command.MADCTL_MX),
            mirrored_y=bool(order & command.MADCTL_MY),
        )

    def wraps(self) -> bool:
        """WEMODE: pixels beyond the window start it over; else they are dropped (8.3.28)."""
        return bool(self.first(command.IFCTL) & 0x01)

    def pixel_bytes(self) -> int:
        """Bytes of a written pixel."""
        return 2 if self.first(command.PIXSET) & 0x07 == BITS_16 else 3

    def epf(self) -> int:
        """How five bits become six (8.3.28)."""
        return self._values[command.IFCTL][1] >> 4 & 0x03

    def drive(self, scrolling: bool, partial: bool, idle: bool, inverted: bool) -> panel.Drive:
        """How the glass is driven in these modes."""
        lines: list[int | None] = list(range(HEIGHT))
        if scrolling:
            top, area, _ = self.words(command.VSCRDEF)
            lines = panel.scrolled(top, area, self.words(command.VSCRSADD)[0])
        elif partial:
            first, last = self.words(command.PLTAR)
            lines = panel.partial(first, last)
        if self.order() & command.MADCTL_ML:
            lines = panel.from_the_bottom(lines)
        ports, scan, count = self._values[command.DISCTRL][:3]
        driven = 8 * ((count & 0x3F) + 1)
        lines = [at if gate < driven else None for gate, at in enumerate(lines)]
        return panel.Drive(
            lines[::-1] if scan & 0x40 else lines,  # GS
            idle=idle,
            inverted=inverted != (not scan & 0x80),  # REV 0 is meant for glass that is normally black
            mirrored=bool(scan & 0x20),  # SS
            blank=panel.BLACK if ports & 0x03 == BLACK_AREA else panel.WHITE,
            bgr=bool(self.order() & command.MADCTL_BGR),
        )

    # What may not be

    def problem(self, code: int) -> str | None:
        """Why the parameters of `code` may not be what they are; None: they may."""
        check = {
            command.CASET: self._range_problem,
            command.PASET: self._range_problem,
            command.PLTAR: self._partial_problem,
            command.VSCRDEF: self._scroll_area_problem,
            command.VSCRSADD: self._scroll_start_problem,
            command.GAMSET: self._gamma_problem,
            command.PIXSET: self._format_problem,
            command.DISCTRL: self._display_problem,
            command.IFCTL: self._interface_problem,
        }.get(code)
        return check(code) if check else None

    def _range_problem(self, code: int) -> str | None:
        start, end = self.words(code)
        return "the end is before the start" if start > end else None

    def _partial_problem(self, code: int) -> str | None:
        return "there are lines 0 to 319" if max(self.words(code)) >= HEIGHT else None

    def _scroll_area_problem(self, code: int) -> str | None:
        total = sum(self.words(code))
        return f"the three areas have {total} lines, not 320" if total != HEIGHT else None

    def _scroll_start_problem(self, code: int) -> str | None:
        top, area, _ = self.words(command.VSCRDEF)
        inside = top <= self.words(code)[0] < top + area
        return None if inside else f"the start is not in the scrolled area, lines {top} to {top + area - 1}"

    def _gamma_problem(self, code: int) -> str | None:
        return None if self.first(code) in GAMMA_CURVES else "gamma curves are 1, 2, 4 and 8"

    def _format_problem(self, code: int) -> str | None:
        return None if self.first(code) & 0x07 in (BITS_16, BITS_18) else "DBI is 5 (16 bits) or 6 (18 bits)"

    def _display_problem(self, code: int) -> str | None:
        ports, scan, count = self._values[code][:3]
        if ports >> 2 & 0x03 not in PTG or count & 0x3F > NL_320_LINES:
            return "PTG 1 and 3 and NL above 27h are prohibited"
        return "interlaced scan (SM) is not modelled" if scan & 0x10 else None

    def _interface_problem(self, code: int) -> str | None:
        _, formats, interface = self._values[code]
        if formats & 0x30 == 0x30 or formats & 0x03 or interface & 0x2F:
            return "EPF 3, MDT, ENDIAN and the RGB interface (DM, RM, RIM) are not modelled"
        return None
