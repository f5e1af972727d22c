"""Kiosk controller: the screen of a bus shelter, kept true by the gateway.

Two tasks: one observes the gateway's availability and tells it what the screen shows, one draws. The drawing task
sleeps until something was heard or what it shows changes with age. It feeds the watchdog, as long as the other goes on.
Whatever ends them, the screen goes dark first: it never shows as fresh what nobody updates any more.

    the observation ...               then
    --------------------------------  -----------------------------------------------------------------
    brings a notification             it is drawn at once
    is answered, but not accepted     it is drawn, and asked for again after KIOSK_ASK_AGAIN_S
    is silent for Max-Age and some s  it is registered again under its token (`coap_observe`)
    fails, or the network does        Wi-Fi and a new link, after a pause that doubles with each failure
"""

import asyncio
import random

import machine

from app import kiosk, limits
from app.outbox import Outbox
from drivers.ssd1306 import SSD1306
from net import report, wifi
from net.clock import now_ms
from net.coap_link import CoapLink, LinkError, random_below
from pave_wire import coap, model
from pave_wire.coap_exchange import Failed, Notification
from pave_wire.coap_observe import Watching
from pave_wire.errors import WireError
from roles import rtc_state
from roles.oscore_keys import Keys
from roles.persistent import Persistent

_RETRANSMITS = 2  # a gateway that has come back is found by a new attempt sooner than by the fourth retransmission


