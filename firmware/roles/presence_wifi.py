"""The presence sensor's Wi-Fi: CoAP under OSCORE, for sensors on the mains. It goes on sensing while it reports.

Wi-Fi takes a second, and a silent gateway many more. A vehicle that comes or goes meanwhile must not be missed.
"""

import asyncio
import time

from app import limits
from net import report, wifi
from net.clock import now_ms
from net.coap_link import CoapLink, random_below
from roles.oscore_keys import Keys
from roles.presence_sense import AWAKE_MAX_S

_POLL_MS = 100
_SENSITIVITY_DBM = -85  # where 802.11n at 20 MHz still carries our frames: ESP32-S3 datasheet, table of receiver
_RETRANSMITS = 2  # then sleep and try later: waiting awake costs more than waking


class Wifi:
    """The link of `sensor`, a `PresenceSensor`; `state` is what `state` gave, or None."""

    def __init__(self, sensor, state):
        self._sensor = sensor
        self._failed_attempts, self._again_ms = (0, 0) if state is None else state
        self._keys = None  # until there is something to say

    def state(self):
        """Return the value for RTC memory."""
        return [self._failed_attempts, self._again_ms]

    def due_ms(self):
        """Return when there is something to do, or None."""
        return self._again_ms if len(self._sensor.outbox) else None

    def fault(self):
        """Return why there is no link at all, in few words, or an empty text."""
        return ""

    def probe(self):
        """Return (margin dB, RSSI dBm, None) of the access point, None where it is not to be had."""
        wlan = self._sensor.settings["wifi"]
        try:
            asyncio.run(wifi.connect(wlan["ssid"], wlan["key"]))
        except OSError as error:
            print("no link test:", error)
            return None
        rssi_dbm = wifi.rssi_dbm()
        return rssi_dbm - _SENSITIVITY_DBM, rssi_dbm, None

    def run(self):
        """Sense and report until the field is at rest and the outbox empty, or neither is to be had now."""
        asyncio.run(self._run())

    def stop(self):
        """Before deep sleep."""
        wifi.stop()

    async def _run(self):
        sensor, sense = self._sensor, self._sensor.sense
        sense.pause = time.sleep_ms
        until_ms = now_ms() + AWAKE_MAX_S * 1000
        reporting = None
        given_up = False
        while now_ms() < until_ms:
            sensor.feed()
            wait_ms = _POLL_MS
            if not sense.is_resting or sense.stirs():
                wait_ms = sense.turn()
            to_send = sensor.absorb()
            if reporting is not None and reporting.done():
                await reporting  # raises what went wrong in it, other than the link
                reporting = None
                given_up = self._failed_attempts > 0
            if reporting is None:
                if to_send and not given_up:
                    reporting = asyncio.create_task(self._report())
                elif sense.is_resting and not sense.stirs():
                    return
            await asyncio.sleep_ms(wait_ms)
        if not sense.is_resting:
            sense.hold_off()

    async def _report(self):
        sensor = self._sensor
        wlan = sensor.settings["wifi"]
        gateway = sensor.settings["gateway"]
        try:
            if self._keys is None:
                self._keys = Keys(sensor.settings)
            await wifi.connect(wlan["ssid"], wlan["key"])
            link = CoapLink(gateway["host"], gateway["port"], _RETRANSMITS, security=self._keys.security)
            try:
                await report.deliver(sensor.outbox, sensor.settings["device"], link, sensor.persistent, sensor.save)
                self._failed_attempts = 0
            finally:
                link.close()
        except OSError as error:
            self._failed_attempts = min(limits.REPORT_ATTEMPTS_MAX, self._failed_attempts + 1)
            print("report failed, attempt", self._failed_attempts, error)
            # Spread over a quarter, so that a street of sensors does not come back all at once.
            retry_ms = 1000 * min(limits.RETRY_MAX_S, limits.RETRY_FIRST_S << self._failed_attempts)
            self._again_ms = now_ms() + retry_ms + random_below(retry_ms // 4)
