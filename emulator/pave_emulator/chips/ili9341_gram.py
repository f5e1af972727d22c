"""Frame memory of the ILI9341: 240 x 320 pixels of 18 bits, the address counter that walks it, the pixel formats.

Theory of operation. Memory is three planes, one byte a pixel with the six bits at the top, so that whole runs of pixels
are slices. The address counter (9.3, MCU to memory direction) walks a window of columns and pages; MADCTL's MV, MX and
MY say where a column and a page lie in memory. A run along the columns is a slice of each plane, with a stride of
1, -1, 240 or -240.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WIDTH, HEIGHT = 240, 320
SIX_BITS = bytes(value & 0xFC for value in range(256))
GREEN_HIGH = bytes((value & 0x07) << 5 for value in range(256))
GREEN_LOW = bytes(value >> 5 << 2 for value in range(256))


def _five_to_six(expand: str) -> tuple[bytes, bytes]:
    """Tables from the high byte of a 16-bit pixel to red, from its low byte to blue."""
    six = []
    for value in range(32):
        if expand == "msb":
            low = value >> 4
        elif expand == "zero":
            low = int(value == 31)
        else:
            low = int(value != 0)
        six.append((value << 1 | low) << 2)
    return bytes(six[byte >> 3] for byte in range(256)), bytes(six[byte & 0x1F] for byte in range(256))


EXPANSIONS = {0: _five_to_six("msb"), 1: _five_to_six("zero"), 2: _five_to_six("one")}  # EPF (8.3.28)

Planes = tuple[bytes, bytes, bytes]


def from_16_bits(data: bytes, epf: int) -> Planes:
    """Planes of pixels R5 G6 B5, big endian (7.6.2); five bits become six as EPF says."""
    high, low = data[0::2], data[1::2]
    red, blue = EXPANSIONS[epf]
    green = int.from_bytes(high.translate(GREEN_HIGH), "big") | int.from_bytes(low.translate(GREEN_LOW), "big")
    return high.translate(red), green.to_bytes(len(high), "big"), low.translate(blue)


def from_18_bits(data: bytes) -> Planes:
    """Planes of pixels in three bytes, six bits each at the top (7.6.2)."""
    six = data.translate(SIX_BITS)
    return six[0::3], six[1::3], six[2::3]


@dataclass(frozen=True)
class Window:
    """Columns and pages that are written, both ends included, and how they lie in memory (8.2.20, 8.2.21, 8.2.29)."""

    columns: tuple[int, int]
    pages: tuple[int, int]
    exchanged: bool  # MV
    mirrored_x: bool  # MX
    mirrored_y: bool  # MY

    def limits(self) -> tuple[int, int]:
        """How many columns and pages there are."""
        return (HEIGHT, WIDTH) if self.exchanged else (WIDTH, HEIGHT)

    def place(self, column: int, page: int) -> tuple[int, int]:
        """Offset of a pixel in a plane, and how far its right neighbour is."""
        x, y = (page, column) if self.exchanged else (column, page)
        step_x, step_y = 1, WIDTH
        if self.mirrored_x:
            x, step_x = WIDTH - 1 - x, -1
        if self.mirrored_y:
            y, step_y = HEIGHT - 1 - y, -WIDTH
        return y * WIDTH + x, step_y if self.exchanged else step_x


class Gram:
    """The memory and the address counter."""

    def __init__(self) -> None:
        self.planes = tuple(bytearray(WIDTH * HEIGHT) for _ in range(3))
        self._column = self._page = 0
        self._full = False

    def begin(self, window: Window) -> None:
        """Address counter to the first column and page."""
        self._column, self._page = window.columns[0], window.pages[0]
        self._full = False

    def write(self, window: Window, planes: Planes, wraps: bool) -> None:
        """Store pixels; after the last page the window starts over when `wraps` (WEMODE, 8.3.28), else is full."""
        for at, run in self._runs(window, len(planes[0]), wraps):
            taken = slice(at, at + len(range(run.start, run.stop, run.step)))
            for plane, pixels in zip(self.planes, planes, strict=True):
                plane[_python(run)] = pixels[taken]

    def read(self, window: Window, count: int, wraps: bool) -> bytes:
        """The next `count` pixels, three bytes each."""
        rgb = bytearray(3 * count)
        for at, run in self._runs(window, count, wraps):
            for channel, plane in enumerate(self.planes):
                pixels = plane[_python(run)]
                rgb[3 * at + channel : 3 * (at + len(pixels)) : 3] = pixels
        return bytes(rgb)

    def _runs(self, window: Window, count: int, wraps: bool) -> Iterator[tuple[int, range]]:
        """Walk `count` pixels: which of them (the first's number), where they lie. Out of range they lie nowhere."""
        column_limit, page_limit = window.limits()
        at = 0
        while at < count and not self._full:
            if self._column > window.columns[1]:
                self._next_page(window, wraps)
                continue
            length = min(window.columns[1] - self._column + 1, count - at)
            inside = min(length, column_limit - self._column) if self._page < page_limit else 0
            if inside > 0:
                offset, step = window.place(self._column, self._page)
                yield at, range(offset, offset + inside * step, step)
            at += length
            self._column += length

    def _next_page(self, window: Window, wraps: bool) -> None:
        self._column = window.columns[0]
        self._page += 1
        if self._page > window.pages[1]:
            self._page = window.pages[0]
            self._full = not wraps


def _python(run: range) -> slice:
    return slice(run.start, run.stop if run.stop >= 0 else None, run.step)
