"""Reads a journal that a `Journal` has open, from the same or another thread or process, without ever blocking it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apsw
import cbor2

from pave_gateway.core import limits
from pave_gateway.core.rows import StoredReading
from pave_gateway.store import chains, dead_letter_tables, log, meta, snapshots, state_tables
from pave_gateway.store import usage as usages
from pave_gateway.store.dead_letter_tables import DeadLetter
from pave_gateway.store.devices import Window
from pave_gateway.store.errors import DamagedError, JournalError, journal_error
from pave_gateway.store.retention import Policy
from pave_gateway.store.usage import Usage

_T = TypeVar("_T")


class JournalReader:
    """Everything raises JournalError when the file cannot be read."""

    def __init__(self, path: Path, damaged: Callable[[str], None] = lambda found: None) -> None:
        """Raise JournalError when `path` cannot be read. `damaged` is told of damage: `Journal.report_damage`."""
        self._path = path
        self._damaged = damaged
        self._open()

    def read(self, of_family: Callable[..., _T], *arguments: object) -> _T:
        """Return what a family's reader function finds, called with a read-only apsw connection and `arguments`.

        Damage is told of, so that it is salvaged.
        """
        return self._reading(lambda: of_family(self._db, *arguments))

    def read_rows(self, of_family: Callable[[Any], Iterator[_T]]) -> list[_T]:
        """Return all rows that a family's reader function yields."""
        return self._reading(lambda: list(of_family(self._db)))

    @property
    def connection(self) -> Any:
        """The read-only apsw connection. Ask for it anew each time; damage that shows here is told to nobody."""
        self._follow_file()
        return self._db

    def after(self, position: int, max_rows: int) -> list[StoredReading]:
        """Return the readings that follow `position` in the log, at most `max_rows`."""
        sql = f"{log.FROM_LOG} WHERE r.position > ?1 ORDER BY r.position LIMIT ?2"
        return self._reading(lambda: [log.stored_reading(row) for row in self._db.execute(sql, (position, max_rows))])

    def all(self) -> Iterator[list[StoredReading]]:
        """Yield the whole log in batches, oldest first."""
        batch = self.after(0, limits.REBUILD_BATCH_ROWS)
        while batch:
            yield batch
            batch = self.after(batch[-1].position, limits.REBUILD_BATCH_ROWS)

    def history(self, device: str, max_rows: int, before: int = sys.maxsize) -> list[StoredReading]:
        """Return the newest readings of one device, newest first, at most `max_rows`, with positions below `before`."""
        return self._reading(lambda: chains.newest(self._db, device, max_rows, before))

    def last_position(self) -> int:
        """Return the position of the newest reading, 0 in an empty log."""
        return self._reading(lambda: self._db.execute("SELECT max(position) FROM reading").get) or 0

    def stored(self) -> int:
        """Return how many readings were ever taken into the log, see `store.usage`."""
        return self._reading(lambda: usages.stored(self._db))

    def behind(self, position: int) -> int:
        """Return how many readings of the log are behind `position`, see `store.usage`."""
        return self._reading(lambda: usages.behind(self._db, position))

    def cursor(self, sink: str) -> int:
        """Return how far the back-end of `sink` has accepted the log."""
        return self._reading(lambda: state_tables.cursor(self._db, sink))

    def usage(self, policy: Policy) -> Usage:
        """Return how much the journal holds, and how many hours of backlog still fit."""
        return self._reading(lambda: usages.usage(self._db, policy.sinks, policy.cap_bytes))

    def era(self) -> int:
        """Return how often the file may have become older than what devices saw; see `store.meta`."""
        return self._reading(lambda: meta.number(self._db, "era"))

    def replay_windows(self) -> tuple[dict[str, Window], Window]:
        """Return {device: its OSCORE replay window}, and that of a device which is not in it: None.

        None is a window that nobody knows: the device has to prove that its next request is fresh (RFC 8613, B.1.2).
        """
        devices = self._reading(lambda: snapshots.load(self._db))
        return {device.name: device.window for device in devices}, None

    def reservations(self) -> tuple[dict[str, int], int]:
        """Return {device: the OSCORE sender sequence number to start from}, and that of a device not in it."""
        return self._reading(lambda: state_tables.reservations(self._db))

    def reservation(self, device: str) -> int:
        """Return the OSCORE sender sequence number to start from with one device."""
        return self._reading(lambda: state_tables.reservation(self._db, device))

    def dead_letters(self, sink: str) -> int:
        """Return how many readings the back-end of `sink` refused for good."""
        return self._reading(lambda: dead_letter_tables.count(self._db, sink))

    def dead_letter_page(self, sink: str, after: int, max_rows: int) -> list[DeadLetter]:
        """Return at most `max_rows` dead letters of a sink, with positions above `after`, oldest first."""
        return self._reading(lambda: dead_letter_tables.page(self._db, sink, after, max_rows))

    def due_letters(self, sink: str, max_rows: int) -> list[DeadLetter]:
        """Return at most `max_rows` dead letters that a sink is to offer again, oldest first."""
        return self._reading(lambda: dead_letter_tables.due(self._db, sink, max_rows))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _reading(self, read: Callable[[], _T]) -> _T:
        try:
            self._follow_file()
            return read()
        except apsw.Error as error:
            raise self._told(journal_error(self._path, error)) from error
        except cbor2.CBORDecodeError as error:
            raise self._told(DamagedError(f"journal {self._path}: it is damaged: a body is {error}")) from error
        except UnicodeDecodeError as error:
            raise self._told(DamagedError(f"journal {self._path}: it is damaged: a text is {error}")) from error

    def _told(self, error: JournalError) -> JournalError:
        if isinstance(error, DamagedError):
            self._damaged(str(error))
        return error

    def _open(self) -> None:
        try:
            self._file = _identity(self._path)
            self._db: Any = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
        except apsw.Error as error:
            raise journal_error(self._path, error) from error

    def _follow_file(self) -> None:
        """Open the journal that has taken the place of this one, if a salvage has put one there."""
        if self._file != _identity(self._path):
            self._db.close()
            self._open()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


__all__ = ["JournalError", "JournalReader"]
