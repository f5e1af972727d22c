"""Solomon Systech SSD1306 monochrome OLED controller on I2C (datasheet rev 1.1), drawn through `framebuf`.

`SSD1306` is a FrameBuffer in MONO_VLSB, which is the controller's own page layout (8.7): draw with text, rect, line
..., then `show` sends the whole frame in horizontal addressing mode.
"""

import framebuf

_COMMAND = 0x80  # control byte: one command byte follows (8.1.5.2)
_DATA = 0x40  # control byte: display data follows to the end of the transaction

_SET_ADDRESSING_MODE = 0x20
_SET_COLUMNS = 0x21
_SET_PAGES = 0x22
_SET_START_LINE = 0x40
_SET_CONTRAST = 0x81
_CHARGE_PUMP = 0x8D  # application note at the end of the datasheet
_SEGMENT_REMAP = 0xA1
_RESUME_FROM_RAM = 0xA4
_NORMAL = 0xA6
_SET_MULTIPLEX = 0xA8
_DISPLAY_OFF = 0xAE
_DISPLAY_ON = 0xAF
_COM_SCAN_REMAPPED = 0xC8
_SET_OFFSET = 0xD3
_SET_CLOCK = 0xD5
_SET_PRECHARGE = 0xD9
_SET_COM_PINS = 0xDA
_SET_VCOMH = 0xDB


class SSD1306(framebuf.FrameBuffer):
    """A panel of `width_px` by `height_px` at `address` of `i2c`."""

    def __init__(self, i2c, width_px=128, height_px=64, address=0x3C):
        self._i2c = i2c
        self._address = address
        self._width_px = width_px
        self._pages = height_px // 8
        self._message = bytearray(1 + width_px * self._pages)
        self._message[0] = _DATA
        super().__init__(memoryview(self._message)[1:], width_px, height_px, framebuf.MONO_VLSB)

    def start(self):
        """Initialise and switch on, screen dark.

        Raises:
            OSError: ENODEV when no panel answers.
        """
        height_px = self._pages * 8
        for command in (
            _DISPLAY_OFF,
            _SET_CLOCK, 0x80,
            _SET_MULTIPLEX, height_px - 1,
            _SET_OFFSET, 0,
            _SET_START_LINE,
            _CHARGE_PUMP, 0x14,
            _SET_ADDRESSING_MODE, 0,
            _SEGMENT_REMAP,
            _COM_SCAN_REMAPPED,
            _SET_COM_PINS, 0x12 if height_px == 64 else 0x02,
            _SET_CONTRAST, 0xCF,
            _SET_PRECHARGE, 0xF1,
            _SET_VCOMH, 0x30,
            _RESUME_FROM_RAM,
            _NORMAL,
        ):  # fmt: skip
            self._command(command)
        self.fill(0)
        self.show()
        self._command(_DISPLAY_ON)

    def show(self):
        """Send the frame to the panel."""
        for command in (_SET_COLUMNS, 0, self._width_px - 1, _SET_PAGES, 0, self._pages - 1):
            self._command(command)
        self._i2c.writeto(self._address, self._message)

    def _command(self, command):
        self._i2c.writeto(self._address, bytes((_COMMAND, command)))