class KioskController:
    """The controller of one kiosk.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every KIOSK_LOOK_S while all is well.
    """

    crash_sleep_max_s = limits.KIOSK_CRASH_SLEEP_MAX_S

    def __init__(self, settings, board, feed):
        self._settings = settings
        self._feed = feed
        i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._width_px = board.DISPLAY_WIDTH_PX
        self._screen = SSD1306(i2c, board.DISPLAY_WIDTH_PX, board.DISPLAY_HEIGHT_PX, board.DISPLAY_ADDRESS)
        self._availability = kiosk.Availability()
        self._reports = kiosk.Reports()
        self._persistent = Persistent()
        self._keys = None  # until there is somebody to talk to
        self._outbox = Outbox(settings["device"], self._persistent.next_epoch())
        self._news = asyncio.Event()  # for the drawing task
        self._went_on_ms = now_ms()  # the asking task
        self._failures = 0  # in a row
        self._lost = None  # why the observation has ended, once it has
        self._heard_ms = 0
        self._register_ms = None  # when to ask for the observation; None: it has been
        self._deliver_ms = 0  # not before

    def run(self):
        """Run for ever; whatever escapes is the supervisor's."""
        self._screen.start()
        try:
            asyncio.run(self._main())
        finally:
            self._screen.fill(0)
            self._screen.show()

    # Drawing

    async def _main(self):
        asking = asyncio.create_task(self._ask())
        healthy_ms = now_ms() + limits.KIOSK_HEALTHY_AFTER_S * 1000
        drawn = ()
        while not asking.done():
            self._news.clear()
            at_ms = now_ms()
            view = self._availability.view(at_ms)
            if view != drawn:
                kiosk.draw(view, self._screen, self._width_px)
                self._screen.show()
                drawn = view
            if healthy_ms is not None and at_ms > healthy_ms:
                rtc_state.set_crashes(0)
                healthy_ms = None
            if at_ms - self._went_on_ms < limits.KIOSK_STUCK_S * 1000:
                self._feed()
            await self._look_again(at_ms)
        await asking  # it never returns: this raises what ended it

    async def _look_again(self, at_ms):
        """Wait for news, the next change of what was shown at `at_ms`, or time to feed the watchdog."""
        wait_ms = limits.KIOSK_LOOK_S * 1000
        change_ms = self._availability.next_change_ms(at_ms)
        if change_ms is not None:
            wait_ms = min(wait_ms, max(0, change_ms - now_ms()))
        try:
            await asyncio.wait_for_ms(self._news.wait(), wait_ms)
        except asyncio.TimeoutError:
            pass

    # Asking

    async def _ask(self):
        try:
            while True:
                try:
                    await self._observe()
                except OSError as error:
                    print("gateway not reached:", error)
                self._goes_on()
                self._failures += 1
                await asyncio.sleep_ms(kiosk.pause_ms(self._failures, random.getrandbits(10)))
        finally:
            self._news.set()

    def _goes_on(self):
        self._went_on_ms = now_ms()

    async def _observe(self):
        """Join the network, observe, and report what is shown, until something of it fails.

        Raises:
            OSError: what failed.
        """
        wlan = self._settings["wifi"]
        gateway = self._settings["gateway"]
        self._goes_on()
        if self._keys is None:
            self._keys = Keys(self._settings)
        await wifi.connect(wlan["ssid"], wlan["key"])
        link = CoapLink(gateway["host"], gateway["port"], _RETRANSMITS, Watching(random_below), self._keys.security)
        try:
            self._lost = None
            self._register_ms = self._heard_ms = now_ms()
            while True:
                if self._register_ms is not None and now_ms() >= self._register_ms:
                    self._register_ms = None
                    link.observe(model.PATH_AVAILABILITY, self._told)
                await link.listen(self._next_ms())
                self._goes_on()
                self._check()
                await self._report(link)
        finally:
            link.close()

    def _next_ms(self):
        """Return when the asking task has something to do by itself."""
        times = [self._heard_ms + limits.KIOSK_SILENCE_S * 1000]
        if self._register_ms is not None:
            times.append(self._register_ms)
        due_ms = self._reports.due_ms(self._availability.free())
        if due_ms is not None:
            times.append(due_ms)
        if len(self._outbox):
            times.append(self._deliver_ms)
        return min(times)

    def _check(self):
        if self._lost is None and now_ms() - self._heard_ms >= limits.KIOSK_SILENCE_S * 1000:
            self._lost = "not a word for %d s" % limits.KIOSK_SILENCE_S
        if self._lost is not None:
            raise LinkError(self._lost)

    def _told(self, event):
        """Take what the observation says, in the midst of whatever the link is doing."""
        self._heard_ms = now_ms()
        if isinstance(event, Failed):
            self._lost = "no answer: %s" % event.why
            return
        if event.code != coap.CONTENT:
            self._lost = "the gateway answered %s" % coap.code_text(event.code)
            return
        try:
            counts = model.unpack_availability(event.payload)
        except WireError as error:
            self._lost = "availability not understood: %s" % error
            return
        max_age = event.option(coap.MAX_AGE)
        fresh_s = kiosk.STALE_S if max_age is None else coap.uint_value(max_age)
        self._availability.heard(counts, self._heard_ms, fresh_s)
        self._failures = 0
        self._news.set()
        if not isinstance(event, Notification):
            self._register_ms = self._heard_ms + limits.KIOSK_ASK_AGAIN_S * 1000

    # Reporting

    async def _report(self, link):
        """Tell the gateway what the screen shows, if that is due. What it does not take is sent again later."""
        free = self._availability.free()
        due_ms = self._reports.due_ms(free)
        at_ms = now_ms()
        if due_ms is not None and at_ms >= due_ms:
            self._outbox.add({model.SCREEN_FREE: free, model.REASON: self._reports.reason()}, at_ms)
            self._reports.said(free, at_ms)
        if not len(self._outbox) or at_ms < self._deliver_ms:
            return
        try:
            # Nothing is saved: these readings say what is on the screen now, after a reset there are new ones.
            await report.deliver(self._outbox, self._settings["device"], link, self._persistent, self._goes_on)
        except LinkError as error:  # the observation may be as well as ever
            print("report failed:", error)
            self._goes_on()
            self._deliver_ms = now_ms() + limits.KIOSK_RETRY_MAX_S * 1000
