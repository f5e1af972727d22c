"""Devices that send, are answered and send again; what they were promised; and whether a journal keeps the promises.

The gateway's part is played as the CoAP front plays it: a message is admitted by the window in memory, its readings and
the window go to the journal as one group, and the answer leaves when that is committed. Answers to anything but
telemetry are sealed under sender sequence numbers, of which a stock is reserved in the journal.

A reading that was not acknowledged stays with its device, which sends it again after the crash, in a new message. Some
are late: the gateway has rebuilt them from the next one by then, and has to put the real one in the place of its guess.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import apsw

from pave_gateway.core.committer import Committed, Outcome
from pave_gateway.core.rows import CursorRow, DeadLetterRow, ReadingRow, ReplayRow, SenderRow
from pave_gateway.store.devices import Window, accepted
from pave_gateway.store.journal import Journal, JournalReader
from pave_wire.event import REBUILT
from pave_wire.limits import OSCORE_WINDOW
from pave_wire.model import REASON

DEVICES = 12
RESERVE = 8  # few, so that reservations are often cut
_CLASSES = ("alarm", "presence", "health", "diagnostics")


@dataclass
class Device:
    """A device, and what the gateway has in memory for it."""

    name: str
    seq: int = 0
    epoch: int = 1
    counter: int = 0  # the next Partial IV
    window: Window = (-1, 0)
    sequence: int = 0  # the gateway's next sender sequence number towards it
    reserved: int = 0
    outbox: list[ReadingRow] = field(default_factory=list)  # not acknowledged yet
    newest: ReadingRow | None = None  # that was


@dataclass
class Promises:
    """What devices and the world have seen, and must find kept whatever happens."""

    acknowledged: dict[str, ReadingRow] = field(default_factory=dict)
    counters: dict[str, set[int]] = field(default_factory=dict)  # Partial IVs of messages that were answered
    guesses: set[str] = field(default_factory=set)  # identities under which the log has a rebuilt reading, or the real
    sealed: dict[str, int] = field(default_factory=dict)  # the highest sender sequence number that sealed something
    twice: list[str] = field(default_factory=list)  # (key, nonce) that sealed two plaintexts
    new: int = 0  # acknowledged readings that nobody has counted yet

    def add(self, heard: Promises) -> None:
        """Take what was promised later."""
        self.new += len(heard.acknowledged.keys() - self.acknowledged.keys())
        self.acknowledged |= heard.acknowledged
        self.guesses |= heard.guesses
        for name, counters in heard.counters.items():
            self.counters.setdefault(name, set()).update(counters)
        for name, sequence in heard.sealed.items():
            if sequence <= self.sealed.get(name, -1):
                self.twice.append(f"{name}: number {sequence} seals a second time")
            self.sealed[name] = sequence
        self.twice += heard.twice

    def take_new(self) -> int:
        """Return how many readings were acknowledged since the last call."""
        new, self.new = self.new, 0
        return new


@dataclass(frozen=True)
class Message:
    """A group, and who waits for it."""

    device: Device
    rows: tuple[object, ...]
    readings: tuple[ReadingRow, ...]
    counter: int | None  # of the message that is to be answered
    reserves: int | None = None
    guesses: tuple[str, ...] = ()


class Site:
    """Some devices on one gateway, from one random source."""

    def __init__(self, source: random.Random, life: int = 0) -> None:
        """`life` keeps identities and Partial IVs of successive sites on one journal apart."""
        self.promises = Promises()
        self._source = source
        names = [f"24a160fffe{number:06x}" for number in range(DEVICES)]
        self._devices = [Device(name, epoch=1 + (life << 16), counter=life << 24) for name in names]
        self._delivered = 0

    def restart(self, path: Path) -> None:
        """Begin a life of the gateway from what its journal says."""
        reader = JournalReader(path)
        windows, window = reader.replay_windows()
        reserved, start = reader.reservations()
        self._delivered = reader.cursor("city")
        reader.close()
        for device in self._devices:
            device.window = windows.get(device.name, window)
            device.sequence = device.reserved = reserved.get(device.name, start)

    def messages(self) -> Iterator[Message]:
        """Yield messages without end."""
        while True:
            device = self._source.choice(self._devices)
            kind = self._source.random()
            if device.sequence >= device.reserved:
                yield self._reservation(device)
            if kind < 0.75:
                yield self._telemetry(device)
            elif kind < 0.9:
                yield self._get(device)
            else:
                yield self._cursor(device)

    def batch(self) -> int:
        """Return how many messages come at once."""
        return self._source.choice([1, 1, 2, 5])

    def room(self) -> int | None:
        """Return how many writes the disk has room for in this transaction; None: no end."""
        return self._source.randrange(4) if self._source.random() < 0.04 else None

    def answered(self, message: Message, outcome: Outcome) -> None:
        """Hear what came of a message; its device is told."""
        if not isinstance(outcome, Committed):
            return
        device = message.device
        if message.reserves is not None:
            device.reserved = max(device.reserved, message.reserves)
        self.promises.guesses.update(message.guesses)
        for row in message.readings:
            self.promises.new += row.identity not in self.promises.acknowledged
            self.promises.acknowledged[row.identity] = device.newest = row
            device.outbox = [item for item in device.outbox if item.identity != row.identity]
        if message.counter is not None:
            self.promises.counters.setdefault(device.name, set()).add(message.counter)
            self._seal(device)

    def _seal(self, device: Device) -> None:
        if device.sequence < device.reserved:
            if device.sequence <= self.promises.sealed.get(device.name, -1):
                self.promises.twice.append(f"{device.name}: number {device.sequence}")
            self.promises.sealed[device.name] = device.sequence
            device.sequence += 1

    def _admitted(self, device: Device) -> tuple[int, ReplayRow]:
        counter, device.counter = device.counter, device.counter + self._source.choice([1, 1, 1, 2, 40])
        device.window = accepted(device.window or (-1, 0), counter)
        return counter, ReplayRow(device.name, *device.window)

    def _telemetry(self, device: Device) -> Message:
        counter, replay = self._admitted(device)
        if self._source.random() < 0.1:
            return self._with_a_guess(device, counter, replay)
        if not device.outbox or self._source.random() < 0.7:
            device.outbox.append(self._reading(device))
        readings = tuple(_carried(row, counter) for row in device.outbox[:3])
        if device.newest is not None and self._source.random() < 0.05:  # its answer was lost on the way
            readings = (*readings, _carried(device.newest, counter))
        return Message(device, (*readings, replay), readings, counter)

    def _with_a_guess(self, device: Device, counter: int, replay: ReplayRow) -> Message:
        """Return a message without the reading before its own; or, at times, a guess at one that is known."""
        guessed = device.newest
        if guessed is None or self._source.random() < 0.8:
            guessed = self._reading(device)
            device.outbox.append(guessed)
        device.outbox.append(self._reading(device))
        reading = _carried(device.outbox[-1], counter)
        guess = replace(guessed, reading_class="presence", values={"occupied": True, REASON: REBUILT})
        return Message(device, (guess, reading, replay), (reading,), counter, guesses=(guess.identity,))

    def _reading(self, device: Device) -> ReadingRow:
        if self._source.random() < 0.03:
            device.epoch, device.seq = device.epoch + 1, 0
        device.seq += self._source.choice([1, 1, 1, 3])
        values = {"occupied": self._source.random() < 0.5, "n": self._source.randrange(1 << 30)}
        kind = self._source.choice(_CLASSES)
        return ReadingRow(device.name, device.epoch, device.seq, kind, 1_800_000_000_000, 1_800_000_000_000, values)

    def _get(self, device: Device) -> Message:
        counter, replay = self._admitted(device)
        return Message(device, (replay,), (), counter)

    def _reservation(self, device: Device) -> Message:
        limit = device.sequence + RESERVE
        return Message(device, (SenderRow(device.name, limit),), (), None, limit)

    def _cursor(self, device: Device) -> Message:
        self._delivered += 1
        rows: tuple[object, ...] = (CursorRow("city", self._delivered),)
        if self._source.random() < 0.3:
            rows = (DeadLetterRow("city", self._delivered, "no"), *rows)
        return Message(device, rows, (), None)


def _carried(row: ReadingRow, counter: int) -> ReadingRow:
    return replace(row, counter=counter)


def broken_promises(path: Path, promises: Promises, source: random.Random) -> list[str]:
    """Open the journal as a restarted gateway does; return every promise that it does not keep."""
    journal = Journal(path)
    try:
        return [*_broken(journal, path, promises, source), *promises.twice]
    finally:
        journal.close()


def _broken(journal: Journal, path: Path, promises: Promises, source: random.Random) -> Iterator[str]:
    if (found := _integrity(path)) != "ok":
        yield f"integrity_check: {found}"
    reader = JournalReader(path)
    stored: dict[str, ReadingRow] = {}
    for batch in reader.all():
        for item in batch:
            before = stored.get(item.row.identity)
            if before is not None and (not _is_guess(before) or _is_guess(item.row)):
                yield f"{item.row.identity} is in the log twice"
            stored[item.row.identity] = item.row
    yield from _broken_readings(stored, promises)
    yield from _broken_history(reader, stored, source)
    yield from _broken_security(reader, promises)
    reader.close()
    again = source.sample(sorted(promises.acknowledged), min(3, len(promises.acknowledged)))
    for identity, outcome in zip(again, journal.write([[promises.acknowledged[i]] for i in again]), strict=True):
        if outcome != Committed(()):
            yield f"{identity}, sent again, gives {outcome}"


def _broken_readings(stored: dict[str, ReadingRow], promises: Promises) -> Iterator[str]:
    for identity, row in promises.acknowledged.items():
        if identity not in stored:
            yield f"{identity} was acknowledged and is lost"
        elif stored[identity].values != row.values:
            yield f"{identity} has other values than were acknowledged"
    for identity in sorted(promises.guesses - stored.keys()):
        yield f"{identity} was rebuilt and is lost"


def _broken_history(reader: JournalReader, stored: dict[str, ReadingRow], source: random.Random) -> Iterator[str]:
    device = next(itertools.islice(stored.values(), source.randrange(len(stored)), None)).device if stored else ""
    history = [item.row for item in reader.history(device, sys.maxsize)]
    of_device = {identity: row for identity, row in stored.items() if row.device == device}
    if len(history) != len(of_device) or {row.identity: row for row in history} != of_device:
        yield f"the history of {device} is not what the log has of it"


def _is_guess(row: ReadingRow) -> bool:
    return row.values.get(REASON) == REBUILT


def _broken_security(reader: JournalReader, promises: Promises) -> Iterator[str]:
    if reader.era():
        yield "the journal begins an era: every device would have to prove that it is fresh"
    windows, default = reader.replay_windows()
    for name, counters in promises.counters.items():
        if windows.get(name, default) is None:
            yield f"{name}: it has spoken, and would have to prove that it is fresh"
        for counter in counters:
            if _would_accept(windows.get(name, default), counter):
                yield f"{name}: the message with Partial IV {counter} would be accepted a second time"
    reserved, start = reader.reservations()
    for name, sequence in promises.sealed.items():
        if reserved.get(name, start) <= sequence:
            yield f"{name}: sequence number {sequence} has sealed, and would be used again"


def _would_accept(window: Window, counter: int) -> bool:
    if window is None:
        return False
    behind = window[0] - counter
    return behind < 0 or (behind < OSCORE_WINDOW and not window[1] >> behind & 1)


def _integrity(path: Path) -> str:
    db = apsw.Connection(str(path))
    try:
        return str(db.execute("PRAGMA integrity_check").get)
    finally:
        db.close()
