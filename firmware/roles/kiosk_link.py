"""A kiosk's link to its gateway: CoAP under OSCORE both ways, over Wi-Fi.

It says hello, observes availability and settings, reports what is due, and answers the gateway's requests meanwhile.

    what is observed ...              then
    --------------------------------  -----------------------------------------------------------------
    brings a notification             it is shown, or taken up, at once
    is answered, but not accepted     the same, and it is asked for again after `KIOSK_ASK_AGAIN_S`
    is silent for Max-Age and some s  it is registered again under its token (`coap_observe`)
    fails, or the network does        Wi-Fi and a new link, after a pause that doubles with each failure

A gateway that was replaced, restarted or moved is found by the new link: the name is looked up each time. Wi-Fi
credentials are tried in the order of `app.wifi_profiles`; those that led to an answered hello have worked.

What could not be delivered stays in the outbox, in memory: a kiosk is on the mains, a day without its gateway fits
(`app.kiosk_reports`), and nothing wears out. What a reset loses then is said by the reading about that start.
"""

import asyncio
import random

import network

from app import kiosk, limits, wifi_profiles
from net import report, wifi
from net.clock import now_ms
from net.coap_link import LinkError, random_below
from net.coap_server import CoapServer
from pave_wire import coap, hello, model
from pave_wire.coap_exchange import Failed, Notification
from pave_wire.coap_observe import Watching
from pave_wire.errors import WireError
from roles import start_record
from roles.oscore_keys import Keys

VERSION = "0.1"
_RETRANSMITS = 2  # a gateway that has come back is found by a new attempt sooner than by the fourth retransmission
_WHY = {
    network.STAT_NO_AP_FOUND: wifi_profiles.NOT_FOUND,
    network.STAT_WRONG_PASSWORD: wifi_profiles.WRONG_KEY,
}


