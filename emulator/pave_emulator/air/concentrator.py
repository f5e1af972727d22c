"""A gateway's radio as an SX1302 makes it: eight channels at once, sixteen demodulators, deaf while it sends.

Theory of operation. Each multi-SF channel searches for SF5 to SF12 at once; what it finds takes one of 8 demodulators
for any spreading factor or 8 for SF5 to SF10, or is lost when none is free (SX1302 datasheet, key features). One more
channel listens to a fixed spreading factor at 125, 250 or 500 kHz. The transmitter shares the antenna: nothing is
heard meanwhile. A 32-bit counter of microseconds, `tmst`, dates the end of each reception and says when a downlink
leaves.

Channels, transmit band and powers are those of sx1302_hal 2.1.0, global_conf.json.sx1250.EU868.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator import trace as traces
from pave_emulator.air.airtime import needs_low_data_rate
from pave_emulator.air.jit_queue import COUNTER, JIT_DELAY_US, JitQueue, Kind, TxPacket
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.packet import Reception, Site, Transmission
from pave_emulator.air.propagation import Position
from pave_emulator.air.radio import Modulation
from pave_emulator.air.reception import Receiver
from pave_emulator.clock import Timer

TX_FREQ = "TX_FREQ"
PUBLIC_SYNC_WORD = 0x34
FAST_DEMODULATORS = tuple(range(8, 16))  # SF5 to SF10 only
ANY_DEMODULATORS = tuple(range(8))
SERVICE_DEMODULATOR = 16
_FASTEST_SF, _SLOWEST_SF, _SLOWEST_FAST_SF = 5, 12, 10


@dataclass(frozen=True)
class Channel:
    """A channel of the concentrator: `number` is "chan", `rf_chain` is "rfch" of the uplink it receives."""

    number: int
    rf_chain: int
    frequency_hz: int


@dataclass(frozen=True)
class ChannelPlan:
    """How a concentrator is set up.

    Attributes:
        multi_sf: at most 8 channels of 125 kHz.
        service: the channel of one spreading factor; its bandwidth and spreading factor follow.
        tx_band_hz: lowest and highest carrier it sends at.
        tx_powers_dbm: what it can send with, at the connector, rising.
    """

    multi_sf: tuple[Channel, ...]
    service: Channel
    service_bandwidth_hz: int
    service_spreading_factor: int
    tx_band_hz: tuple[int, int]
    tx_powers_dbm: tuple[int, ...]


EU868 = ChannelPlan(
    multi_sf=(
        Channel(0, 1, 868_100_000),
        Channel(1, 1, 868_300_000),
        Channel(2, 1, 868_500_000),
        Channel(3, 0, 867_100_000),
        Channel(4, 0, 867_300_000),
        Channel(5, 0, 867_500_000),
        Channel(6, 0, 867_700_000),
        Channel(7, 0, 867_900_000),
    ),
    service=Channel(8, 1, 868_300_000),
    service_bandwidth_hz=250_000,
    service_spreading_factor=7,
    tx_band_hz=(863_000_000, 870_000_000),
    tx_powers_dbm=tuple(range(12, 28)),
)


@dataclass(frozen=True)
class Uplink:
    """A packet received, with what the forwarder reports of it. `demodulator` is "mid"."""

    tmst: int
    ended_s: float
    channel: Channel
    demodulator: int
    reception: Reception


@dataclass(frozen=True)
class Answer:
    """What becomes of a downlink: an error of TX_ACK, or the power used instead of the one asked for."""

    error: str = ""
    power_instead_dbm: int | None = None


@dataclass(eq=False)
class _Path:
    """A channel at one spreading factor, with the demodulator it holds."""

    concentrator: Concentrator
    channel: Channel
    demodulators: tuple[int, ...]
    demodulator: int | None = field(default=None, init=False)

    def locked(self, transmission: Transmission, now_s: float) -> bool:
        self.demodulator = self.concentrator.allocate(self.demodulators)
        return self.demodulator is not None

    def header(self, transmission: Transmission, valid: bool, now_s: float) -> None:
        if not valid:
            self.release()

    def received(self, reception: Reception, now_s: float) -> None:
        demodulator = self.release()
        if demodulator is not None:
            self.concentrator.received(self.channel, demodulator, reception, now_s)

    def release(self) -> int | None:
        demodulator, self.demodulator = self.demodulator, None
        if demodulator is not None:
            self.concentrator.free(demodulator)
        return demodulator


class Concentrator:
    """One gateway's radio. `on_uplink` is called at the end of each packet, CRC errors included.

    Args:
        air: where it is.
        name: unique on the air.
        position_m, antenna_gain_dbi, noise_figure_db: as of a device's radio.
        plan: channels and powers.
        tmst_at_start: the counter at the clock's zero.
    """

    def __init__(
        self,
        air: LoraAir,
        name: str,
        position_m: Position,
        antenna_gain_dbi: float = 0.0,
        noise_figure_db: float = 6.0,
        plan: ChannelPlan = EU868,
        tmst_at_start: int = 0,
    ) -> None:
        self.site = air.place(Site(name, position_m, antenna_gain_dbi, noise_figure_db))
        self.plan = plan
        self.on_uplink: Callable[[Uplink], None] = lambda _uplink: None
        self.sent = 0
        self._air = air
        self._tmst_at_start = tmst_at_start
        self._queue = JitQueue()
        self._free = {*ANY_DEMODULATORS, *FAST_DEMODULATORS, SERVICE_DEMODULATOR}
        self._receivers = self._build()
        self._programmed: tuple[TxPacket, Timer] | None = None
        self._sending: Transmission | None = None

    def start(self, now_s: float) -> None:
        """Begin to receive."""
        for receiver, _ in self._receivers:
            self._air.add(receiver, now_s)

    def stop(self, now_s: float) -> None:
        """Receive and send no more; what is queued is forgotten."""
        for receiver, path in self._receivers:
            self._air.remove(receiver, now_s)
            path.release()
        if self._sending:
            self._sending.cut_s = now_s
        if self._programmed:
            self._programmed[1].cancel()
        self._sending = self._programmed = None
        self._queue = JitQueue()

    def tmst(self, now_s: float) -> int:
        """The counter at a time, in us modulo 2^32."""
        return (round(now_s * 1e6) + self._tmst_at_start) % COUNTER

    def submit(self, packet: TxPacket, kind: Kind, now_s: float) -> Answer:
        """Queue a downlink, as the forwarder does with what PULL_RESP holds. A power it lacks becomes the next
        lower.
        """
        low_hz, high_hz = self.plan.tx_band_hz
        if not low_hz <= packet.modulation.frequency_hz <= high_hz:
            return Answer(TX_FREQ)
        powers = self.plan.tx_powers_dbm
        power_dbm = max((p for p in powers if p <= packet.power_dbm), default=powers[0])
        asked = TxPacket(packet.count_us, packet.modulation, packet.payload, power_dbm)
        queued = self._queue.enqueue(asked, kind, self.tmst(now_s))
        if isinstance(queued, str):
            return Answer(queued)
        ahead_us = (queued.count_us - self.tmst(now_s)) % COUNTER
        leaves_s = now_s + ahead_us / 1e6
        self._air.call_at(leaves_s - JIT_DELAY_US / 1e6, lambda: self._program(queued, leaves_s))
        return Answer(power_instead_dbm=None if power_dbm == packet.power_dbm else power_dbm)

    def allocate(self, demodulators: tuple[int, ...]) -> int | None:
        """Take the first free demodulator of these."""
        demodulator = next((d for d in demodulators if d in self._free), None)
        if demodulator is not None:
            self._free.remove(demodulator)
        return demodulator

    def free(self, demodulator: int) -> None:
        """Give a demodulator back."""
        self._free.add(demodulator)

    def received(self, channel: Channel, demodulator: int, reception: Reception, now_s: float) -> None:
        """From a channel: a packet has ended."""
        self.on_uplink(Uplink(self.tmst(now_s), now_s, channel, demodulator, reception))

    def _build(self) -> list[tuple[Receiver, _Path]]:
        paths: list[tuple[Receiver, _Path]] = []
        for channel in self.plan.multi_sf:
            for spreading_factor in range(_FASTEST_SF, _SLOWEST_SF + 1):
                fast = FAST_DEMODULATORS if spreading_factor <= _SLOWEST_FAST_SF else ()
                paths.append(self._path(channel, spreading_factor, 125_000, fast + ANY_DEMODULATORS))
        plan = self.plan
        service = (plan.service, plan.service_spreading_factor, plan.service_bandwidth_hz, (SERVICE_DEMODULATOR,))
        return [*paths, self._path(*service)]

    def _path(
        self, channel: Channel, spreading_factor: int, bandwidth_hz: int, demodulators: tuple[int, ...]
    ) -> tuple[Receiver, _Path]:
        low_data_rate = needs_low_data_rate(spreading_factor, bandwidth_hz)
        tuning = Modulation(
            channel.frequency_hz,
            spreading_factor,
            bandwidth_hz,
            sync_word=PUBLIC_SYNC_WORD,
            low_data_rate=low_data_rate,
        )
        path = _Path(self, channel, demodulators)
        return Receiver(self._air, self.site, tuning, path), path

    def _program(self, packet: TxPacket, leaves_s: float) -> None:
        now_s = leaves_s - JIT_DELAY_US / 1e6
        if not self._queue.take(packet):
            return
        if self._sending:
            self._dropped(packet, "emitting", now_s)
            return
        if self._programmed:
            overwritten, timer = self._programmed
            timer.cancel()
            self._dropped(overwritten, "overwritten", now_s)
        self._programmed = (packet, self._air.call_at(leaves_s, lambda: self._send(packet, leaves_s)))

    def _send(self, packet: TxPacket, now_s: float) -> None:
        self._programmed = None
        for receiver, path in self._receivers:
            receiver.stop(now_s, "deaf")
            path.release()
        sending = self._air.send(self.site, packet.modulation, packet.payload, packet.power_dbm, now_s)
        self._sending = sending
        self.sent += 1
        self._air.call_at(sending.end_s, lambda: self._sent(sending))

    def _sent(self, transmission: Transmission) -> None:
        if self._sending is not transmission:
            return
        self._sending = None
        for receiver, _ in self._receivers:
            receiver.start(transmission.end_s)

    def _dropped(self, packet: TxPacket, reason: str, now_s: float) -> None:
        fields = {"what": "downlink", "reason": reason, "tmst": packet.count_us, "payload": packet.payload}
        self._air.trace.record(now_s, self.site.name, traces.FAULT, **fields)
