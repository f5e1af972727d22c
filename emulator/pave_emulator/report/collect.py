"""Collects from the records of a run what a report, or a person who looks on, wants to know of each device.

Theory of operation. A record changes a few counts and ends or begins an interval. Texts are bounded; wakes,
transmissions and intervals are kept, two numbers each.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pave_emulator import trace as traces
from pave_emulator.device_spec import WAKES
from pave_emulator.trace import Record

LAST_LINES, NOTICES, EVENTS = 40, 40, 1000
LOUD = ("[emu] ", "Traceback")
REPORTED = "reported"  # a record of kind truth that whoever reads the devices' datagrams may add: bay, occupied

Interval = tuple[float, float]


@dataclass
class Radio:
    """Counts of one transceiver. `lost` is by reason; `airtime_s` of what it sent."""

    sent: int = 0
    received: int = 0
    airtime_s: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)
    by_sf: Counter[int] = field(default_factory=Counter)


@dataclass
class DeviceLog:
    """What one device has done. Times are seconds of the run's clock."""

    state: str = "off"  # off, awake, asleep
    since_s: float = 0.0
    awake: list[Interval] = field(default_factory=list)
    off: list[Interval] = field(default_factory=list)
    wakes: list[tuple[float, str]] = field(default_factory=list)
    sends: list[float] = field(default_factory=list)
    receives: list[float] = field(default_factory=list)
    datagrams: Counter[str] = field(default_factory=Counter)  # up, down, lost, duplicated, bytes up, bytes down
    lora: Radio = field(default_factory=Radio)
    flash: Counter[str] = field(default_factory=Counter)
    lines: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    notices: list[tuple[float, str]] = field(default_factory=list)

    def become(self, state: str, now_s: float) -> None:
        """End the present interval and begin one of another state."""
        kept = {"awake": self.awake, "off": self.off}.get(self.state)
        if kept is not None and now_s > self.since_s:
            kept.append((self.since_s, now_s))
        self.state, self.since_s = state, now_s


@dataclass
class BayLog:
    """When a bay was occupied, in truth and as it was reported; what has not ended is None."""

    truth: list[tuple[float, float | None]] = field(default_factory=list)
    reported: list[tuple[float, float | None]] = field(default_factory=list)


class Collector:
    """Subscribe it to a trace."""

    def __init__(self, devices: Iterable[str], bays: Iterable[str]) -> None:
        self.devices = {name: DeviceLog() for name in devices}
        self.bays = {name: BayLog() for name in bays}
        self.radios: dict[str, Radio] = {}
        """Of what is on the LoRa air and no device: concentrators."""
        self.events: list[tuple[float, str, str]] = []
        """Faults and steps: time, device or "", text."""
        self.events_left_out = 0
        self.records = 0
        self.now_s = 0.0
        self._take = {
            traces.BOOT: self._boot,
            traces.SLEEP: lambda log, record: log.become("asleep", record.t_us / 1e6),
            traces.POWER: lambda log, record: log.become("off", record.t_us / 1e6),
            traces.RESET: lambda log, record: log.become("off", record.t_us / 1e6),
            traces.CONSOLE: self._console,
            traces.FLASH: self._flash,
            traces.DATAGRAM: self._datagram,
        }

    def __call__(self, record: Record) -> None:
        """The next record."""
        self.records += 1
        self.now_s = max(self.now_s, record.t_us / 1e6)
        if record.kind == traces.TRUTH:
            self._truth(record)
        elif record.kind == traces.LORA:
            self._lora(record)
        elif record.kind == traces.FAULT:
            self._event(record, text_of(record.fields))
        elif record.device in self.devices and record.kind in self._take:
            self._take[record.kind](self.devices[record.device], record)

    def close(self) -> None:
        """Nothing is open."""

    def finish(self, now_s: float) -> None:
        """The run has ended: what still lasted has lasted until now."""
        self.now_s = now_s
        for log in self.devices.values():
            log.become(log.state, now_s)

    def _boot(self, log: DeviceLog, record: Record) -> None:
        now_s, wake = record.t_us / 1e6, record.fields["wake"]
        log.become("awake", now_s)
        cause: str = record.fields["cause"]
        log.wakes.append((now_s, WAKES.get(wake, cause) if wake else cause))

    def _console(self, log: DeviceLog, record: Record) -> None:
        said = record.t_us / 1e6, record.fields["line"]
        log.lines.append(said)
        if said[1].startswith(LOUD) and len(log.notices) < NOTICES:
            log.notices.append(said)

    def _flash(self, log: DeviceLog, record: Record) -> None:
        log.flash[record.fields["what"]] += 1

    def _datagram(self, log: DeviceLog, record: Record) -> None:
        way = record.fields["way"]
        log.datagrams[way] += 1
        log.datagrams[f"bytes {way}"] += len(record.fields["data"])
        for mark in ("lost", "duplicated"):
            log.datagrams[mark] += int(record.fields.get(mark, 0))
        (log.sends if way == "up" else log.receives).append(record.t_us / 1e6)

    def _lora(self, record: Record) -> None:
        log = self.devices.get(record.device)
        radio = log.lora if log else self.radios.setdefault(record.device, Radio())
        what, now_s = record.fields["what"], record.t_us / 1e6
        if what == "tx":
            radio.sent += 1
            radio.airtime_s += record.fields["airtime_us"] / 1e6
            radio.by_sf[record.fields["sf"]] += 1
        elif what == "rx":
            radio.received += 1
        else:
            radio.lost[record.fields["reason"]] += 1
        if log and what in ("tx", "rx"):
            (log.sends if what == "tx" else log.receives).append(now_s)

    def _truth(self, record: Record) -> None:
        fields, now_s = record.fields, record.t_us / 1e6
        what, bay = fields["what"], self.bays.get(fields.get("bay", ""))
        if what == "step":
            self._event(record, f"step {fields['name']}: {text_of(fields, ('what', 'name'))}")
        elif bay and what in ("arrives", "leaves"):
            _mark(bay.truth, now_s, what == "arrives")
        elif bay and what == REPORTED:
            _mark(bay.reported, now_s, bool(fields["occupied"]))

    def _event(self, record: Record, text: str) -> None:
        if len(self.events) < EVENTS:
            self.events.append((record.t_us / 1e6, record.device, text))
        else:
            self.events_left_out += 1


def text_of(fields: dict[str, Any], without: tuple[str, ...] = ()) -> str:
    """Fields of a record as a person reads them."""
    return ", ".join(f"{key} {value}" for key, value in fields.items() if key not in without)


def _mark(stays: list[tuple[float, float | None]], now_s: float, occupied: bool) -> None:
    lasts = bool(stays) and stays[-1][1] is None
    if occupied and not lasts:
        stays.append((now_s, None))
    elif not occupied and lasts:
        stays[-1] = (stays[-1][0], now_s)
