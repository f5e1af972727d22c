"""Admission: which readings enter the log, and when their device may be told so.

One path for every link. An ingress turns bytes into readings and calls `offer`; the answer comes later, through `done`:

    offer -> unknown device?        -> Refused, nothing stored
          -> too many in flight?    -> Refused, ask again
          -> committer -> failed    -> Refused, ask again; or, if no room will be made for it, give it up
                       -> conflict  -> Refused, nothing stored: take a new epoch
                       -> outdated  -> Refused, nothing stored: the message was admitted before
                       -> committed -> listeners hear of what was new -> Accepted

The rows that admitted the message (replay window, frame counter) travel with its readings, so both are on disk or
neither is.

A reading that is already in the log is accepted again and stored once, because the device repeats it until it hears
the answer. Under the same identity but with other values it is another reading: to acknowledge it would lose it. Time
comes in as an argument and completion goes out as a callback, so the same code runs in the gateway and in the
simulation.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Conflicted, Outcome, Outdated, Row
from pave_gateway.core.instant import Now
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_wire.model import OCCUPIED, Reading, class_of

_log = logging.getLogger(__name__)


class Refusal(Enum):
    """Why readings were not taken."""

    UNKNOWN_DEVICE = "unknown_device"
    FOREIGN_VALUE = "foreign_value"
    BUSY = "busy"
    NOT_STORED = "not_stored"
    FULL = "full"
    CONFLICT = "conflict"
    REPLAYED = "replayed"


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
        listeners: Sequence[StoredListener] = (),
        max_in_flight: int = limits.READINGS_IN_FLIGHT,
    ) -> None:
        """`listeners` hear, in order, of readings newly in the log, before their device does.

        One that raises is logged; the others and the device hear of the commit all the same.
        """
        self._places = places_by_device
        self._committer = committer
        self._listeners = list(listeners)
        self._max_in_flight = max_in_flight
        self._unknown_listeners: list[Callable[[str], None]] = []
        self.in_flight = 0
        self.storage_error = ""  # why the newest commit failed; empty while the disk takes readings
        self.counters = IngestCounters()

    def subscribe(self, listener: StoredListener) -> None:
        """Have one more listener hear of readings, after those before."""
        self._listeners.append(listener)

    def subscribe_unknown(self, listener: Callable[[str], None]) -> None:
        """Call `listener(device)` when what a device sent that stands nowhere was not taken; anybody can cause it."""
        self._unknown_listeners.append(listener)

    def knows(self, device: str) -> bool:
        """Say whether readings of `device` are taken; if not, whoever listens for it is told."""
        if device in self._places:
            return True
        self._tell_unknown(device)
        return False

    def offer(
        self,
        readings: Sequence[Reading],
        now: Now,
        done: Callable[[Verdict], None],
        admission: Sequence[Row] = (),
        counter: int | None = None,
        urgent: bool = False,
    ) -> None:
        """Take the readings of one message, received at `now`; `done` is called once, now or after the commit.

        Args:
            readings: Of one device.
            now: The site's time; readings count back from it.
            done: Told what came of it.
            admission: The replay state that admitted the message, durable with the readings or not at all.
            counter: The message's OSCORE Partial IV, see `ReadingRow`.
            urgent: An answer has a date (LoRaWAN's receive window): commit at once.
        """
        refused = self._refusal(readings)
        if refused is None:
            rows = [_row_of(reading, now, counter) for reading in readings]
            refused = self._submit(rows, admission, urgent, done)
        if refused is not None:
            self._finish_refused(refused, len(readings), done)

    def _refusal(self, readings: Sequence[Reading]) -> Refused | None:
        for reading in readings:
            place = self._places.get(reading.device)
            if place is None:
                self._tell_unknown(reading.device)
                return Refused(
                    Refusal.UNKNOWN_DEVICE, f"device {reading.device} stands nowhere on this site; assign it to a place"
                )
            if OCCUPIED in reading.values and not place.is_bay:
                return Refused(Refusal.FOREIGN_VALUE, f"{place.id} is a {place.kind}; only a bay is {OCCUPIED} or not")
        if self.in_flight + len(readings) > self._max_in_flight:
            return Refused(Refusal.BUSY, f"{self.in_flight} readings are waiting for the disk; send again later")
        return None

    def _submit(
        self, rows: list[ReadingRow], admission: Sequence[Row], urgent: bool, done: Callable[[Verdict], None]
    ) -> Refused | None:
        count = len(rows)
        self.in_flight += count
        try:
            self._committer.submit([*rows, *admission], lambda outcome: self._committed(outcome, count, done), urgent)
        except CommitterBusy as error:
            self.in_flight -= count
            return Refused(Refusal.BUSY, str(error))
        return None

    def _committed(self, outcome: Outcome, count: int, done: Callable[[Verdict], None]) -> None:
        self.in_flight -= count
        if isinstance(outcome, Committed):
            self.storage_error = ""
            self._finish_accepted(outcome, count, done)
        elif isinstance(outcome, Conflicted):
            detail = f"{outcome.identity} is in use for other values; take a new epoch and send again"
            self._finish_refused(Refused(Refusal.CONFLICT, detail), count, done)
        elif isinstance(outcome, Outdated):
            self._finish_refused(Refused(Refusal.REPLAYED, outcome.detail), count, done)
        else:
            self.storage_error = outcome.reason
            why = Refusal.FULL if outcome.final else Refusal.NOT_STORED
            self._finish_refused(Refused(why, outcome.reason), count, done)

    def _finish_accepted(self, outcome: Committed, count: int, done: Callable[[Verdict], None]) -> None:
        repeated = count - len(outcome.stored)
        self.counters.stored += len(outcome.stored)
        self.counters.repeated += repeated
        self.counters.acknowledged += count
        if outcome.stored:
            self._tell(outcome.stored)
        done(Accepted(repeated))

    def _tell(self, stored: Sequence[StoredReading]) -> None:
        for listener in self._listeners:
            try:
                listener(stored)
            except Exception:  # a defect; the readings are on disk, and whoever else waits for them must hear so
                _log.exception("a listener failed on %d readings from %s", len(stored), stored[0].row.identity)

    def _tell_unknown(self, device: str) -> None:
        for listener in self._unknown_listeners:
            listener(device)

    def _finish_refused(self, refused: Refused, count: int, done: Callable[[Verdict], None]) -> None:
        self.counters.refused[refused.why.value] += count
        done(refused)


def _row_of(reading: Reading, now: Now, counter: int | None) -> ReadingRow:
    now_ms = now.ms
    return ReadingRow(
        device=reading.device,
        epoch=reading.epoch,
        seq=reading.seq,
        reading_class=class_of(reading.values),
        received_ms=now_ms,
        read_ms=now_ms - round(reading.age_s * 1000),
        values=reading.values,
        counter=counter,
        synchronized=now.synchronized,
    )
