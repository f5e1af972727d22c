"""The log of readings: how a reading is a row, and how rows are written and read.

Rows are only ever appended, and the table has no index but its position, so the readings of a commit share a page or
two. Positions are given by the writer: 1, 2, 3, ... without gaps; only a restore or a salvage skips some. Whether a
reading is in the log already is known from `store.devices`; what that cannot answer is looked up along the chains of
its device.

    LogWriter.check(rows)   new readings, or who contradicts what; writes nothing
    LogWriter.append(new)   positions, chains, windows; kept for `flush`
    LogWriter.append_next   both at once, for a device's next reading: nearly every one is
    LogWriter.flush()       all of the transaction in as few statements as there can be
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import cbor2

from pave_gateway.core import limits
from pave_gateway.core.rows import ReadingRow, ReplayRow, StoredReading, Value
from pave_gateway.store.devices import CLASS_NUMBERS, CLASSES, Device, Devices, Found

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
    body BLOB NOT NULL              -- CBOR map: name to value, SI units
) STRICT;
"""
COLUMNS = "r.position, d.name, r.epoch, r.seq, r.class, r.received_ms, r.age_ms, r.synchronized, r.counter, r.body"
FROM_LOG = f"SELECT {COLUMNS} FROM reading r JOIN device d ON d.id = r.device"
_CHAIN = """
WITH RECURSIVE chain (position, previous, epoch, seq, body, step) AS (
    SELECT position, previous, epoch, seq, body, 1 FROM reading WHERE position IN (?1, ?2, ?3, ?4)
    UNION ALL
    SELECT r.position, r.previous, r.epoch, r.seq, r.body, step + 1
    FROM chain c JOIN reading r ON r.position = c.previous
    WHERE c.step < ?7
    ORDER BY 1 DESC
)
SELECT body FROM chain WHERE epoch = ?5 AND seq = ?6 LIMIT 1
"""
_FIELDS = 11
_INSERTS = {
    rows: "INSERT INTO reading VALUES " + ", ".join(["(" + ", ".join("?" * _FIELDS) + ")"] * rows)
    for rows in (limits.ROWS_PER_INSERT, 8, 1)
}

New = tuple[ReadingRow, bytes]  # a reading that is not in the log, and its body


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
        """Return those of `rows` that are not in the log, each once. Nothing is changed.

        Raises:
            Contradiction: one has other values than the log, or than another of `rows`, under its identity.
            ValueError: a class or a value that the log cannot hold.
        """
        new: list[New] = []
        bodies: dict[tuple[str, int, int], bytes] = {}
        for row in rows:
            if row.reading_class not in CLASS_NUMBERS:
                raise ValueError(f"class {row.reading_class!r} of {row.identity}; use one of {', '.join(CLASSES)}")
            known = self._known(row, bodies)
            if known is None:
                body = _body(row)
                new.append((row, body))
                if len(rows) > 1:
                    bodies[row.device, row.epoch, row.seq] = body
            elif known and not _same(cbor2.loads(known), row.values):
                raise Contradiction(row.identity)
        return new

    def append(self, new: Sequence[New]) -> tuple[StoredReading, ...]:
        """Give positions to readings that `check` found to be new."""
        return tuple(self._append_new(row, body) for row, body in new)

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

    def _append_new(self, row: ReadingRow, body: bytes) -> StoredReading:
        device = self._devices.changing(row.device)
        number = CLASS_NUMBERS[row.reading_class]
        previous = device.heads[number]
        device.add(row.epoch, row.seq, number, self.position + 1, row.counter)
        return self._append(device, number, previous, row, body)

    def _append(self, device: Device, number: int, previous: int, row: ReadingRow, body: bytes) -> StoredReading:
        self.position = position = self.position + 1
        received_ms = row.received_ms
        self._rows.append((
            position, device.id, row.epoch, row.seq, number, received_ms, received_ms - row.read_ms, row.synchronized,
            row.counter, previous, body,
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

    def _known(self, row: ReadingRow, bodies: dict[tuple[str, int, int], bytes]) -> bytes | None:
        """Return the body under the identity of `row`, None if it is new, b"" if retention took the body away.

        `bodies` are those of the group, which nobody has appended yet.
        """
        key = (row.device, row.epoch, row.seq)
        if bodies and key in bodies:
            return bodies[key]
        device = self._devices.get(row.device)
        found = Found.NEW if device is None else device.find(row.epoch, row.seq)
        if device is None or found is Found.NEW:
            return None
        body = self._look_up(device, row)
        return b"" if body is None and found is Found.SEEN else body

    def _look_up(self, device: Device, row: ReadingRow) -> bytes | None:
        self.flush()  # a chain may begin with a reading of this transaction
        return self._db.execute(_CHAIN, (*device.heads, row.epoch, row.seq, limits.CHAIN_STEPS)).get


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


def _same(known: dict[str, Value], offered: dict[str, Value]) -> bool:
    """Compare values; a boolean is no number here, though Python says that True == 1."""
    return known == offered and all(isinstance(known[name], bool) == isinstance(offered[name], bool) for name in known)
