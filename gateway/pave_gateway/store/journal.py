"""The journal: one SQLite file that holds the log of readings and how far each sink has come.

Write-ahead log with `synchronous=FULL`: COMMIT returns after the WAL is on stable storage, so what is committed
survives a kill and a power cut. One connection writes (`Journal`), in one thread; others read (`JournalReader`)
without ever blocking it. Positions are 1, 2, 3, ... without gaps: a repeated reading is found before the insert,
which would otherwise burn a number. A group is checked whole before any of it is inserted, so one that contradicts
the log leaves no trace.

An advisory lock on `<journal>.lock` keeps a second gateway out; the kernel drops it when the holder dies, however it
dies. It lies beside the file itself, whatever links lead there.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import apsw

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Conflicted, Row
from pave_gateway.core.rows import CursorRow, DeadLetterRow, ReadingRow, StoredReading, Value

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE reading (
    position INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: never reused, even when old rows are removed
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    read_ms INTEGER NOT NULL,
    body TEXT NOT NULL,                          -- JSON object: name to value, SI units
    UNIQUE (device, epoch, seq)
) STRICT;
CREATE TABLE sink_cursor (sink TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letter (
    sink TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (sink, position)
) STRICT;
"""

_BODY_OF = "SELECT body FROM reading WHERE device = ?1 AND epoch = ?2 AND seq = ?3"
_INSERT_READING = """
INSERT INTO reading (device, epoch, seq, class, received_ms, read_ms, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
RETURNING position
"""
_SET_CURSOR = """
INSERT INTO sink_cursor (sink, position) VALUES (?1, ?2)
ON CONFLICT (sink) DO UPDATE SET position = max(position, excluded.position)
"""
_ADD_DEAD_LETTER = "INSERT OR IGNORE INTO dead_letter (sink, position, reason) VALUES (?1, ?2, ?3)"


class JournalError(Exception):
    """The journal cannot be opened, read or written; the message says why and what to do."""


