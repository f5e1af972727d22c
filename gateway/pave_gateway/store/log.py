"""The log of readings: how a reading is a row, and how rows are written and read.

Rows are only ever appended, and the table has no index but its position, so the readings of a commit share a page or
two. Positions are given by the writer: 1, 2, 3, ... without gaps; only a restore or a salvage skips some. Whether a
reading is in the log already is known from `store.devices`; what that cannot answer is looked up along the chains of
its device. What is known under its identity is compared as `pave_wire.event.same_reading` does.

A reading rebuilt from another (`pave_wire.event.rebuild_previous`) is a guess, and gives way to the real one:

    position   41  seq 7  rebuilt   <- marked as replaced, in the transaction that appends 58; never changed otherwise
               58  seq 7  real      every sink delivers it behind 41, under the same key, so it overwrites there

Both stay in the log, for what was derived from the guess must be derived again from the same rows. Only of these two
the newer counts: for comparisons and in a device's history. A guess under an identity that has a reading is a
repetition. A guess that retention took counts as the reading: that is as old, and is not asked for any more.

    LogWriter.check(rows)   new readings, or who contradicts what; writes nothing
    LogWriter.append(new)   positions, chains, windows; kept for `flush`
    LogWriter.append_next   both at once, for a device's next reading: nearly every one is
    LogWriter.flush()       all of the transaction in as few statements as there can be
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import cbor2

from pave_gateway.core import limits
from pave_gateway.core.rows import ReadingRow, ReplayRow, StoredReading, Value
from pave_gateway.store.devices import CLASS_NUMBERS, CLASSES, Device, Devices, Found
from pave_gateway.store.errors import DamagedError
from pave_wire.event import REBUILT, same_reading
from pave_wire.reading import REASON, Reading

SCHEMA = """
CREATE TABLE reading (
    position INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,        -- id of the device table
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class INTEGER NOT NULL,         -- 0 alarm, 1 presence, 2 health, 3 diagnostics
    received_ms INTEGER NOT NULL,
    age_ms INTEGER NOT NULL,        -- received_ms less when it was measured
    synchronized INTEGER NOT NULL,  -- whether the clock could be trusted
    counter INTEGER,                -- OSCORE Partial IV that brought it
    previous INTEGER NOT NULL,      -- position of the reading before, of this device and class; 0 for none
    body BLOB NOT NULL,             -- CBOR map: name to value, SI units
    replaced INTEGER NOT NULL       -- 1: it was rebuilt from another, and the real one came later
) STRICT;
"""
COLUMNS = "r.position, d.name, r.epoch, r.seq, r.class, r.received_ms, r.age_ms, r.synchronized, r.counter, r.body"
FROM_LOG = f"SELECT {COLUMNS} FROM reading r JOIN device d ON d.id = r.device"
_CHAIN = """
WITH RECURSIVE chain (position, previous, epoch, seq, body, replaced, step) AS (
    SELECT position, previous, epoch, seq, body, replaced, 1 FROM reading WHERE position IN (?1, ?2, ?3, ?4)
    UNION ALL
    SELECT r.position, r.previous, r.epoch, r.seq, r.body, r.replaced, step + 1
    FROM chain c JOIN reading r ON r.position = c.previous
    WHERE c.step < ?7
    ORDER BY 1 DESC
)
SELECT position, body, replaced FROM chain WHERE epoch = ?5 AND seq = ?6 LIMIT 1
"""
_REPLACE = "UPDATE reading SET replaced = 1 WHERE position = ?1"
_FIELDS = 12
_INSERTS = {
    rows: "INSERT INTO reading VALUES " + ", ".join(["(" + ", ".join("?" * _FIELDS) + ")"] * rows)
    for rows in (limits.ROWS_PER_INSERT, 8, 1)
}

_Key = tuple[str, int, int]  # device, epoch, seq


class New(NamedTuple):
    """A reading that is not in the log, its body, and the position of the guess that it replaces; 0 for none."""

    row: ReadingRow
    body: bytes
    replaces: int = 0


class _Known(NamedTuple):
    """What the log or the group has under an identity: `New.replaces` of what replaces it; None if it is gone."""

    replaces: int
    values: dict[str, Value] | None


class Contradiction(Exception):  # noqa: N818 - a state, not a defect
    """The log has, or the group gives, other values under this identity."""


class LogWriter:
    """Appends to the log, within transactions that the journal opens and ends."""

    def __init__(self, db: Any, devices: Devices, position: int) -> None:
        """`position` is the last one given."""
        self.position = position
        self._db = db
        self._devices = devices
        self._committed_position = position
        self._rows: list[tuple[Any, ...]] = []  # appended, not yet written

    def check(self, rows: Sequence[ReadingRow]) -> list[New]:
        """Return those of `rows` that are not in the log or replace a guess, each once. Nothing is changed.

        Raises:
            Contradiction: one has other values than the log, or than another of `rows`, under its identity.
            ValueError: a class or a value that the log cannot hold.
            DamagedError: a body of the log is none.
        """
        new: dict[_Key, New] = {}
        for row in rows:
            if row.reading_class not in CLASS_NUMBERS:
                raise ValueError(f"class {row.reading_class!r} of {row.identity}; use one of {', '.join(CLASSES)}")
            key = (row.device, row.epoch, row.seq)
            known = self._known(row, new.get(key))
            if known is None or (known.values is not None and _replaces(row, known.values)):
                new[key] = New(row, _body(row), 0 if known is None else known.replaces)
        return list(new.values())

    def append(self, new: Sequence[New]) -> tuple[StoredReading, ...]:
        """Give positions to readings that `check` found to be new."""
        return tuple(self._append_new(item) for item in new)

    def append_next(self, row: ReadingRow, replay: ReplayRow) -> StoredReading | None:
        """Append a reading above all others of its device, if it gives the window that came with it; None if not."""
        device = self._devices.get(row.device)
        number = CLASS_NUMBERS.get(row.reading_class)
        if device is None or number is None:
            return None
        body = _body(row)
        self._devices.change(device)
        previous = device.heads[number]
        if not device.add_next(row, replay, number, self.position + 1):
            return None
        return self._append(device, number, previous, row, body)

    def _append_new(self, new: New) -> StoredReading:
        row = new.row
        if new.replaces:
            self._db.execute(_REPLACE, (new.replaces,))  # written before: it was found there
        device = self._devices.changing(row.device)
        number = CLASS_NUMBERS[row.reading_class]
        previous = device.heads[number]
        device.add(row.epoch, row.seq, number, self.position + 1, row.counter)
        return self._append(device, number, previous, row, new.body)

    def _append(self, device: Device, number: int, previous: int, row: ReadingRow, body: bytes) -> StoredReading:
        self.position = position = self.position + 1
        received_ms = row.received_ms
        self._rows.append((
            position, device.id, row.epoch, row.seq, number, received_ms, received_ms - row.read_ms, row.synchronized,
            row.counter, previous, body, 0,
        ))  # fmt: skip
        return StoredReading(position, row)

    def flush(self) -> None:
        """Write what was appended."""
        rows, start = self._rows, 0
        for size, insert in _INSERTS.items():
            while len(rows) - start >= size:
                self._db.execute(insert, tuple(chain.from_iterable(rows[start : start + size])))
                start += size
        self._rows = []

    def commit(self) -> None:
        """Hear that the transaction is durable."""
        self._committed_position = self.position

    def roll_back(self) -> None:
        """Hear that nothing of the transaction is."""
        self.position = self._committed_position
        self._rows = []

    def _known(self, row: ReadingRow, in_group: New | None) -> _Known | None:
        """Return what there is under the identity of `row`, None if it is new; the group may have it already."""
        if in_group is not None:
            return _Known(in_group.replaces, in_group.row.values)
        device = self._devices.get(row.device)
        found = Found.NEW if device is None else device.find(row.epoch, row.seq)
        if device is None or found is Found.NEW:
            return None
        known = self._look_up(device, row)
        return _Known(0, None) if known is None and found is Found.SEEN else known

    def _look_up(self, device: Device, row: ReadingRow) -> _Known | None:
        self.flush()  # a chain may begin with a reading of this transaction
        found = self._db.execute(_CHAIN, (*device.heads, row.epoch, row.seq, limits.CHAIN_STEPS)).get
        if found is None:
            return None
        position, body, is_replaced = found
        if is_replaced:  # retention took what replaced it
            return _Known(position, None)
        try:
            return _Known(position, cbor2.loads(body))
        except cbor2.CBORDecodeError as error:
            raise DamagedError(f"journal: the body of reading {position} is damaged ({error})") from error


def _body(row: ReadingRow) -> bytes:
    try:
        return cbor2.dumps(row.values)
    except cbor2.CBOREncodeError as error:
        raise ValueError(f"values of {row.identity}: {error}") from error


def stored_reading(row: tuple[Any, ...]) -> StoredReading:
    """Return the reading in a row of `FROM_LOG`."""
    return _stored_reading(*row)


def _stored_reading(
    position: int, device: str, epoch: int, seq: int, class_number: int, received_ms: int, age_ms: int,
    synchronized: int, counter: int | None, body: bytes,
) -> StoredReading:  # fmt: skip
    values: dict[str, Value] = cbor2.loads(body)
    name, read_ms = CLASSES[class_number], received_ms - age_ms
    row = ReadingRow(device, epoch, seq, name, received_ms, read_ms, values, counter, bool(synchronized))
    return StoredReading(position, row)


def _replaces(row: ReadingRow, known: dict[str, Value]) -> bool:
    """Return whether `row` takes the place of what is `known` under its identity; False if it repeats that.

    Raises:
        Contradiction: neither.
    """
    if row.values.get(REASON) == REBUILT or _same(row, known):
        return False
    if known.get(REASON) != REBUILT:
        raise Contradiction(row.identity)
    return True


def _same(row: ReadingRow, known: dict[str, Value]) -> bool:
    """Compare values; a boolean is no number here, though Python says that True == 1."""
    offered = row.values
    if any(isinstance(known[name], bool) != isinstance(offered[name], bool) for name in known.keys() & offered.keys()):
        return False
    stored = Reading(row.device, row.epoch, row.seq, 0, known)
    return same_reading(stored, Reading(row.device, row.epoch, row.seq, 0, offered))
