"""What each wake-up of a device was for, and what it took: read off the trace, the calls and the ledger of one run.

Theory of operation. A wake-up lasts from its boot to its sleep in the trace; the ledger's difference between the two is
what it drew, by consumer and state. What it was for is known once it is over: by the readings it has sent, whose time
of reading lies in it (`Told`), else by what it did. The ledger's span is renamed so that a budget is by these causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pave_emulator import calls, trace
from pave_emulator.clock import VirtualClock
from pave_emulator.core import Core
from pave_emulator.device import Device
from pave_emulator.flash.image import Flash
from pave_emulator.power.ledger import Snapshot
from pave_emulator.rtc import EXT0_WAKE, EXT1_WAKE, TIMER_WAKE
from pave_emulator.trace import Record
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

ARRIVAL, DEPARTURE, HEARTBEAT = "arrival", "departure", "heartbeat"
FALSE_WAKE, FALSE_WITH_RADAR = "false wake", "false wake, radar asked"
TIMER_CHECK, TIMER_WITH_RADAR = "timer check", "timer check, radar asked"
OTHER_REPORT, REPEAT, POWER_ON = "other report", "frame without a new reading", "power-on"
_WOKEN_BY = {EXT0_WAKE: "pin", EXT1_WAKE: "pin", TIMER_WAKE: "timer"}
_BUSES = {ops.I2C: "I2C", ops.SPI: "SPI"}
_RADAR = "radar"
_NO_CHANGE = ("heartbeat", "boot")
_RADAR_RESTS = ("off", "sleep", "hibernate")


@dataclass
class Wake:
    """One wake-up. Times in s of the clock, charge in C at the rails.

    Attributes:
        by: "pin", "timer", or the name of the reset.
        parts: charge and seconds by (consumer, state).
        frames: of each uplink (bytes, spreading factor, airtime s).
        buses: transactions by bus.
    """

    began_s: float
    by: str
    kind: str = ""
    ended_s: float = 0.0
    parts: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    frames: list[tuple[int, int, float]] = field(default_factory=list)
    buses: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """From wake to sleep."""
        return self.ended_s - self.began_s

    @property
    def charge_c(self) -> float:
        """All of it, the board's sleeping chips among it."""
        return sum(charge_c for charge_c, _ in self.parts.values())

    @property
    def active_s(self) -> float:
        """How long code ran."""
        return self.parts.get(("mcu", "active"), (0.0, 0.0))[1]


Told = Callable[[float, float], list[tuple[bool | None, str]]]
"""(from, until) -> (occupied, reason) of each reading taken between these times."""


class Wakes:
    """Watches one device; `all` are its finished wake-ups, in order."""

    def __init__(self, clock: VirtualClock, told: Told) -> None:
        self.all: list[Wake] = []
        self._clock = clock
        self._told = told
        self._device: Device | None = None
        self._wake: Wake | None = None
        self._before: Snapshot | None = None
        self._table = calls.table

    def watch(self, device: Device) -> None:
        """Watch this one, which has a meter."""
        self._device = device

    def table(self, core: Core, flash: Flash, *rest: Any) -> dict[int, Handler]:
        """In place of `calls.table`: counts transactions of the buses."""
        handlers = self._table(core, flash, *rest)
        return handlers | {op: self._counted(_BUSES[op], handlers[op]) for op in _BUSES}

    def __call__(self, record: Record) -> None:
        """The next record of the trace."""
        if self._device is None or record.device != self._device.spec.name:
            return
        if record.kind == trace.BOOT:
            self._begin(record)
        elif record.kind == trace.SLEEP:
            self._end()
        elif record.kind == trace.LORA and record.fields["what"] == "tx" and self._wake:
            sent = len(record.fields["payload"]), record.fields["sf"], record.fields["airtime_us"] / 1e6
            self._wake.frames.append(sent)

    def _counted(self, bus: str, handler: Handler) -> Handler:
        def counted(*fields: int, tail: bytes) -> bytes | None:
            if self._wake:
                self._wake.buses[bus] += 1
            return handler(*fields, tail=tail)

        return counted

    def _begin(self, record: Record) -> None:
        by: str = _WOKEN_BY.get(record.fields["wake"]) or record.fields["cause"]
        self._wake, self._before = Wake(self._clock.now_s(), by), self._snapshot()

    def _end(self) -> None:
        wake, before = self._wake, self._before
        if wake is None or before is None or self._device is None or self._device.meter is None:
            return
        self._wake = None
        wake.ended_s = self._clock.now_s()
        for entry in self._snapshot().since(before).entries:
            if entry.seconds > 0.0:
                charge_c, seconds = wake.parts.get((entry.consumer, entry.state), (0.0, 0.0))
                wake.parts[entry.consumer, entry.state] = charge_c + entry.charge_c, seconds + entry.seconds
        wake.kind = self._kind(wake)
        self.all.append(wake)
        # The meter names the span itself when the device is asleep; what it was for is known better here.
        meter, span = self._device.meter, self._device.meter._span
        self._clock.call_after(0.0, lambda: meter.ledger.reattribute(span, wake.kind))

    def _kind(self, wake: Wake) -> str:
        if wake.by not in ("pin", "timer"):
            return POWER_ON
        told = self._told(wake.began_s, wake.ended_s)
        if not told:
            asked = any(consumer == _RADAR and state not in _RADAR_RESTS for consumer, state in wake.parts)
            if wake.frames:
                return REPEAT
            return {
                ("pin", False): FALSE_WAKE, ("pin", True): FALSE_WITH_RADAR,
                ("timer", False): TIMER_CHECK, ("timer", True): TIMER_WITH_RADAR,
            }[wake.by, asked]  # fmt: skip
        changes = [
            occupied for occupied, reason in told if reason not in ("heartbeat", "boot") and occupied is not None
        ]
        if changes:
            return ARRIVAL if changes[-1] else DEPARTURE
        return HEARTBEAT if any(reason == "heartbeat" for _, reason in told) else OTHER_REPORT

    def _snapshot(self) -> Snapshot:
        assert self._device is not None and self._device.meter is not None
        return self._device.meter.snapshot()
