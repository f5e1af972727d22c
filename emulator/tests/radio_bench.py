"""A bench for LoRa transceivers without a VM: a clock, an ether without loss, and hosts that talk SPI to one chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator.air.airtime import airtime
from pave_emulator.air.radio import Modulation, RadioListener
from pave_emulator.chips.chip import ChipFault, SpiChip

SPI_HZ = 8_000_000


@dataclass(frozen=True)
class Packet:
    """One transmission as the ether saw it."""

    modulation: Modulation
    payload: bytes
    power_dbm: float
    start_s: float


class Clock:
    """Virtual time: what is due happens on the way."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.chips: list[SpiChip] = []
        self.ether: list[tuple[float, Callable[[float], None]]] = []

    def run_until(self, until_s: float) -> None:
        """Let chips and ether do what is due."""
        while True:
            due = [at_s for chip in self.chips if (at_s := chip.next_event_s()) is not None]
            due += [at_s for at_s, _ in self.ether]
            at_s = min(due, default=until_s)
            if at_s > until_s or not due:
                break
            self.now_s = max(self.now_s, at_s)
            for chip in self.chips:
                chip.advance(self.now_s)
            for event in sorted((e for e in self.ether if e[0] <= self.now_s), key=lambda e: e[0]):
                self.ether.remove(event)
                event[1](event[0])
        self.now_s = until_s
        for chip in self.chips:
            chip.advance(until_s)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(self.now_s + seconds)


@dataclass
class Antenna:
    """`Radio` of one chip: everybody tuned alike hears everybody, at `rssi_dbm` and `snr_db`."""

    clock: Clock
    others: list[Antenna] = field(default_factory=list)
    rssi: float = -80.0
    snr: float = 9.5
    floor: float = -117.0
    spoil: bool = False
    listener: RadioListener | None = None
    tuned: Modulation | None = None
    sent: list[Packet] = field(default_factory=list)
    aborted: int = 0

    def attach(self, listener: RadioListener) -> None:
        self.listener = listener

    def transmit(self, modulation: Modulation, payload: bytes, power_dbm: float, now_s: float) -> float:
        packet = Packet(modulation, payload, power_dbm, now_s)
        self.sent.append(packet)
        for other in self.others:
            other.hear(packet)
        return now_s + airtime(modulation, len(payload)).total_s

    def hear(self, packet: Packet) -> None:
        """A packet begins: a receiver that is tuned to it when its preamble ends gets it."""
        times = airtime(packet.modulation, len(packet.payload))
        locked_s, header_s, end_s = (
            packet.start_s + after_s for after_s in (times.sync_s, times.header_s, times.total_s)
        )
        locked: list[bool] = []

        def lock(now_s: float) -> None:
            if self.tuned and alike(self.tuned, packet.modulation):
                locked.append(True)
                self.tell("preamble_detected", now_s)

        def header(now_s: float) -> None:
            if locked and self.tuned and packet.modulation.explicit_header:
                self.tell("header_received", now_s, True)

        def end(now_s: float) -> None:
            if locked and self.tuned:
                self.tell("packet_received", packet.payload, not self.spoil, self.rssi, self.snr, now_s)

        self.clock.ether += [(locked_s, lock), (header_s, header), (end_s, end)]

    def tell(self, what: str, *arguments: object) -> None:
        getattr(self.listener, what)(*arguments)

    def abort(self, now_s: float) -> None:
        self.aborted += 1

    def listen(self, modulation: Modulation, now_s: float) -> None:
        self.tuned = modulation

    def stop_listening(self, now_s: float) -> None:
        self.tuned = None

    def rssi_dbm(self, frequency_hz: int, bandwidth_hz: int, now_s: float) -> float:
        return self.floor


def alike(one: Modulation, other: Modulation) -> bool:
    """Whether a receiver with one set of parameters can hear the other."""
    near = abs(one.frequency_hz - other.frequency_hz) < one.bandwidth_hz / 4
    shape = (one.spreading_factor, one.bandwidth_hz, one.inverted_iq, one.sync_word, one.explicit_header)
    return near and shape == (
        other.spreading_factor, other.bandwidth_hz, other.inverted_iq, other.sync_word, other.explicit_header
    )  # fmt: skip


class Host:
    """What a board does with a chip: NSS, clocked bytes, pins; faults answer zeros and are kept."""

    def __init__(self, chip: SpiChip, clock: Clock) -> None:
        self.chip = chip
        self.clock = clock
        self.faults: list[str] = []
        clock.chips.append(chip)
        chip.power_on(clock.now_s)

    def select(self) -> None:
        self.chip.selected(self.clock.now_s)

    def exchange(self, data: bytes) -> bytes:
        self.clock.sleep(len(data) * 8 / SPI_HZ)
        try:
            return self.chip.exchange(data, self.clock.now_s)
        except ChipFault as fault:
            self.faults.append(str(fault))
            return bytes(len(data))

    def deselect(self) -> None:
        try:
            self.chip.deselected(self.clock.now_s)
        except ChipFault as fault:
            self.faults.append(str(fault))

    def transfer(self, *data: int) -> bytes:
        """One transaction, as fast as the bus."""
        self.select()
        answer = self.exchange(bytes(data))
        self.deselect()
        return answer

    def send(self, *data: int) -> bytes:
        """One transaction, after BUSY is low. Raise ChipFault for what it got wrong."""
        while self.chip.pin_level("busy"):
            wake_s = self.chip.next_event_s()
            assert wake_s is not None, "BUSY stays high"
            self.clock.run_until(wake_s)
        before = len(self.faults)
        answer = self.transfer(*data)
        if self.faults[before:]:
            raise ChipFault("; ".join(self.faults[before:]))
        return answer

    def set_pin(self, name: str, level: int) -> None:
        self.chip.set_input(name, level, self.clock.now_s)
