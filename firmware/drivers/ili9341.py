"""ILI Technology ILI9341 TFT controller, 240 x 320 px, on 4-wire SPI (datasheet V1.11), drawn by bands.

    from machine import SPI, Pin
    from time import sleep_ms

    lcd = ILI9341(SPI(1, 10_000_000), cs=Pin(10), dc=Pin(14), reset=Pin(15))
    for wait_ms in lcd.start():
        sleep_ms(wait_ms)
    lcd.fill(0, 0, 240, 320, rgb565(0, 0, 80))
    lcd.on()
    lcd.draw(20, 20, 200, 8, lambda canvas, x, y: canvas.text("hello", x, y, rgb565(255, 255, 255)))

A frame of 240 x 320 px in RGB565 has 153,600 bytes: more than any free block of an ESP32 without PSRAM. So nothing here
holds one. An area is drawn in bands, as many rows at a time as fit in one buffer that is made once: its painter is
called for each band, with a FrameBuffer and where in it the area begins, and `framebuf` cuts off what lies outside.

The controller takes 10 MHz when written and 6.6 MHz when read (18.3.4). It takes the high byte of a pixel first and
`framebuf` has the low one first, so colours are swapped once, when they are made (`rgb565`).
Power, VCOM and gamma settings are left at the controller's own. Nothing here waits: what has to, says for how long.
"""

import framebuf

WIDTH_PX = 240  # upright
HEIGHT_PX = 320
BAND_BYTES = 7680  # 16 rows of 240 px

_SOFTWARE_RESET = 0x01
_READ_POWER_MODE = 0x0A
_SLEEP_IN = 0x10
_SLEEP_OUT = 0x11
_INVERSION_OFF = 0x20
_INVERSION_ON = 0x21
_DISPLAY_OFF = 0x28
_DISPLAY_ON = 0x29
_COLUMNS = 0x2A
_PAGES = 0x2B
_MEMORY_WRITE = 0x2C
_MEMORY_ACCESS = 0x36
_PIXEL_FORMAT = 0x3A

_RESET_LOW_MS = 1  # at least 10 us (18.3.6)
_RESET_MS = 120  # until Sleep Out may follow a reset that found the controller awake (8.2.2)
_WAKING_MS = 5  # until any command may follow Sleep Out or Sleep In (8.2.11, 8.2.12)
_AWAKE_MS = 120  # until its opposite may
_RGB565 = b"\x55"  # 16 bits a pixel on both interfaces (8.2.33)
# Memory access control (8.2.29) by quarter turns clockwise. MY 0x80, MX 0x40 and MV 0x20 mirror and swap; BGR 0x08 is
# how panels are wired.
_ORDERS = (0x48, 0x28, 0x88, 0xE8)
_AWAKE_AND_ON = 0x9C  # power mode: booster on, awake, normal mode, display on (8.2.5)


def rgb565(red, green, blue):
    """Return a colour (each 0 to 255) as FrameBuffers in RGB565 are to hold it for this controller."""
    colour = (red & 0xF8) << 8 | (green & 0xFC) << 3 | blue >> 3
    return (colour & 0xFF) << 8 | colour >> 8


