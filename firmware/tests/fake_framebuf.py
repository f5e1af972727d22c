"""`framebuf` for tests that run under CPython too: inside the VM it is MicroPython's own, else the part made here.

from fake_framebuf import framebuf, imported
"""

import sys

MONO_VLSB, RGB565, GS4_HMSB, MONO_HLSB = 0, 1, 2, 3


class FrameBuffer:
    def __init__(self, buffer, width, height, form):
        self._buffer = memoryview(buffer)
        self._size = (width, height)
        self._form = form

    def pixel(self, x, y, colour=None):
        if not (0 <= x < self._size[0] and 0 <= y < self._size[1]):
            return None
        if self._form == RGB565:
            at, shift, mask = 2 * (y * self._size[0] + x), 0, 0xFFFF
        elif self._form == GS4_HMSB:
            at, shift, mask = (y * self._size[0] + x) // 2, 4 * (~x & 1), 0xF
        elif self._form == MONO_VLSB:
            at, shift, mask = y // 8 * self._size[0] + x, y % 8, 1
        else:
            at, shift, mask = y * ((self._size[0] + 7) // 8) + x // 8, 7 - x % 8, 1
        size = 2 if self._form == RGB565 else 1
        word = int.from_bytes(self._buffer[at : at + size], "little")
        if colour is None:
            return word >> shift & mask
        word = word & ~(mask << shift) | (colour & mask) << shift
        self._buffer[at : at + size] = word.to_bytes(size, "little")
        return None

    def fill_rect(self, x, y, width, height, colour):
        for row in range(y, y + height):
            for column in range(x, x + width):
                self.pixel(column, row, colour)

    def fill(self, colour):
        self.fill_rect(0, 0, self._size[0], self._size[1], colour)

    def hline(self, x, y, width, colour):
        self.fill_rect(x, y, width, 1, colour)

    def blit(self, source, x, y, key=-1, palette=None):
        if isinstance(source, (list, tuple)):
            source = FrameBuffer(*source)
        for row in range(source._size[1]):
            for column in range(source._size[0]):
                colour = source.pixel(column, row)
                if palette is not None:
                    colour = palette.pixel(colour, 0)
                if colour != key:
                    self.pixel(x + column, y + row, colour)


try:
    import framebuf
except ImportError:
    framebuf = sys.modules[__name__]


def imported(name):
    """Import a module of the firmware that needs `framebuf`; under CPython nobody else is to find this one."""
    known = "framebuf" in sys.modules
    sys.modules["framebuf"] = framebuf
    try:
        return __import__(name, None, None, ("*",))
    finally:
        if not known:
            del sys.modules["framebuf"]