class Journal:
    """The one writer. Use it from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating it and its folder if missing.

        Raises:
            JournalError: no permission, not a database, made by a newer version, or in use by another gateway.
        """
        self.path = path
        self._lock = _lock(path)
        try:
            self._db: Any = _open(path)
        except BaseException:
            self._lock.close()
            raise

    def write(self, groups: Sequence[Sequence[Row]]) -> list[Committed | Conflicted]:
        """Commit all `groups` in one transaction; return what came of each. Nothing is written of one in conflict.

        Raises:
            JournalError: nothing of it was committed.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                outcomes = [self._write_group(group) for group in groups]
                self._db.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise
        except apsw.Error as error:
            raise JournalError(explain(self.path, error)) from error
        return outcomes

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        self._lock.close()

    def _rollback(self) -> None:
        if self._db.in_transaction:  # SQLite has rolled back by itself after a full disk
            self._db.execute("ROLLBACK")

    def _write_group(self, group: Sequence[Row]) -> Committed | Conflicted:
        new = self._new_readings([row for row in group if isinstance(row, ReadingRow)])
        if isinstance(new, Conflicted):
            return new
        for row in group:
            if isinstance(row, CursorRow):
                self._db.execute(_SET_CURSOR, (row.sink, row.position))
            elif isinstance(row, DeadLetterRow):
                self._db.execute(_ADD_DEAD_LETTER, (row.sink, row.position, row.reason))
        return Committed(tuple(StoredReading(self._insert(row), row) for row in new))

    def _new_readings(self, rows: Sequence[ReadingRow]) -> list[ReadingRow] | Conflicted:
        """Return those of `rows` that are not in the log, each once, or the first that contradicts it or another."""
        new: dict[str, ReadingRow] = {}
        for row in rows:
            known = new[row.identity].values if row.identity in new else self._values_of(row)
            if known is None:
                new[row.identity] = row
            elif not _same(known, row.values):
                return Conflicted(row.identity)
        return list(new.values())

    def _values_of(self, row: ReadingRow) -> dict[str, Value] | None:
        body: Any = self._db.execute(_BODY_OF, (row.device, row.epoch, row.seq)).get
        return None if body is None else json.loads(body)

    def _insert(self, row: ReadingRow) -> int:
        body = json.dumps(row.values, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        fields = (row.device, row.epoch, row.seq, row.reading_class, row.received_ms, row.read_ms, body)
        return int(self._db.execute(_INSERT_READING, fields).get)


class JournalReader:
    """Reads a journal that a `Journal` has open, from the same or another thread or process."""

    def __init__(self, path: Path) -> None:
        """Raise JournalError when `path` cannot be read."""
        self._path = path
        try:
            self._db: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
        except apsw.Error as error:
            raise JournalError(explain(path, error)) from error

    def after(self, position: int, max_rows: int) -> list[StoredReading]:
        """Return the readings that follow `position` in the log, at most `max_rows`."""
        rows = self._rows(
            "SELECT position, device, epoch, seq, class, received_ms, read_ms, body FROM reading "
            "WHERE position > ?1 ORDER BY position LIMIT ?2",
            (position, max_rows),
        )
        return [_stored(row) for row in rows]

    def all(self) -> Iterator[list[StoredReading]]:
        """Yield the whole log in batches, oldest first."""
        batch = self.after(0, limits.REBUILD_BATCH_ROWS)
        while batch:
            yield batch
            batch = self.after(batch[-1].position, limits.REBUILD_BATCH_ROWS)

    def last_position(self) -> int:
        """Return the position of the newest reading, 0 in an empty log: also the number of readings stored so far."""
        return _integer(self._rows("SELECT max(position) FROM reading", ())[0][0]) or 0

    def cursor(self, sink: str) -> int:
        """Return how far the back-end of `sink` has accepted the log."""
        rows = self._rows("SELECT position FROM sink_cursor WHERE sink = ?1", (sink,))
        return int(rows[0][0]) if rows else 0

    def dead_letters(self, sink: str) -> int:
        """Return how many readings the back-end of `sink` refused for good."""
        return int(self._rows("SELECT count(*) FROM dead_letter WHERE sink = ?1", (sink,))[0][0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, sql: str, bindings: tuple[int | str, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise JournalError(explain(self._path, error)) from error


def explain(path: Path, error: apsw.Error) -> str:
    """Return what an SQLite error means for the operator, and the next step."""
    meanings: list[tuple[type[apsw.Error], str]] = [
        (apsw.FullError, "the disk is full; free some space, the gateway goes on trying"),
        (apsw.BusyError, "another program holds it locked; close that program (a database browser?)"),
        (apsw.LockedError, "another program holds it locked; close that program (a database browser?)"),
        (apsw.ReadOnlyError, "it is read-only; check its owner and the file system"),
        (apsw.CantOpenError, "it cannot be opened; check that the folder exists and is writable"),
        (apsw.NotADBError, "it is not a journal; move it away or name another in journal.path"),
        (apsw.CorruptError, "it is damaged; move it and its -wal file away and keep them for repair"),
        (apsw.IOError, "the disk reports an error; check its health"),
    ]
    meaning = next((text for kind, text in meanings if isinstance(error, kind)), "unexpected; see the SQLite message")
    return f"journal {path}: {meaning} (SQLite: {error})"


def _lock(path: Path) -> IO[str]:
    path = Path(os.path.realpath(path))  # the same journal through a link is the same journal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise JournalError(
            f"journal {path}: {error.strerror}; check journal.path and the owner of its folder"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise JournalError(
            f"journal {path}: another gateway has it open; stop that one or change journal.path"
        ) from error
    return lock


def _open(path: Path) -> Any:
    try:
        db: Any = apsw.Connection(str(path))
        try:
            db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise JournalError(explain(path, error)) from error
    return db


def _prepare(db: Any, path: Path) -> None:
    """Set the modes and make the tables of a new journal; a newer version's is refused before anything is written."""
    is_new = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get is None
    version = str(SCHEMA_VERSION) if is_new else db.execute("SELECT value FROM meta WHERE key = 'schema'").get
    if version != str(SCHEMA_VERSION):
        raise JournalError(f"journal {path}: schema {version}, this version knows {SCHEMA_VERSION}; run the newer Pavé")
    if db.execute("PRAGMA journal_mode=WAL").get != "wal":
        raise JournalError(f"journal {path}: this file system has no shared memory for SQLite; put it on a local disk")
    db.execute("PRAGMA synchronous=FULL")
    if is_new:
        with db:
            db.execute(_SCHEMA)
            db.execute("INSERT INTO meta VALUES ('schema', ?1)", (version,))


def _same(known: dict[str, Value], offered: dict[str, Value]) -> bool:
    """Compare values; a boolean is no number here, though Python says that True == 1."""
    return known == offered and all(isinstance(known[name], bool) == isinstance(offered[name], bool) for name in known)


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _stored(row: tuple[Any, ...]) -> StoredReading:
    position, device, epoch, seq, reading_class, received_ms, read_ms, body = row
    values = json.loads(body)
    return StoredReading(position, ReadingRow(device, epoch, seq, reading_class, received_ms, read_ms, values))