class KioskLink:
    """See above.

    Args:
        config: /config.json as a dict.
        board: its name, as in hardware/boards.
        profiles: an `app.wifi_profiles.WifiProfiles`.
        service: a `roles.service.Service`.
        outbox: an `app.outbox.Outbox`.
        persistent: a `roles.persistent.Persistent`.
        reports: an `app.kiosk_reports.Reports`.
        heard: function of counts, nearest, now_ms and Max-Age in s, for availability.
        told_time: function of the seconds since 1970 that a gateway has said.
    """

    def __init__(self, config, board, profiles, service, outbox, persistent, reports, heard, told_time):
        self._config = config
        self._board = board
        self._profiles = profiles
        self._service = service
        self._outbox = outbox
        self._persistent = persistent
        self._reports = reports
        self._heard = heard
        self._told_time = told_time
        self._keys = None  # until there is somebody to talk to
        self._beat = _nothing
        self._failures = 0  # in a row
        self._lost = None  # why the observation has ended, once it has
        self._heard_ms = 0
        self._register_ms = {}  # by path: when to ask for the observation, if it is to be asked for
        self._deliver_ms = 0  # not before
        self._act_ms = 0
        self._results = []  # of commands that took their time
        self._settings_due = True
        self._said_settings = None

    def finished(self, status, detail=""):
        """Tell what became of the command that was started."""
        result = self._service.requests.finished(status, detail)
        if result is not None:
            self._results.append(result)

    def collect(self):
        """Put the reading that is due into the outbox, whether there is a gateway or not."""
        at_ms = now_ms()
        due_ms = self._reports.due_ms()
        if due_ms is not None and at_ms >= due_ms:
            self._outbox.add(self._reports.reading(at_ms), at_ms)

    async def run_collecting(self, beat):
        """Collect for ever: what happens during an outage is not lost."""
        while True:
            self.collect()
            beat()
            await asyncio.sleep(limits.KIOSK_PRESSING_S)

    async def run(self, beat):
        """Keep the link up, for ever."""
        self._beat = beat
        while True:
            try:
                await self._connected()
            except OSError as error:
                print("gateway not reached:", error)
            beat()
            self._failures += 1
            await asyncio.sleep_ms(kiosk.pause_ms(self._failures, random.getrandbits(10)))

    async def _connected(self):
        """Join the network, observe and report, until something of it fails.

        Raises:
            OSError: what failed.
        """
        self._beat()
        if self._keys is None:
            self._keys = Keys(self._config)
        number, ssid, key = self._profiles.next()
        try:
            await wifi.connect(ssid, key)
        except wifi.WifiError as error:
            status = error.args[1] if len(error.args) > 1 else 0
            self._profiles.failed(number, _WHY.get(int(status), wifi_profiles.NO_ADDRESS))
            raise
        gateway = self._config["gateway"]
        link = CoapServer(
            self._answer, gateway["host"], gateway["port"], _RETRANSMITS, Watching(random_below), self._keys.security
        )
        try:
            await self._hello(link, number)
            await self._talk(link)
        finally:
            link.close()

    async def _hello(self, link, number):
        epoch, seq = self._outbox.state()[:2]
        said = hello.pack_hello(hello.Hello(epoch, seq, self._board, VERSION, start_record.cause))
        try:
            response = await link.request(coap.POST, model.PATH_HELLO, said, model.CONTENT_FORMAT_CBOR)
        except LinkError:
            self._profiles.failed(number, wifi_profiles.NO_GATEWAY)
            if self._profiles.next()[0] != number:
                wifi.stop()
            raise
        self._beat()
        self._profiles.reached(number)
        if response.code == coap.CHANGED:
            time_s, _ = hello.unpack_welcome(response.payload)
            if time_s is not None:
                self._told_time(time_s)

    async def _talk(self, link):
        self._lost = None
        self._heard_ms = now_ms()
        self._said_settings = None  # this may be another gateway
        self._settings_due = True
        self._register_ms = {model.PATH_AVAILABILITY: 0, model.PATH_SHADOW: 0}
        while True:
            self._register(link)
            await link.listen(self._next_ms())
            self._beat()
            self._check()
            await self._report(link)
            await self._say(link)
            if self._service.tend(now_ms(), not len(self._outbox)):
                self._service.act()

    def _register(self, link):
        at_ms = now_ms()
        for path, told, query in (
            (model.PATH_AVAILABILITY, self._told_availability, model.QUERY_NEAREST),
            (model.PATH_SHADOW, self._told_settings, None),
        ):
            if path in self._register_ms and at_ms >= self._register_ms[path]:
                del self._register_ms[path]
                link.observe(path, told, query)

    def _next_ms(self):
        """Return when there is something to do by itself."""
        times = [self._heard_ms + limits.KIOSK_SILENCE_S * 1000, now_ms() + limits.KIOSK_PRESSING_S * 1000]
        times += self._register_ms.values()
        due_ms = self._reports.due_ms()
        if due_ms is not None:
            times.append(due_ms)
        if len(self._outbox) or self._results or self._settings_due:
            times.append(self._deliver_ms)
        if now_ms() < self._act_ms:
            times.append(self._act_ms)
        return min(times)

    def _check(self):
        if self._lost is None and now_ms() - self._heard_ms >= limits.KIOSK_SILENCE_S * 1000:
            self._lost = "not a word for %d s" % limits.KIOSK_SILENCE_S
        if self._lost is None and self._profiles.offers():
            self._lost = "other Wi-Fi credentials are to be tried"
            wifi.stop()
        if self._lost is not None:
            raise LinkError(self._lost)

    # What comes

    def _answer(self, code, path, payload):
        """Answer a request of the gateway's."""
        self._heard_ms = now_ms()
        answer = self._service.requests.answer(code, path, payload)
        self._act_ms = self._heard_ms + limits.ACT_AFTER_MS + 1  # a command may have asked for a new start
        return answer

    def _told_availability(self, event):
        """Take what the observation says, in the midst of whatever the link is doing."""
        payload = self._payload(event)
        if payload is None:
            return
        try:
            counts, nearest = model.unpack_availability(payload)
        except WireError as error:
            self._lost = "availability not understood: %s" % error
            return
        max_age = event.option(coap.MAX_AGE)
        self._heard(counts, nearest, self._heard_ms, 60 if max_age is None else coap.uint_value(max_age))
        self._failures = 0
        if not isinstance(event, Notification):
            self._register_ms[model.PATH_AVAILABILITY] = self._heard_ms + limits.KIOSK_ASK_AGAIN_S * 1000

    def _told_settings(self, event):
        if isinstance(event, Failed) or event.code != coap.CONTENT:  # the screen is worth more than settings
            self._register_ms[model.PATH_SHADOW] = now_ms() + limits.KIOSK_RETRY_MAX_S * 1000
            return
        try:
            self._service.settings.take(event.payload)
            self._settings_due = True
        except (WireError, OSError) as error:
            print("settings not taken:", error)
        if not isinstance(event, Notification):
            self._register_ms[model.PATH_SHADOW] = now_ms() + limits.KIOSK_RETRY_MAX_S * 1000

    def _payload(self, event):
        """Return what an event of availability brings; None, and the link is lost, where it is none."""
        self._heard_ms = now_ms()
        if isinstance(event, Failed):
            self._lost = "no answer: %s" % event.why
        elif event.code != coap.CONTENT:
            self._lost = "the gateway answered %s" % coap.code_text(event.code)
        else:
            return event.payload
        return None

    # What goes

    async def _report(self, link):
        """Tell the gateway what is due. What it does not take is sent again later."""
        self.collect()
        if not len(self._outbox) or now_ms() < self._deliver_ms:
            return
        try:
            await report.deliver(self._outbox, self._config["device"], link, self._persistent, self._taken)
        except LinkError as error:  # the observation may be as well as ever
            print("report failed:", error)
            self._beat()
            self._deliver_ms = now_ms() + limits.KIOSK_RETRY_MAX_S * 1000

    def _taken(self):
        self._beat()
        self._reports.taken(now_ms())

    async def _say(self, link):
        """Send the results of commands and the settings that hold; again later where the gateway does not answer."""
        if now_ms() < self._deliver_ms:
            return
        try:
            while self._results:
                await link.request(coap.POST, model.PATH_COMMAND, self._results[0], model.CONTENT_FORMAT_CBOR)
                del self._results[0]
                self._beat()
            if self._settings_due or self._profiles.is_news:
                self._settings_due = self._profiles.is_news = False
                said = self._service.settings.reported()
                if said != self._said_settings:
                    await link.request(coap.PUT, model.PATH_SHADOW, said, model.CONTENT_FORMAT_CBOR)
                    self._said_settings = said
                    self._beat()
        except LinkError as error:
            print("not said:", error)
            self._settings_due = True
            self._deliver_ms = now_ms() + limits.KIOSK_RETRY_MAX_S * 1000


def _nothing():
    pass