class ILI9341:
    """A panel on `spi` (machine.SPI or alike, mode 0), turned clockwise by `quarters` times 90 degrees.

    `cs`, `dc`, `reset` are machine.Pin; without `reset` the software reset is used. `band_bytes` is the size of the
    only buffer.
    """

    def __init__(self, spi, cs, dc, reset=None, quarters=0, band_bytes=BAND_BYTES):
        if band_bytes < 2 * HEIGHT_PX:
            raise ValueError("a band of %d bytes; at least %d, a row of a lying panel" % (band_bytes, 2 * HEIGHT_PX))
        self._spi = spi
        self._cs = cs
        self._dc = dc
        self._reset = reset
        self._order = _ORDERS[quarters]
        self.width_px, self.height_px = (HEIGHT_PX, WIDTH_PX) if quarters & 1 else (WIDTH_PX, HEIGHT_PX)
        self._band = memoryview(bytearray(band_bytes))
        self._code = bytearray(1)
        self._ends = bytearray(4)
        for pin in (cs, dc, reset):
            if pin is not None:
                pin.init(pin.OUT, value=1)

    def start(self):
        """Reset, wake and set up; the panel stays off, for its memory holds noise until something is drawn.

        A generator of how many milliseconds to wait before going on.
        """
        if self._reset is None:
            self._write(_SOFTWARE_RESET)
        else:
            self._reset(0)
            yield _RESET_LOW_MS
            self._reset(1)
        yield _RESET_MS
        self._write(_SLEEP_OUT)
        yield _WAKING_MS
        self._write(_PIXEL_FORMAT, _RGB565)
        self._write(_MEMORY_ACCESS, bytes((self._order,)))
        yield _AWAKE_MS - _WAKING_MS

    def on(self):
        """Show the memory."""
        self._write(_DISPLAY_ON)

    def off(self):
        """Blank the panel; the memory stays and can be drawn to."""
        self._write(_DISPLAY_OFF)

    def sleep(self):
        """Stop booster, oscillator and scanning; the memory stays. Return how many ms `wake` has to wait."""
        self._write(_SLEEP_IN)
        return _AWAKE_MS

    def wake(self):
        """End `sleep`. Return how many ms any command has to wait; another `sleep` waits 120."""
        self._write(_SLEEP_OUT)
        return _WAKING_MS

    def invert(self, inverse):
        """Show every colour as its complement, or as it is again."""
        self._write(_INVERSION_ON if inverse else _INVERSION_OFF)

    def check(self):
        """Ask the controller whether it is awake and on; run the bus at 6.6 MHz or less.

        On SPI nobody refuses anything: this alone shows a panel that is absent, or that a dip of its supply has reset.

        Raises:
            OSError: EIO (5), with what it answered.
        """
        self._code[0] = _READ_POWER_MODE
        self._cs(0)
        try:
            self._dc(0)
            self._spi.write(self._code)
            self._dc(1)
            self._spi.readinto(self._code)
        finally:
            self._cs(1)
        if self._code[0] != _AWAKE_AND_ON:
            raise OSError(5, "power mode is 0x%02x, not 0x%02x; check wiring, then start again"
                          % (self._code[0], _AWAKE_AND_ON))  # fmt: skip

    def draw(self, x_px, y_px, width_px, height_px, paint):
        """Draw an area: for each of its bands `paint(canvas, x, y)` draws on a FrameBuffer (RGB565).

        The area's top left corner is at (x, y) of `canvas`, above it (y < 0) in all bands but the first. A band holds
        what was painted before: a painter begins by filling.

        Raises:
            ValueError: the area is empty or not all on the panel.
        """
        if not (0 <= x_px < x_px + width_px <= self.width_px and 0 <= y_px < y_px + height_px <= self.height_px):
            raise ValueError(
                "%d x %d px at %d, %d are not on a panel of %d x %d px"
                % (width_px, height_px, x_px, y_px, self.width_px, self.height_px)
            )
        rows = min(height_px, len(self._band) // (2 * width_px))
        canvas = framebuf.FrameBuffer(self._band, width_px, rows, framebuf.RGB565)
        self._cs(0)
        try:
            self._send(_COLUMNS, self._between(x_px, width_px))
            self._send(_PAGES, self._between(y_px, height_px))
            self._send(_MEMORY_WRITE)
            self._dc(1)
            for top_px in range(0, height_px, rows):
                paint(canvas, 0, -top_px)
                self._spi.write(self._band[: 2 * width_px * min(rows, height_px - top_px)])
        finally:
            self._cs(1)

    def fill(self, x_px, y_px, width_px, height_px, colour):
        """Fill an area with one colour of `rgb565`. Errors as `draw`'s."""
        self.draw(x_px, y_px, width_px, height_px, lambda canvas, x, y: canvas.fill(colour))

    def blit(self, x_px, y_px, width_px, height_px, source, palette=None):
        """Draw a FrameBuffer of any format; `palette` maps one of fewer colours. Errors as `draw`'s.

        A palette is a FrameBuffer in RGB565, one pixel high, with a pixel for each value of the source's.
        """
        self.draw(x_px, y_px, width_px, height_px, lambda canvas, x, y: canvas.blit(source, x, y, -1, palette))

    def _between(self, first, count):
        last = first + count - 1
        self._ends[0], self._ends[1] = first >> 8, first & 0xFF
        self._ends[2], self._ends[3] = last >> 8, last & 0xFF
        return self._ends

    def _write(self, command, parameters=None):
        self._cs(0)
        try:
            self._send(command, parameters)
        finally:
            self._cs(1)

    def _send(self, command, parameters=None):
        self._code[0] = command
        self._dc(0)
        self._spi.write(self._code)
        if parameters is not None:
            self._dc(1)
            self._spi.write(parameters)
