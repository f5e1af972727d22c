"""Presence sensor: what a wake-up does that has more to do than sense. See `presence_sense` for those that have not.

    sense -> readings into the outbox -> kept in RTC memory -> said over the link -> armed -> deep sleep

Every change of the state is in RTC memory before it can be sent, detector, outbox and link in one act, so neither a
crash nor a lost acknowledgement gives an identity twice or loses a change. /config.json says which link: `"link"` is
"wifi" or "lorawan".
"""

import random
import struct
import sys

import machine
from micropython import const

from app import limits
from app.bay_readings import BayReadings
from app.outbox import Outbox
from drivers.lis2mdl import NT_PER_LSB
from net.clock import now_ms
from pave_wire.reading import CRASH, RESET
from roles import presence_pack, presence_sense, rtc_state
from roles.persistent import Persistent

_HEARTBEAT_S = const(3600)
_KEPT_LSB = const(20)  # drift since the baseline in NVS that is worth a write
_VACANT = const(0)
_DETECTOR_BYTES = const(160)  # 40 numbers of 32 bits


class PresenceSensor:
    """One wake-up of the sensor.

    Args:
        settings: the device's /config.json.
        board: the module of pins that `settings` names.
        feed: called at least every few seconds while awake.

    Attributes:
        settings, board, feed: as above.
        persistent: the device's `Persistent`.
        sense: its `presence_sense.Sense`.
        link: a `presence_lora.Lora` or `presence_wifi.Wifi`.
        outbox: its `Outbox`.
        is_restarted: power was off, or failed.
        random_below: n -> a random int from 0 to n - 1.
        heartbeat_s: between readings at most; a change holds from the next one on.
    """

    crash_sleep_max_s = limits.SENSOR_CRASH_SLEEP_MAX_S

    def __init__(self, settings, board, feed):
        self.settings = settings
        self.board = board
        self.feed = feed
        self.random_below = _random_below
        self.persistent = Persistent()
        self._service = None  # until the gateway asks something
        self.is_restarted = machine.reset_cause() == machine.PWRON_RESET
        kept = rtc_state.load()
        fresh = kept is None or rtc_state.crashes() >= limits.CRASHES_BEFORE_FRESH_START
        self._restore(kept, fresh)
        self.sense = self._sense(fresh)
        self.link = self._linked(None if fresh else kept[3])  # pyright: ignore[reportOptionalSubscript]
        self._report_start()

    def run(self):
        """Do what this wake-up is for, then sleep; does not return."""
        self.link.run()
        if self._is_called():
            from roles.presence_commission import Commission  # once in a sensor's life

            Commission(self).run()
            self.link.run()
        self.save()
        rtc_state.set_crashes(0)
        if self.outbox.crash_heard:
            self.persistent.forget("crash")
        self.link.stop()
        self.sense.sleep(self._due_ms())

    def _is_called(self):
        """Return whether somebody holds the button, or a magnet: see `presence_commission`."""
        button = machine.Pin(self.board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        if button.value() and not self.sense.is_magnet():
            return False
        from roles import presence_commission

        return presence_commission.is_called(self)

    def absorb(self):
        """Take what was sensed so far into the outbox, and keep it; return whether there is anything to send."""
        told = self.outbox.state()[1]
        self._readings.take(self.sense.detector, self.sense.is_resting, self.sense.faults, now_ms())
        if self.sense.is_resting:
            self._keep_detector()
        if self.outbox.state()[1] != told:
            self.save()
        return len(self.outbox) > 0

    def save(self):
        """Keep everything that is to survive a crash or deep sleep."""
        rtc_state.save(
            [
                now_ms(),
                presence_pack.pack(self.outbox.state()),
                self._readings.state(),
                self.link.state(),
                self._kept_watch,
                self.heartbeat_s,
            ],
            self.sense.state(self._due_ms()),
        )

    def _restore(self, kept, fresh):
        """Take up the outbox and what was said, or begin a new epoch."""
        device = self.settings["device"]
        at_ms = now_ms()
        readings = None
        self._kept_watch = None
        if kept is None:
            self.outbox = Outbox(device, self.persistent.next_epoch())
        else:
            if at_ms < kept[0]:
                _set_back(kept, kept[0] - at_ms)
            self.outbox = Outbox(device, *presence_pack.unpack(kept[1]))
        self.heartbeat_s = self._heartbeat_s() if fresh else kept[5]  # what tells it takes the outbox
        if not fresh:
            readings, self._kept_watch = kept[2], kept[4]  # pyright: ignore[reportOptionalSubscript]  then it is there
        terse = self._link_name() == "lorawan"
        self._readings = BayReadings(self.outbox, terse, self.heartbeat_s, _random_below, NT_PER_LSB, readings, at_ms)

    def _sense(self, fresh):
        """Return what sensing has come to, or begin it."""
        sense = presence_sense.take()
        if sense is None:
            kept = b"" if fresh else rtc_state.sensing()
            sense = presence_sense.made(self.board, kept, self._kept_detector())
            sense.begin(presence_sense.POWER_ON if fresh or self.is_restarted else presence_sense.TIMER)
        return sense

    def _linked(self, state):
        """Return the link that the settings name; `state` is what its `state` gave."""
        name = self._link_name()
        if name == "lorawan":
            from roles.presence_lora import Lora

            return Lora(self, state)
        if name == "wifi":
            from roles.presence_wifi import Wifi

            return Wifi(self, state)
        raise ValueError("link %r in /config.json; wifi or lorawan" % name)

    def _link_name(self):
        return self.settings.get("link", "wifi" if "wifi" in self.settings else "lorawan")

    def _heartbeat_s(self):
        """Return the setting, where power was off: else RTC memory knows it."""
        if self.persistent.blob("settings") is None:
            return self.settings.get("heartbeat_s", _HEARTBEAT_S)
        return self.service().heartbeat_s()

    def service(self):
        """Return what answers the gateway, `presence_service.SensorService`."""
        if self._service is None:
            from roles.presence_service import SensorService  # a wake-up in some hundred needs it

            self._service = SensorService(self)
        return self._service

    def _report_start(self):
        """Put a start that was none of sleep or power into the outbox; only then the supervisor has looked into it."""
        start_record = sys.modules.get("roles.start_record")
        values = None if start_record is None else start_record.report(self.persistent)
        if values is None or (values[RESET] == "power-on" and CRASH not in values):
            return
        for part in start_record.parts(values) if self._link_name() == "lorawan" else (values,):
            self.outbox.add(part, now_ms())

    def _due_ms(self):
        """Return when this is to be loaded again at latest."""
        due_ms = self.link.due_ms()
        return self._readings.due_ms if due_ms is None else min(due_ms, self._readings.due_ms)

    def _kept_detector(self):
        """Return the detector's state that outlived the power, or None."""
        kept = self.persistent.blob("baseline", _DETECTOR_BYTES)
        return None if kept is None else struct.unpack("<%di" % (len(kept) // 4), kept)

    def _keep_detector(self):
        """Keep what is learned of the empty bay for the next power-on."""
        watch = self.sense.detector.watch
        if self._readings.said != _VACANT or watch is None:
            return
        kept = self._kept_watch
        if kept is None or max(abs(a - b) for a, b in zip(watch, kept)) > _KEPT_LSB:
            state = self.sense.detector.state()
            self.persistent.keep_blob("baseline", struct.pack("<%di" % len(state), *state))
            self._kept_watch = list(watch)


def _random_below(n):
    """Return a random int from 0 to n - 1."""
    return random.getrandbits(30) % n


def _set_back(kept, by_ms):
    """The clock began again, as after a brown-out: what was kept happened so long before now as before it was kept."""
    kept[1][2] = [(seq, read_ms - by_ms, values) for seq, read_ms, values in kept[1][2]]
    readings = kept[2]
    readings[1] -= by_ms
    readings[2] -= by_ms
