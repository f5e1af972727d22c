"""Admission: which readings enter the log, and when their device may be told so.

One path for every link. An ingress turns bytes into readings and calls `offer`; the answer comes later, through `done`:

    offer -> unknown device?        -> Refused, nothing stored
          -> too many in flight?    -> Refused, ask again
          -> committer -> failed    -> Refused, ask again
                       -> committed -> subscribers hear of what was new -> Accepted

A reading that is already in the log is accepted again and stored once, because the device repeats it until it hears
the answer. Time comes in as an argument and completion goes out as a callback, so the same code runs in the gateway
and in the simulation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pave_gateway.core import limits
from pave_gateway.core.committer import (
    CommitFailed,
    Committed,
    Committer,
    CommitterBusy,
    Outcome,
    ReadingRow,
    StoredReading,
)
from pave_gateway.core.places import Place
from pave_wire.model import Reading, class_of


class Refusal(Enum):
    """Why readings were not taken."""

    UNKNOWN_DEVICE = "unknown_device"
    BUSY = "busy"
    NOT_STORED = "not_stored"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Every reading is durable. `repeated` of them were in the log before."""

    repeated: int


@dataclass(frozen=True, slots=True)
class Refused:
    """No reading of this offer may be acknowledged."""

    why: Refusal
    detail: str


Verdict = Accepted | Refused
StoredListener = Callable[[Sequence[StoredReading]], None]


@dataclass(slots=True)
class IngestCounters:
    """Readings since the start, by fate. `acknowledged` = `stored` + `repeated`."""

    acknowledged: int = 0
    stored: int = 0
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=lambda: {why.value: 0 for why in Refusal})


class Ingest:
    """Admits readings of registered devices, in bounded number, and completes them after the commit."""

    def __init__(
        self,
        places_by_device: Mapping[str, Place],
        committer: Committer,
        listeners: Sequence[StoredListener],
        max_in_flight: int = limits.READINGS_IN_FLIGHT,
    ) -> None:
        """`listeners` hear, in order, of readings newly in the log, before their device does."""
        self._places = places_by_device
        self._committer = committer
        self._listeners = listeners
        self._max_in_flight = max_in_flight
        self.in_flight = 0
        self.storage_error = ""  # why the newest commit failed; empty while the disk takes readings
        self.counters = IngestCounters()

    def offer(self, readings: Sequence[Reading], now_ms: int, done: Callable[[Verdict], None]) -> None:
        """Take the readings of one message, received at `now_ms`; `done` is called once, now or after the commit."""
        refused = self._refusal(readings)
        if refused is None:
            refused = self._submit([_row_of(reading, now_ms) for reading in readings], done)
        if refused is not None:
            self._finish_refused(refused, len(readings), done)

    def _refusal(self, readings: Sequence[Reading]) -> Refused | None:
        for reading in readings:
            if reading.device not in self._places:
                return Refused(
                    Refusal.UNKNOWN_DEVICE, f"device {reading.device} is not in the site file; add it and restart"
                )
        if self.in_flight + len(readings) > self._max_in_flight:
            return Refused(Refusal.BUSY, f"{self.in_flight} readings are waiting for the disk; send again later")
        return None

    def _submit(self, rows: list[ReadingRow], done: Callable[[Verdict], None]) -> Refused | None:
        self.in_flight += len(rows)
        try:
            self._committer.submit(rows, lambda outcome: self._committed(outcome, len(rows), done))
        except CommitterBusy as error:
            self.in_flight -= len(rows)
            return Refused(Refusal.BUSY, str(error))
        return None

    def _committed(self, outcome: Outcome, count: int, done: Callable[[Verdict], None]) -> None:
        self.in_flight -= count
        self.storage_error = outcome.reason if isinstance(outcome, CommitFailed) else ""
        if isinstance(outcome, CommitFailed):
            self._finish_refused(Refused(Refusal.NOT_STORED, outcome.reason), count, done)
        else:
            self._finish_accepted(outcome, count, done)

    def _finish_accepted(self, outcome: Committed, count: int, done: Callable[[Verdict], None]) -> None:
        repeated = count - len(outcome.stored)
        self.counters.stored += len(outcome.stored)
        self.counters.repeated += repeated
        self.counters.acknowledged += count
        if outcome.stored:
            for listener in self._listeners:
                listener(outcome.stored)
        done(Accepted(repeated))

    def _finish_refused(self, refused: Refused, count: int, done: Callable[[Verdict], None]) -> None:
        self.counters.refused[refused.why.value] += count
        done(refused)


def _row_of(reading: Reading, now_ms: int) -> ReadingRow:
    return ReadingRow(
        device=reading.device,
        epoch=reading.epoch,
        seq=reading.seq,
        reading_class=class_of(reading.values),
        received_ms=now_ms,
        read_ms=now_ms - round(reading.age_s * 1000),
        values=reading.values,
    )
