"""Presence sensor: magnetometer, detector, outbox and link, composed for one wake-up.

    power-on or wake -> sample until the field is at rest -> verdict -> report -> arm the interrupt -> deep sleep

Sampling goes on while the report is on its way, so a vehicle that leaves meanwhile is not missed. What could not be
delivered waits in the outbox, in RTC memory, for the next wake-up.
"""

import asyncio

import esp32
import machine

from app import limits, presence
from app.outbox import Outbox
from drivers.lis2mdl import LIS2MDL, SAMPLE_PERIOD_MS
from net import report, wifi
from net.clock import now_ms
from net.coap_link import CoapLink
from pave_wire import model
from roles import rtc_state
from roles.identity import Identity

_HEARTBEAT_S = 3600
_REPORT_RETRANSMITS = 2  # then sleep and try later: waiting awake costs more than waking


class PresenceSensor:
    """One wake-up of the sensor.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every few seconds while awake.
    """

    def __init__(self, settings, board, feed):
        self._settings = settings
        self._feed = feed
        self._interrupt = machine.Pin(board.MAGNETOMETER_INT, machine.Pin.IN)
        i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._magnetometer = LIS2MDL(i2c, board.MAGNETOMETER_ADDRESS)
        self._identity = Identity()
        self._failed_attempts = 0
        self._armed = False
        self._cold = not self._restore()

    def run(self):
        """Do what this wake-up is for, then sleep; does not return."""
        if self._cold:
            self._magnetometer.start()
        woken_by_timer = machine.wake_reason() == machine.TIMER_WAKE
        if woken_by_timer and not len(self._outbox):
            self._outbox.add({model.OCCUPIED: self._detector.occupied, model.REASON: "heartbeat"}, now_ms())
        asyncio.run(self._until_quiet())
        self._sleep()

    def _restore(self):
        """Take up the state from before the sleep; return False after a power-on."""
        device = self._settings["device"]
        state, clean = rtc_state.load()
        if state is None:
            self._outbox = Outbox(device, self._identity.next_epoch())
            self._detector = presence.Detector(self._identity.baseline())
            self._since_ms = now_ms()
            return False
        self._outbox = Outbox.restored(device, state["outbox"])
        self._detector = presence.Detector(state["baseline"], state["occupied"])
        self._since_ms = state["since_ms"]
        self._failed_attempts = state["failed_attempts"]
        self._armed = clean
        if not clean:
            self._outbox.skip(limits.SEQ_PER_WAKE_MAX)
        return True

    async def _until_quiet(self):
        """Sample and report until the field is at rest and the outbox empty, or not to be emptied now."""
        reporting = None
        given_up = False
        while True:
            self._feed()
            if reporting is not None and reporting.done():
                await reporting  # raises what went wrong in it, other than the link
                reporting = None
                given_up = self._failed_attempts > 0
            if not self._armed or self._interrupt.value():
                self._sample()
            elif reporting is None and (given_up or not len(self._outbox)):
                return
            if reporting is None and len(self._outbox) and not given_up:
                reporting = asyncio.create_task(self._report())
            await asyncio.sleep_ms(SAMPLE_PERIOD_MS)

    def _sample(self):
        if self._armed:  # the interrupt says that something moves
            self._armed = False
            self._detector.disturbed()
        first = self._detector.baseline is None
        verdict = self._detector.sample(self._magnetometer.read_field())
        if verdict is None:
            return
        if first:
            self._identity.keep_baseline(self._detector.baseline)
        if verdict.changed or self._cold:
            self._outbox.add(self._values(verdict), now_ms())
        if verdict.changed:
            self._since_ms = now_ms()
        self._cold = False
        self._magnetometer.arm(verdict.field, presence.WAKE_LSB)
        self._armed = True

    def _values(self, verdict):
        values = {
            model.OCCUPIED: verdict.occupied,
            model.REASON: "field" if verdict.changed and not self._cold else "boot",
            model.CONFIDENCE: verdict.confidence,
            model.FIELD: verdict.deviation_t,
        }
        if verdict.changed and not self._cold:
            values[model.LASTED] = (now_ms() - self._since_ms) // 1000
        return values

    async def _report(self):
        wlan = self._settings["wifi"]
        gateway = self._settings["gateway"]
        try:
            await wifi.connect(wlan["ssid"], wlan["key"])
            link = CoapLink(gateway["host"], gateway["port"], _REPORT_RETRANSMITS)
            try:
                await report.deliver(self._outbox, self._settings["device"], link)
                self._failed_attempts = 0
            finally:
                link.close()
        except OSError as error:
            self._failed_attempts = min(limits.REPORT_ATTEMPTS_MAX, self._failed_attempts + 1)
            print("report failed, attempt", self._failed_attempts, error)

    def _sleep(self):
        rtc_state.save(
            {
                "outbox": self._outbox.state(),
                "baseline": self._detector.baseline,
                "occupied": self._detector.occupied,
                "since_ms": self._since_ms,
                "failed_attempts": self._failed_attempts,
            }
        )
        sleep_s = self._settings.get("heartbeat_s", _HEARTBEAT_S)
        if len(self._outbox):
            retry_s = min(limits.RETRY_MAX_S, limits.RETRY_FIRST_S << self._failed_attempts)
            sleep_s = min(sleep_s, retry_s)
        esp32.wake_on_ext0(self._interrupt, esp32.WAKEUP_ANY_HIGH)
        machine.deepsleep(sleep_s * 1000)
