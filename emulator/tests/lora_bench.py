"""What tests of the LoRa air share: a clock moved by hand, ears that note what they hear, an air of known levels."""

import heapq
import itertools

from pave_emulator.air.lora import LoraAir
from pave_emulator.air.propagation import PathLoss
from pave_emulator.air.radio import Modulation
from pave_emulator.trace import Trace

LOSS_DB = 100.0
SF7 = Modulation(868_100_000, 7, 125_000)


class ManualTimer:
    def __init__(self, callback):
        self.callback = callback

    def cancel(self):
        self.callback = None


class ManualClock:
    """Time that passes when `run_until` is called."""

    def __init__(self):
        self._now_s = 0.0
        self._due = []
        self._order = itertools.count()

    def now_s(self):
        return self._now_s

    def call_at(self, when_s, callback):
        timer = ManualTimer(callback)
        heapq.heappush(self._due, (max(when_s, self._now_s), next(self._order), timer))
        return timer

    def call_after(self, delay_s, callback):
        return self.call_at(self._now_s + delay_s, callback)

    def run_until(self, when_s):
        while self._due and self._due[0][0] <= when_s:
            self._now_s, _, timer = heapq.heappop(self._due)
            if timer.callback:
                timer.callback()
        self._now_s = when_s


class Ear:
    """A transceiver's listener that notes what it is told: (event, time, ...)."""

    def __init__(self, antenna):
        self.antenna = antenna
        self.events = []
        antenna.attach(self)

    def preamble_detected(self, now_s):
        self.events.append(("preamble", now_s))

    def header_received(self, now_s, valid):
        self.events.append(("header", now_s, valid))

    def packet_received(self, payload, crc_ok, rssi_dbm, snr_db, now_s):
        self.events.append(("packet", now_s, payload, crc_ok, rssi_dbm, snr_db))

    @property
    def packets(self):
        return [(event[2], event[3]) for event in self.events if event[0] == "packet"]


class Bench:
    """An air where every link loses LOSS_DB, without shadowing and fading: 100 dB less arrives than was sent."""

    def __init__(self, seed=1, path_loss=None, police=None):
        self.clock = ManualClock()
        self.trace = Trace(hashed=True)
        self.records = []
        self.trace.subscribers.append(self.records.append)
        path_loss = path_loss or PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0)
        self.air = LoraAir(self.clock, seed, self.trace, path_loss, police)

    def ear(self, name="ear", modulation=SF7, **options):
        """A device that listens from now on (modulation None: not yet)."""
        ear = Ear(self.air.radio(name, (0, 0, 0), **options))
        if modulation:
            ear.antenna.listen(modulation, self.clock.now_s())
        return ear

    def sender(self, name):
        return self.air.radio(name, (0, 0, 0))

    def at(self, when_s, antenna, payload, power_dbm=0.0, modulation=SF7):
        """Let a device send at a time."""
        self.clock.call_at(when_s, lambda: antenna.transmit(modulation, payload, power_dbm, when_s))

    def lost(self, device="ear"):
        """Why packets were lost, in order: (sender, reason)."""
        lost = [r for r in self.records if r.device == device and r.fields.get("what") == "lost"]
        return [(record.fields["sender"], record.fields["reason"]) for record in lost]
