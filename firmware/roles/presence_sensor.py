"""Presence sensor: magnetometer, detector, outbox and link, composed for one wake-up.

    power-on or wake -> sample until the field is at rest -> verdict -> report -> arm the interrupt -> deep sleep

A wake-up by the timer samples too: a heartbeat says what was measured, not what was remembered. Sampling goes on while
the report is on its way, so a vehicle that leaves meanwhile is not missed. Every change of the state is saved in RTC
memory before it can be sent, so neither a crash nor a lost acknowledgement gives an identity twice.
"""

import asyncio
import random

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
from roles.oscore_keys import Keys
from roles.persistent import Persistent

_HEARTBEAT_S = 3600
_REPORT_RETRANSMITS = 2  # then sleep and try later: waiting awake costs more than waking
_BASELINE_KEPT_LSB = 20  # drift since the one in NVS that is worth a write


class PresenceSensor:
    """One wake-up of the sensor.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every few seconds while awake.
    """

    crash_sleep_max_s = limits.SENSOR_CRASH_SLEEP_MAX_S

    def __init__(self, settings, board, feed):
        self._settings = settings
        self._feed = feed
        self._interrupt = machine.Pin(board.MAGNETOMETER_INT, machine.Pin.IN)
        i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._magnetometer = LIS2MDL(i2c, board.MAGNETOMETER_ADDRESS)
        self._persistent = Persistent()
        self._keys = None  # until there is something to say
        self._restore(rtc_state.load())
        # Only a wake-up by the interrupt leaves the chip as it was armed; else look first whether it still is.
        self._armed = machine.wake_reason() == machine.EXT0_WAKE and not self._first_report

    def run(self):
        """Do what this wake-up is for, then sleep; does not return."""
        asyncio.run(self._wake_up())
        self._save()
        rtc_state.set_crashes(0)
        wifi.stop()
        self._sleep()

    def _restore(self, state):
        """Take up the state from before, or begin a new epoch."""
        device = self._settings["device"]
        if state is None:
            self._outbox = Outbox(device, self._persistent.next_epoch())
        else:
            self._outbox = Outbox(device, *state["outbox"])
        fresh = state is None or rtc_state.crashes() >= limits.CRASHES_BEFORE_FRESH_START
        self._kept_baseline = self._persistent.baseline() if fresh else state["kept_baseline"]
        self._detector = presence.Detector(
            self._kept_baseline if fresh else state["baseline"], False if fresh else state["occupied"]
        )
        self._since_ms = now_ms() if fresh else state["since_ms"]
        self._heartbeat_ms = now_ms() if fresh else state["heartbeat_ms"]
        self._failed_attempts = 0 if fresh else state["failed_attempts"]
        self._fault = "" if fresh else state["fault"]
        self._first_report = fresh or state["first_report"]
        self._held_off = False

    def _save(self):
        rtc_state.save(
            {
                "outbox": self._outbox.state(),
                "baseline": self._detector.baseline,
                "kept_baseline": self._kept_baseline,
                "occupied": self._detector.occupied,
                "since_ms": self._since_ms,
                "heartbeat_ms": self._heartbeat_ms,
                "failed_attempts": self._failed_attempts,
                "fault": self._fault,
                "first_report": self._first_report,
            }
        )

    async def _wake_up(self):
        """Sense and report until the field is at rest and the outbox empty, or neither is to be had now."""
        until_ms = now_ms() + limits.AWAKE_MAX_S * 1000
        sensing = self._start_magnetometer()
        reporting = None
        given_up = False
        while now_ms() < until_ms:
            await asyncio.sleep_ms(SAMPLE_PERIOD_MS)
            self._feed()
            if reporting is not None and reporting.done():
                await reporting  # raises what went wrong in it, other than the link
                reporting = None
                given_up = self._failed_attempts > 0
            if sensing and (not self._armed or self._interrupt.value()):
                sensing = self._sample()
            elif reporting is None and (given_up or not len(self._outbox)):
                return
            if reporting is None and len(self._outbox) and not given_up:
                reporting = asyncio.create_task(self._report())
        self._held_off = True

    def _start_magnetometer(self):
        """Make sure that the chip measures as it should; return whether it can be asked."""
        try:
            if not self._magnetometer.is_started():
                self._magnetometer.start()
                self._armed = False
        except OSError as error:
            return self._sensor_failed(error)
        return True

    def _sample(self):
        """Take one sample and act on the verdict, if there is one; return whether the chip still answers."""
        try:
            if self._armed:  # the interrupt says that something moves
                self._armed = False
                self._detector.disturbed()
            verdict = self._detector.sample(self._magnetometer.read_field())
            if verdict is not None:
                self._decided(verdict)
                self._magnetometer.arm(verdict.watch, presence.WAKE_LSB)
                self._armed = True
        except OSError as error:
            return self._sensor_failed(error)
        return True

    def _sensor_failed(self, error):
        """Say so once; the heartbeat tries again."""
        print("magnetometer:", error)
        self._heartbeat_ms = now_ms() + self._heartbeat_s() * 1000
        if self._fault != "magnetometer":
            self._fault = "magnetometer"
            self._outbox.add({model.FAULT: self._fault}, now_ms())
            self._save()
        return False

    def _decided(self, verdict):
        reason = self._reason(verdict)
        self._fault = ""
        if reason is not None:
            values = {
                model.OCCUPIED: verdict.occupied,
                model.REASON: reason,
                model.CONFIDENCE: verdict.confidence,
                model.FIELD: verdict.deviation_t,
            }
            if reason == "field":
                values[model.LASTED] = (now_ms() - self._since_ms) // 1000
            if self._outbox.dropped:
                values[model.DROPPED] = self._outbox.dropped
            self._outbox.add(values, now_ms())
            self._first_report = False
            self._heartbeat_ms = now_ms() + self._heartbeat_s() * 1000
        if verdict.changed:
            self._since_ms = now_ms()
        self._keep_baseline(verdict)
        self._save()

    def _reason(self, verdict):
        if self._first_report:
            return "boot"
        if verdict.changed:
            return "field"
        return "heartbeat" if now_ms() >= self._heartbeat_ms else None

    def _keep_baseline(self, verdict):
        baseline = self._detector.baseline
        kept = self._kept_baseline
        if not verdict.occupied and (kept is None or presence.distance(baseline, kept) > _BASELINE_KEPT_LSB):
            self._persistent.keep_baseline(baseline)
            self._kept_baseline = baseline

    async def _report(self):
        wlan = self._settings["wifi"]
        gateway = self._settings["gateway"]
        try:
            if self._keys is None:
                self._keys = Keys(self._settings)
            await wifi.connect(wlan["ssid"], wlan["key"])
            link = CoapLink(gateway["host"], gateway["port"], _REPORT_RETRANSMITS, security=self._keys.security)
            try:
                await report.deliver(self._outbox, self._settings["device"], link, self._persistent, self._save)
                self._failed_attempts = 0
            finally:
                link.close()
        except OSError as error:
            self._failed_attempts = min(limits.REPORT_ATTEMPTS_MAX, self._failed_attempts + 1)
            print("report failed, attempt", self._failed_attempts, error)

    def _sleep(self):
        sleep_s = max(1, (self._heartbeat_ms - now_ms()) // 1000)
        if len(self._outbox):
            retry_s = min(limits.RETRY_MAX_S, limits.RETRY_FIRST_S << self._failed_attempts)
            # Spread over a quarter, so that a street of sensors does not come back all at once.
            sleep_s = min(sleep_s, retry_s + random.getrandbits(10) * retry_s // 4096)
        if self._held_off:
            sleep_s = min(sleep_s, limits.HOLD_OFF_S)
        else:
            esp32.wake_on_ext0(self._interrupt, esp32.WAKEUP_ANY_HIGH)
        machine.deepsleep(sleep_s * 1000)

    def _heartbeat_s(self):
        return self._settings.get("heartbeat_s", _HEARTBEAT_S)
