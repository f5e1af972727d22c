"""A simulated sensor on a simulated air, as its firmware would behave: joins, says hello, repeats until acknowledged.

It is written from docs/WIRE.md and TS001, on the codecs of the device's side alone; it knows nothing of the gateway.
"""

import random
from collections.abc import Callable

from lorawan_support import Device, World, event_of, hello_of

from pave_wire import event_encode, lorawan, mac_commands, region
from pave_wire.errors import LorawanError
from pave_wire.lorawan import ADR, ADR_ACK_REQ, DOWN, PENDING, UP, Frame

OUTBOX = 20
SEND_AGAIN_MS = (20_000, 900_000)  # first and longest pause before what is unacknowledged goes again
GIVE_UP = 10  # uplinks without a downlink: join again
HEARTBEAT_MS = 3_600_000
QUIET_READINGS = 4  # heartbeats that wait for one acknowledgement


class Sensor(Device):
    """One of them. `emit(sensor, phy, frequency_hz, data_rate)` sends a frame; the air calls `downlink`."""

    def __init__(self, number: int, world: World, emit: Callable[..., None], rng: random.Random) -> None:
        super().__init__(number)
        self.world, self.emit, self.rng = world, emit, rng
        self.duty = region.DutyCycle()
        self.epoch, self.seq = rng.randrange(1 << 20), 0
        self.outbox: list[tuple[int, int, bool, str, int, int]] = []  # epoch, seq, occupied, reason, born ms, lasted s
        self.given: set[tuple[int, int]] = set()
        self.dropped: set[tuple[int, int]] = set()
        self.acknowledged: dict[tuple[int, int], int] = {}  # identity: when
        self.born: dict[tuple[int, int], int] = {}
        self.occupied = False
        self.state = "off"
        self.boots = 0
        self.joined_ms: int | None = None
        self.listens_until_ms = 0

    def power_on(self) -> None:
        """Start, or start again after the power was gone: the session and the epoch are over."""
        self.boots += 1
        self.epoch, self.seq = self.epoch + 1, 0
        self.started_ms = self.changed_ms = self.world.now_ms
        self._begin_join()
        self._give("boot")
        self._later(self.rng.randrange(HEARTBEAT_MS), self._heartbeat)
        self._later(self._stay_ms(), self._change)

    def downlink(self, phy: bytes) -> None:
        """Hear what came in a receive window."""
        if self.state == "joining":
            self._accept(phy)
            return
        try:
            frame = self.hear(phy)
        except LorawanError:
            return
        self.unheard = 0
        self._commands(frame)
        if frame.port is not None and frame.port > 0:
            self._message(frame)
        if frame.flags & PENDING:
            self._later(4_000, lambda: self._send(None, b""))

    def window(self, number: int) -> tuple[int, int, int]:
        """Return (ms after the uplink, Hz, data rate) of a receive window."""
        if self.state == "joining":
            return ((5000, self.sent_hz, self.sent_rate), (6000, 869_525_000, 0))[number - 1]
        rx1 = region.rx1_data_rate(self.sent_rate, self.rx1_offset)
        delay_ms = 1000 * self.delay_s
        return ((delay_ms, self.sent_hz, rx1), (delay_ms + 1000, 869_525_000, self.rx2_rate))[number - 1]

    def _begin_join(self) -> None:
        self.state, self.tries, self.joined_ms = "joining", 0, None
        self.data_rate, self.tx_power, self.channels = 5, 0, list(region.DEFAULT_CHANNELS_HZ)
        self._later(self.rng.randrange(1_000, 15_000), self._join)

    def _join(self) -> None:
        if self.state != "joining":
            return
        self.data_rate = (5, 4, 3, 2, 1, 0)[self.tries // 2 % 6]
        self.tries += 1
        self._transmit(self.join_request())
        pause_ms = min(300_000, 15_000 << min(self.tries, 4))
        self._later(8_000 + self.rng.randrange(pause_ms), self._join)

    def _accept(self, phy: bytes) -> None:
        try:
            self.join(phy)
        except LorawanError:
            return
        assert self.accept is not None
        self.state, self.hello_tries, self.unheard, self.fopts = "greeting", 0, 0, b""
        self.rx1_offset, self.rx2_rate = self.accept.rx1_dr_offset, self.accept.rx2_data_rate
        self.delay_s, self.joined_ms = self.accept.rx_delay_s, self.world.now_ms
        self.channels += [hz for hz in self.accept.frequencies_hz if hz]
        self._later(3_000, self._greet)

    def _greet(self) -> None:
        if self.state != "greeting":
            return
        self.hello_tries += 1
        if self.hello_tries > 2 * GIVE_UP:
            self._begin_join()
            return
        self._send(3, hello_of(self.epoch, self.seq))
        self._later(10_000 + self.rng.randrange(30_000 << min(self.hello_tries, 4)), self._greet)

    def _change(self) -> None:
        self.occupied = not self.occupied
        self._give("field")
        self.changed_ms = self.world.now_ms
        self._later(self._stay_ms(), self._change)

    def _heartbeat(self) -> None:
        self._give("heartbeat")
        self._later(HEARTBEAT_MS, self._heartbeat)

    def _give(self, reason: str) -> None:
        identity = (self.epoch, self.seq)
        self.seq += 1
        self.given.add(identity)
        self.born[identity] = self.world.now_ms
        lasted_s = (self.world.now_ms - self.changed_ms) // 1000 if reason == "field" else -1
        self.outbox.append((*identity, self.occupied, reason, self.world.now_ms, lasted_s))
        if len(self.outbox) > OUTBOX:
            self.dropped.add(self.outbox[0][:2])
            self.outbox.pop(0)
        if self.state == "running":
            self._report(len(self.outbox) - 1)

    def _report(self, index: int) -> None:
        epoch, seq, occupied, reason, born_ms, lasted_s = self.outbox[index]
        age_s = (self.world.now_ms - born_ms) // 1000
        self._send(1, event_of(self.eui, seq, occupied, index == 0, epoch, age_s, lasted_s, reason))
        self._arm(SEND_AGAIN_MS[0])

    def _arm(self, pause_ms: int) -> None:
        """Send the oldest again after a while, unless something else is sent first."""
        self.armed = armed = object()
        self._later(pause_ms + self.rng.randrange(pause_ms), lambda: self._again(armed, pause_ms))

    def _again(self, armed: object, pause_ms: int) -> None:
        waiting = [entry for entry in self.outbox if entry[3] != "heartbeat"]
        if armed is not self.armed or self.state != "running" or not self.outbox:
            return
        if self.unheard > GIVE_UP:
            self._begin_join()
        elif waiting or len(self.outbox) > QUIET_READINGS:
            self._report(0)
            self._arm(min(SEND_AGAIN_MS[1], 2 * pause_ms))

    def _message(self, frame: Frame) -> None:
        if frame.port == 9 and self.state == "greeting":
            self.state = "running"
            if self.outbox:
                self._report(0)
        if frame.port == event_encode.FPORT_ACKNOWLEDGEMENT:
            for entry in list(self.outbox):
                if event_encode.is_acknowledged(frame.payload, entry[0], entry[1], self.epoch, self.seq - 1):
                    self.outbox.remove(entry)
                    self.acknowledged[entry[:2]] = self.world.now_ms

    def _commands(self, frame: Frame) -> None:
        answers: list[tuple[int, dict[str, int]]] = []
        for cid, fields in mac_commands.decode(DOWN, frame.fopts)[0]:
            if cid == mac_commands.LINK_ADR:
                self.data_rate, self.tx_power = fields["data_rate"], fields["tx_power"]
                answers.append((cid, {"channel_mask_ok": 1, "data_rate_ok": 1, "tx_power_ok": 1}))
            elif cid == mac_commands.DEV_STATUS:
                answers.append((cid, {"battery": 200, "snr_db": 5}))
        self.fopts = mac_commands.encode(UP, answers)

    def _send(self, port: int | None, data: bytes) -> None:
        if self.state in ("greeting", "running"):
            self.unheard += 1
            if self.unheard > 6:
                self.data_rate = max(0, self.data_rate - 1)  # its own back-off
            flags = ADR | (ADR_ACK_REQ if self.unheard > 4 else 0)
            fopts = self.fopts if len(data) + len(self.fopts) <= region.max_payload_bytes(self.data_rate) else b""
            self._transmit(self.uplink(port, data, fopts, flags))

    def _transmit(self, phy: bytes) -> None:
        """Send when the law allows it and the windows of the frame before are closed, on a channel drawn."""
        if self.world.now_ms < self.listens_until_ms:
            return  # whoever asked tries again
        frequency_hz = self.channels[self.rng.randrange(len(self.channels))]
        airtime_us = region.frame_time_us(self.data_rate, len(phy))
        start_ms = self.duty.next_allowed_ms(frequency_hz, 125_000, airtime_us, self.world.now_ms)
        if start_ms > self.world.now_ms:
            return
        self.duty.record(frequency_hz, 125_000, airtime_us, start_ms)
        self.sent_hz, self.sent_rate = frequency_hz, self.data_rate
        self.listens_until_ms = start_ms + airtime_us // 1000 + self.window(2)[0] + 500
        self.emit(self, phy, frequency_hz, self.data_rate, self.tx_power)

    def _later(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Do `act` after a while, unless the power was gone meanwhile."""
        boots = self.boots
        self.world.after(delay_ms, lambda: act() if boots == self.boots else None)

    def _stay_ms(self) -> int:
        return int(self.rng.expovariate(1 / (900_000 if self.occupied else 2_700_000)) + 60_000)


def is_data(phy: bytes) -> bool:
    return lorawan.frame_type(phy) != lorawan.JOIN_ACCEPT
