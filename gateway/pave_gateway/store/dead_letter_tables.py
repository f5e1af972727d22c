"""Dead letters: readings that a back-end refused for good, each with a copy of its own.

So neither retention nor a lost log takes them away. A letter leaves when an operator has it driven again and the
back-end takes it, or when an operator gives it up.

    DeadLetterRow -> held -- RedriveRow --> due -- RedrivenRow --> gone
                      ^                      |
                      +---- DeadLetterRow ---+      DiscardRow: gone, from either
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2

from pave_gateway.core.rows import DeadLetterRow, DiscardRow, ReadingRow, RedrivenRow, RedriveRow

SCHEMA = """
CREATE TABLE dead_letter (
    sink TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    due INTEGER NOT NULL DEFAULT 0,  -- 1: to be offered again
    device TEXT,                     -- from here on the reading; NULL if it was gone before it was refused
    epoch INTEGER,
    seq INTEGER,
    class TEXT,
    received_ms INTEGER,
    read_ms INTEGER,
    body BLOB,
    counter INTEGER,
    synchronized INTEGER,
    PRIMARY KEY (sink, position)
) STRICT, WITHOUT ROWID;
"""
_CLASS = "CASE r.class WHEN 0 THEN 'alarm' WHEN 1 THEN 'presence' WHEN 2 THEN 'health' ELSE 'diagnostics' END"
_COPY = (
    f"SELECT d.name, r.epoch, r.seq, {_CLASS}, r.received_ms, r.received_ms - r.age_ms, r.body, r.counter,"
    " r.synchronized FROM reading r JOIN device d ON d.id = r.device WHERE r.position = ?1"
)
_NOTHING = (None,) * 9
_COLUMNS = "position, reason, due, device, epoch, seq, class, received_ms, read_ms, body, counter, synchronized"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter. `due`: it waits to be offered again. `reading` is None if it was gone when the letter was written."""

    position: int
    reason: str
    due: bool
    reading: ReadingRow | None


def count(db: Any, sink: str) -> int:
    """Return how many letters a sink has."""
    return db.execute("SELECT count(*) FROM dead_letter WHERE sink = ?1", (sink,)).get


def page(db: Any, sink: str, after: int, max_rows: int) -> list[DeadLetter]:
    """Return at most `max_rows` letters of a sink, with positions above `after`, oldest first."""
    return _letters(db, "position > ?2", (sink, after, max_rows))


def due(db: Any, sink: str, max_rows: int) -> list[DeadLetter]:
    """Return at most `max_rows` letters that a sink is to offer again, oldest first."""
    return _letters(db, "due = ?2", (sink, 1, max_rows))


def _letters(db: Any, condition: str, bindings: Sequence[int | str]) -> list[DeadLetter]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE sink = ?1 AND {condition} ORDER BY position LIMIT ?3", bindings
    )
    return [DeadLetter(position, reason, bool(is_due), _reading(rest)) for position, reason, is_due, *rest in rows]


def _reading(fields: Sequence[Any]) -> ReadingRow | None:
    if fields[0] is None:
        return None
    device, epoch, seq, reading_class, received_ms, read_ms, body, counter, synchronized = fields
    values = cbor2.loads(body)
    return ReadingRow(
        device, epoch, seq, reading_class, received_ms, read_ms, values, counter, bool(synchronized)
    )  # fmt: skip


def _fields(row: ReadingRow) -> tuple[Any, ...]:
    return (
        row.device, row.epoch, row.seq, row.reading_class, row.received_ms, row.read_ms, cbor2.dumps(row.values),
        row.counter, row.synchronized,
    )  # fmt: skip


def _add(db: Any, row: DeadLetterRow) -> None:
    reading = _fields(row.reading) if row.reading else db.execute(_COPY, (row.position,)).get or _NOTHING
    db.execute(
        "INSERT INTO dead_letter VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (sink, position) DO UPDATE SET reason = excluded.reason, due = 0",
        (row.sink, row.position, row.reason, *reading),
    )


def _redrive(db: Any, row: RedriveRow) -> str | None:
    db.execute("UPDATE dead_letter SET due = 1 WHERE sink = ?1 AND position = ?2", (row.sink, row.position))
    return _missing(db, row)


def _remove(db: Any, row: RedrivenRow | DiscardRow) -> str | None:
    db.execute("DELETE FROM dead_letter WHERE sink = ?1 AND position = ?2", (row.sink, row.position))
    return _missing(db, row)


def _missing(db: Any, row: RedriveRow | RedrivenRow | DiscardRow) -> str | None:
    return None if db.changes() else f"sink {row.sink} has no dead letter at position {row.position}"


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    DeadLetterRow: _add,
    RedriveRow: _redrive,
    RedrivenRow: _remove,
    DiscardRow: _remove,
}
