"""Solomon Systech SSD1306 monochrome OLED controller on I2C (datasheet rev 1.5), drawn through `framebuf`.

    from machine import I2C, Pin

    panel = SSD1306(I2C(0, sda=Pin(8), scl=Pin(9), freq=400_000))
    panel.start()
    panel.text("hello", 0, 0)
    panel.show()

`SSD1306` is a FrameBuffer in MONO_VLSB, which is the controller's own page layout (8.7): draw with text, rect, line
..., then `show` sends the whole frame, `show_area` only the pages and columns that an area touches. Panels of 128 x 64
and 128 x 32 that make their voltage with the controller's charge pump, as nearly all modules do.
"""

import framebuf

# Control byte (8.1.5.2): what follows it, to the end of the transaction, is commands or display data.
_COMMANDS = 0x00
_DATA = 0x40

_SET_COLUMNS = 0x21
_SET_PAGES = 0x22
_SET_CONTRAST = 0x81
_CHARGE_PUMP = 0x8D  # application note at the end of the datasheet
_NORMAL = 0xA6
_INVERSE = 0xA7
_DISPLAY_OFF = 0xAE
_DISPLAY_ON = 0xAF
_PUMP_OFF = 0x10
_PUMP_ON = 0x14

CONTRAST = 0xCF  # after `start`


class SSD1306(framebuf.FrameBuffer):
    """A panel of `width_px` by `height_px` at `address` of `i2c` (machine.I2C or alike)."""

    def __init__(self, i2c, width_px=128, height_px=64, address=0x3C):
        self._i2c = i2c
        self._address = address
        self.width_px = width_px
        self.height_px = height_px
        self._frame = memoryview(bytearray(width_px * height_px // 8))
        self._data = [bytes((_DATA,)), None]
        super().__init__(self._frame, width_px, height_px, framebuf.MONO_VLSB)

    def start(self):
        """Initialise and switch on, screen dark.

        Raises:
            OSError: ENODEV when no panel answers.
        """
        self._command(
            _DISPLAY_OFF,
            0x2E,  # no scrolling: a panel that kept its supply may have been left so (10.2.3)
            0xD5, 0x80,  # clock: divided by 1, middle frequency (reset value)
            0xA8, self.height_px - 1,  # multiplex ratio
            0xD3, 0,  # COM 0 is row 0
            0x40,  # from RAM line 0
            0x20, 0,  # horizontal addressing
            0xA1, 0xC8,  # column 127 at SEG0, COMs from the last to the first: connector at the top, as modules have it
            0xDA, 0x12 if self.height_px == 64 else 0x02,  # COM pins: alternate on 64 rows, sequential on 32
            _SET_CONTRAST, CONTRAST,
            0xD9, 0xF1,  # precharge 1 clock, discharge 15: for the charge pump's 7.5 V
            0xDB, 0x30,  # COM deselected at 0.83 Vcc
            0xA4,  # show the RAM
            _NORMAL,
        )  # fmt: skip
        self.fill(0)
        self.show()
        self.on()

    def show(self):
        """Send the whole frame."""
        self._window(0, self.width_px - 1, 0, self.height_px // 8 - 1)
        self._send(self._frame)

    def show_area(self, x_px, y_px, width_px, height_px):
        """Send the columns of an area, in every page of 8 rows that it touches.

        Raises:
            ValueError: the area is empty or not all on the panel.
        """
        if not (0 <= x_px < x_px + width_px <= self.width_px and 0 <= y_px < y_px + height_px <= self.height_px):
            raise ValueError(
                "%d x %d px at %d, %d are not on a panel of %d x %d px"
                % (width_px, height_px, x_px, y_px, self.width_px, self.height_px)
            )
        first = y_px // 8
        last = (y_px + height_px - 1) // 8
        self._window(x_px, x_px + width_px - 1, first, last)
        for page in range(first, last + 1):
            at = page * self.width_px + x_px
            self._send(self._frame[at : at + width_px])

    def draw(self, x_px, y_px, width_px, height_px, paint):
        """Have `paint(canvas, x, y)` draw an area whose top left corner is at (x, y) of `canvas`, and send it.

        Errors as `show_area`'s.
        """
        paint(self, x_px, y_px)
        self.show_area(x_px, y_px, width_px, height_px)

    def contrast(self, level):
        """Set the brightness, 0 to 255 (10.1.7)."""
        self._command(_SET_CONTRAST, level)

    def invert(self, inverse):
        """Show 0 as lit, or as dark again."""
        self._command(_INVERSE if inverse else _NORMAL)

    def on(self):
        """Start the charge pump and the panel, with the picture it has (application note, 3)."""
        self._command(_CHARGE_PUMP, _PUMP_ON, _DISPLAY_ON)

    def off(self):
        """Stop the panel and the charge pump: some 10 uA. The controller keeps the picture and can be drawn to."""
        self._command(_DISPLAY_OFF, _CHARGE_PUMP, _PUMP_OFF)

    def _window(self, left, right, first_page, last_page):
        self._command(_SET_COLUMNS, left, right, _SET_PAGES, first_page, last_page)

    def _command(self, *commands):
        self._i2c.writeto(self._address, bytes((_COMMANDS,) + commands))

    def _send(self, data):
        self._data[1] = data
        self._i2c.writevto(self._address, self._data)
