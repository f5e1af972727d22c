"""Kiosk controller: the screen of a bus shelter, kept true by the gateway.

Two tasks: one asks the gateway for the availability and tells it what the screen shows, one draws. The watchdog is fed
by the drawing task, which stops with the other. Whatever ends them, the screen goes dark first: it never shows as fresh
what nobody updates any more.
"""

import asyncio

import machine

from app import kiosk, limits
from app.outbox import Outbox
from drivers.ssd1306 import SSD1306
from net import report, wifi
from net.clock import now_ms
from net.coap_link import CoapLink, LinkError
from pave_wire import coap, model
from pave_wire.errors import WireError
from roles import rtc_state
from roles.persistent import Persistent

_ASK_EVERY_MS = 2000
_SAY_EVERY_MS = 10_000
_LOOK_EVERY_MS = 500


class KioskController:
    """The controller of one kiosk.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every few seconds while all is well.
    """

    crash_sleep_max_s = limits.KIOSK_CRASH_SLEEP_MAX_S

    def __init__(self, settings, board, feed):
        self._settings = settings
        self._feed = feed
        i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._width_px = board.DISPLAY_WIDTH_PX
        self._screen = SSD1306(i2c, board.DISPLAY_WIDTH_PX, board.DISPLAY_HEIGHT_PX, board.DISPLAY_ADDRESS)
        self._availability = kiosk.Availability()
        self._persistent = Persistent()
        self._outbox = Outbox(settings["device"], self._persistent.next_epoch())
        self._said = None  # (free bays last reported, when)

    def run(self):
        """Run for ever; whatever escapes is the supervisor's."""
        self._screen.start()
        try:
            asyncio.run(self._main())
        finally:
            self._screen.fill(0)
            self._screen.show()

    async def _main(self):
        asking = asyncio.create_task(self._ask())
        healthy_ms = now_ms() + limits.KIOSK_HEALTHY_AFTER_S * 1000
        drawn = ()
        while not asking.done():
            view = self._availability.view(now_ms())
            if view != drawn:
                kiosk.draw(view, self._screen, self._width_px)
                self._screen.show()
                drawn = view
            if healthy_ms is not None and now_ms() > healthy_ms:
                rtc_state.set_crashes(0)
                healthy_ms = None
            self._feed()
            await asyncio.sleep_ms(_LOOK_EVERY_MS)
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
            self._availability.heard(model.unpack_availability(response.payload), now_ms())
        except WireError as error:
            raise LinkError("availability not understood: %s" % error)
        self._say(now_ms())
        await report.deliver(self._outbox, self._settings["device"], link, self._persistent, _nothing_to_save)

    def _say(self, at_ms):
        """Put what the screen shows into the outbox, when it changed and not too often."""
        free = self._availability.free()
        if self._said is not None and (self._said[0] == free or at_ms - self._said[1] < _SAY_EVERY_MS):
            return
        reason = "boot" if self._said is None else "heartbeat"
        self._outbox.add({model.SCREEN_FREE: free, model.REASON: reason}, at_ms)
        self._said = (free, at_ms)


def _nothing_to_save():
    """A kiosk's readings say what is on the screen now: after a reset there are new ones."""
