"""Kiosk controller: the screen of a bus shelter, kept true by the gateway.

Two tasks: one asks the gateway for the availability and tells it what the screen shows, one draws. The watchdog is fed
by the drawing task, which stops with the other.
"""

import asyncio

import machine

from app import kiosk
from app.outbox import Outbox
from drivers.ssd1306 import SSD1306
from net import report, wifi
from net.clock import now_ms
from net.coap_link import CoapLink, LinkError
from pave_wire import coap, model
from pave_wire.errors import WireError
from roles.identity import Identity

_ASK_EVERY_MS = 2000
_SAY_EVERY_MS = 10_000
_DRAW_EVERY_MS = 500


class KioskController:
    """The controller of one kiosk.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every few seconds while all is well.
    """

    def __init__(self, settings, board, feed):
        self._settings = settings
        self._feed = feed
        i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._width_px = board.DISPLAY_WIDTH_PX
        self._screen = SSD1306(i2c, board.DISPLAY_WIDTH_PX, board.DISPLAY_HEIGHT_PX, board.DISPLAY_ADDRESS)
        self._board = kiosk.Board()
        self._outbox = Outbox(settings["device"], Identity().next_epoch())
        self._said = None  # (free bays last reported, when)

    def run(self):
        """Run for ever; whatever escapes is the supervisor's."""
        self._screen.start()
        asyncio.run(self._main())

    async def _main(self):
        asking = asyncio.create_task(self._ask())
        while not asking.done():
            self._board.draw(self._screen, self._width_px, now_ms())
            self._screen.show()
            self._feed()
            await asyncio.sleep_ms(_DRAW_EVERY_MS)
        await asking  # it never returns: this raises what ended it

    async def _ask(self):
        wlan = self._settings["wifi"]
        gateway = self._settings["gateway"]
        while True:
            try:
                await wifi.connect(wlan["ssid"], wlan["key"])
                link = CoapLink(gateway["host"], gateway["port"])
                try:
                    while True:
                        await self._ask_once(link)
                        await asyncio.sleep_ms(_ASK_EVERY_MS)
                finally:
                    link.close()
            except OSError as error:
                print("gateway not reached:", error)
                await asyncio.sleep_ms(_ASK_EVERY_MS)

    async def _ask_once(self, link):
        response = await link.request(coap.GET, model.PATH_AVAILABILITY)
        if response.code != coap.CONTENT:
            raise LinkError("the gateway answered %s" % coap.code_text(response.code))
        try:
            self._board.heard(model.unpack_availability(response.payload), now_ms())
        except WireError as error:
            raise LinkError("availability not understood: %s" % error)
        self._say(now_ms())
        await report.deliver(self._outbox, self._settings["device"], link)

    def _say(self, at_ms):
        """Put what the screen shows into the outbox, when it changed and not too often."""
        free = self._board.free()
        if self._said is not None and (self._said[0] == free or at_ms - self._said[1] < _SAY_EVERY_MS):
            return
        reason = "boot" if self._said is None else "heartbeat"
        self._outbox.add({model.SCREEN_FREE: free, model.REASON: reason}, at_ms)
        self._said = (free, at_ms)
