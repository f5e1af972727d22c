# ruff: noqa: UP031  runs on MicroPython
import asyncio
import time

from app.log_ring import LogRing
from app.outbox import Outbox
from net import report, wifi
from net.clock import now_ms
from net.coap_link import random_below
from net.coap_server import CoapServer
from pave_wire import coap, command, model
from pave_wire.coap_observe import Watching
from roles import rtc_state
from roles.oscore_keys import Keys
from roles.persistent import Persistent
from roles.service import Service


class KioskController:
    """See above. A message in English is what it is to do: crash, hang or return."""

    def __init__(self, config, board, feed):
        self._config = config
        self._feed = feed
        self._persistent = Persistent()
        self._outbox = Outbox(config["device"], self._persistent.next_epoch())
        self._log = LogRing(1024)
        self._seen = b""
        self._service = Service(config, self._persistent, self._outbox, feed, log=self._log)
        self._service.requests.acts[command.IDENTIFY] = self._identify

    def run(self):
        asyncio.run(self._main())

    def _identify(self, seconds):
        print("identify", seconds)
        self._log.add(1, "identify for %d s" % seconds, now_ms())
        return command.DONE, ""

    async def _main(self):
        config = self._config
        self._service.start_report(now_ms())
        keys = Keys(config)
        await wifi.connect(config["wifi"]["ssid"], config["wifi"]["key"])
        gateway = config["gateway"]
        watching = Watching(random_below)
        link = CoapServer(
            self._service.requests.answer, gateway["host"], gateway["port"], 2, watching, security=keys.security
        )
        link.observe(model.PATH_AVAILABILITY, lambda event: None)
        print("serving; heartbeat", self._service.settings.get("heartbeat_s"))
        while True:
            self._feed()
            await report.deliver(self._outbox, config["device"], link, self._persistent, lambda: None)
            await self._shadow(link)
            await link.listen(now_ms() + 1000)
            if self._service.tend(now_ms()):
                self._service.act()
            self._misbehave(self._service.settings.get("message_en"))

    async def _shadow(self, link):
        """Fetch what is desired, and say what became of it."""
        response = await link.request(coap.GET, model.PATH_SHADOW)
        if response.code == coap.CONTENT and response.payload != self._seen:
            self._seen = response.payload
            said = self._service.settings.take(response.payload)
            await link.request(coap.PUT, model.PATH_SHADOW, said, model.CONTENT_FORMAT_CBOR)

    def _misbehave(self, how):
        if how == "crash":
            raise ValueError("asked to crash")
        while how == "hang":
            time.sleep(10)
        if how == "healthy":
            rtc_state.set_crashes(0)
