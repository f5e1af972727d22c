"""The two panels of a kiosk, SSD1306 and ILI9341, kept true: what is heard in, pixels out.

A panel that does not answer is a fault; it is started again every KIOSK_PANEL_AGAIN_S while the other goes on. On SPI
nobody refuses anything, so the ILI9341 is asked every KIOSK_PANEL_CHECK_S whether a dip of its supply has reset it.
"""

import asyncio

import machine
from machine import Pin

from app import limits, screen_oled, screen_tft
from app.screen import Screen
from app.screen_show import Shown
from app.screen_words import ENGLISH, FRENCH
from drivers.ili9341 import ILI9341, rgb565
from drivers.ssd1306 import CONTRAST, SSD1306
from net.clock import now_ms

LANGUAGES = ((FRENCH,), (ENGLISH,), (FRENCH, ENGLISH))  # by the value of the setting
_SPI_HZ = 10_000_000  # written; the controller's limit (its datasheet, 18.3.4)
_SPI_READ_HZ = 6_600_000
_NIGHT_CONTRAST = 0x10


class _Panel:
    def __init__(self, name, layout, driver):
        self.name = name
        self.driver = driver
        self.screen = Screen(layout)
        self.shown = Shown(layout, driver)
        self.due_ms = 0  # when to start it, or to check it
        self.runs = False


class Screens:
    """See above.

    Args:
        board: the module of pins.
        i2c: machine.I2C of the SSD1306.
        fault: function of a panel's name and whether it is failing.
    """

    def __init__(self, board, i2c, fault):
        self._fault = fault
        self._news = asyncio.Event()
        self._spi = machine.SPI(
            board.SPI1_ID, _SPI_HZ, sck=Pin(board.SPI_SCK), mosi=Pin(board.SPI_MOSI), miso=Pin(board.SPI_MISO)
        )
        oled = SSD1306(i2c, board.DISPLAY_WIDTH_PX, board.DISPLAY_HEIGHT_PX, board.DISPLAY_ADDRESS)
        lcd = ILI9341(self._spi, Pin(board.LCD_CS), Pin(board.LCD_DC), Pin(board.LCD_RESET))
        self._oled = _Panel("display", screen_oled.Layout(board.DISPLAY_HEIGHT_PX), oled)
        self._lcd = _Panel("lcd", screen_tft.Layout(rgb565), lcd)
        self._panels = (self._oled, self._lcd)

    # What comes in

    def heard(self, counts, nearest, at_ms, max_age_s):
        """Take what the gateway says, as `app.screen.Screen.heard`."""
        for panel in self._panels:
            panel.screen.heard(counts, nearest, at_ms, max_age_s)
        self._news.set()

    def configure(self, languages, heading_deg):
        """Show these languages (index in LANGUAGES), for who looks towards `heading_deg`; then `tell`."""
        for panel in self._panels:
            panel.screen.configure(LANGUAGES[languages], heading_deg)

    def tell(self, texts, until_ms):
        """Show a message {language: text} until a time, or for ever with None; {}: none."""
        for panel in self._panels:
            panel.screen.tell(texts, now_ms(), until_ms)
        self._news.set()

    def set_night(self, is_night):
        """Take colours for the night, or for the day."""
        for panel in self._panels:
            panel.screen.night = is_night
        if self._oled.runs:
            self._oled.driver.contrast(_NIGHT_CONTRAST if is_night else CONTRAST)
        self._news.set()

    def free(self):
        """Return how many bays are shown as free; None before the gateway has said."""
        return self._oled.screen.free()

    # Drawing

    async def run(self, beat):
        """Draw what changes, for ever."""
        while True:
            self._news.clear()
            at_ms = now_ms()
            for panel in self._panels:
                await self._keep_true(panel, at_ms)
                beat()
            await self._look_again(at_ms)

    def dark(self):
        """Show nothing any more; a panel that does not answer is left."""
        try:
            self._lcd.driver.off()
            self._oled.driver.off()
        except OSError as error:
            print("display:", error)

    async def _keep_true(self, panel, at_ms):
        try:
            if at_ms >= panel.due_ms:
                if panel.runs and panel is self._lcd:
                    self._check()
                if not panel.runs:
                    await self._start(panel)
                panel.due_ms = at_ms + limits.KIOSK_PANEL_CHECK_S * 1000
            if panel.runs:
                for _ in panel.shown.update(panel.screen.view(at_ms)):
                    await asyncio.sleep_ms(0)
        except OSError as error:
            print("panel", panel.name, "failed:", error)
            panel.runs = False
            panel.due_ms = at_ms + limits.KIOSK_PANEL_AGAIN_S * 1000
            self._fault(panel.name, True)

    async def _start(self, panel):
        panel.shown.forget()
        if panel is self._oled:
            panel.driver.start()
        else:
            for wait_ms in panel.driver.start():
                await asyncio.sleep_ms(wait_ms)
            for _ in panel.shown.update(panel.screen.view(now_ms())):  # its memory holds noise until then
                await asyncio.sleep_ms(0)
            panel.driver.on()
            self._check()
        panel.runs = True
        self._fault(panel.name, False)

    def _check(self):
        self._spi.init(baudrate=_SPI_READ_HZ)
        try:
            self._lcd.driver.check()
        finally:
            self._spi.init(baudrate=_SPI_HZ)

    async def _look_again(self, at_ms):
        """Wait for news, the next change of what was shown at `at_ms`, or time to see to a panel."""
        until_ms = at_ms + limits.KIOSK_LOOK_S * 1000
        for panel in self._panels:
            change_ms = panel.screen.next_change_ms(at_ms)
            until_ms = min(until_ms, panel.due_ms)
            if change_ms is not None and panel.runs:
                until_ms = min(until_ms, change_ms)
        try:
            await asyncio.wait_for_ms(self._news.wait(), max(0, until_ms - now_ms()))
        except asyncio.TimeoutError:
            pass
