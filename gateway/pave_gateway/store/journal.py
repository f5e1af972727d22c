"""The journal: one SQLite file with the log of readings, the state that admitted them, and all else that must last.

One connection writes (`Journal`), in one thread; others read (`JournalReader`) without ever blocking it. Rows come in
groups; `write` commits several groups in one transaction, each as a whole or not at all:

    group -> its readings checked against the log    -> contradiction -> Conflicted, nothing of it written
          -> rows of the families written            -> out of date   -> Outdated, those undone by a savepoint
          -> readings appended, replay windows taken -> Committed, once the transaction is

What the writer knows (`store.devices`, the last position) follows the transaction: kept when COMMIT returns, brought
back when it fails. After an error of the disk it is read anew from the file, through a new connection, for the file may
hold the transaction all the same.

Between commits the writer calls `tend`: it brings the write-ahead log into the file (a checkpoint), removes what has
to go (`store.retention`) and, while the disk fails, tries whether it works again.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from pave_gateway.core.committer import CommitFailed, Committed, Conflicted, Outcome, Outdated, Row
from pave_gateway.core.registry_rows import ForgetReplayRow
from pave_gateway.core.rows import ReadingRow, ReplayRow
from pave_gateway.store import checks, files, meta, snapshots, spare, tables
from pave_gateway.store.checkpoint import Checkpoints
from pave_gateway.store.errors import OF_ONE_GROUP, PASSING, DamagedError, journal_error, lacks_room
from pave_gateway.store.errors import JournalError as JournalError
from pave_gateway.store.health import Health
from pave_gateway.store.log import Contradiction, LogWriter
from pave_gateway.store.reader import JournalReader as JournalReader
from pave_gateway.store.retention import Policy, Retention
from pave_gateway.store.salvage import salvage

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_WindowRow = ReplayRow | ForgetReplayRow

_NEWEST = "SELECT max(position) FROM reading"


class Journal:
    """The one writer. Use it from one thread at a time."""

    def __init__(self, path: Path, policy: Policy | None = None, vfs: str | None = None) -> None:
        """Open `path`, creating it and its folder if missing.

        Args:
            path: The file; its write-ahead log and its lock lie beside it.
            policy: What to keep, and what to do when the disk has no room for more.
            vfs: Name of SQLite's way to the disk.

        Raises:
            JournalError: no permission, not a database, made by a newer version, or in use by another gateway.
        """
        self.path = path
        self.health = Health()
        self.is_stale = False  # what is in memory may differ from the file: it will be opened again
        self.damages = 0  # how often damage was found since it was opened
        self.lacks_room = False  # the newest transaction failed since the disk is full
        self._damage = ""  # what somebody found wrong with the file: it is to be salvaged
        self._policy = policy or Policy()
        self._vfs = vfs
        self._writers: dict[type, tables.Writer] = {**tables.writers(), **meta.WRITERS}
        self._lock = files.lock(path)
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise

    def write(self, groups: Sequence[Sequence[Row]]) -> list[Outcome]:
        """Commit all `groups` in one transaction; return what came of each.

        Raises:
            JournalError: nothing of it was committed.
        """
        return self._transaction(lambda: [self._next_reading(group) or self._write_group(group) for group in groups])

    def tend(self, now_ms: int | None) -> bool:
        """Do a bounded part of what the file needs from time to time; return whether there is more.

        `now_ms` is milliseconds since 1970, None while the clock cannot be trusted. `health` says what goes wrong.
        """
        try:
            if self.health.failing or self.is_stale:
                self.write([[meta.ProbeRow()]])
            if self.health.damaged:
                self.health.damaged = meta.text(self._db, "damaged") or ""
            self._checkpoints.tend()
            if not self._retention.is_due(self._log.position, now_ms):
                return False
            self._transaction(lambda: self._retention.step(self._log.position, now_ms))
            self._retention.commit()
        except apsw.Error as error:  # of what is read outside of a transaction
            _log.debug("%s", self._failed(journal_error(self.path, error), not isinstance(error, PASSING)))
            return False
        except JournalError as error:
            _log.debug("%s", error)  # `health` has it
            return False
        return True

    def check(self) -> None:
        """Look for damage, in a thread of its own: reads the whole file, some seconds per gigabyte.

        What it finds is salvaged by the writer, at its next transaction.
        """
        try:
            found = checks.quick_check(self.path)
        except DamagedError as error:
            found = str(error)
        except JournalError as error:
            _log.warning("%s; it could not be checked", error)
            return
        if found:
            self.report_damage(found)

    def report_damage(self, found: str) -> None:
        """Have the file salvaged at the next transaction. From any thread."""
        self._damage = found
        self.damages += 1
        self.is_stale = True

    def close(self) -> None:
        """Close the file and let another process have it; the next start has nothing to read again."""
        try:
            self._transaction(lambda: self._snapshots.flush_all(self._log.position))
        except JournalError as error:
            _log.warning("%s; the next start takes longer", error)
        self._db.close()
        self._lock.close()

    def _open(self) -> None:
        """Open the file; a damaged one is salvaged first."""
        if self._damage:
            salvage(self.path, self._damage)
            self._damage = ""
        try:
            spare.look_for(self.path)
            self._load()
        except DamagedError as error:
            salvage(self.path, str(error))
            self._load()

    def _load(self) -> None:
        self._db: Any = files.open_writer(self.path, self._vfs)
        try:
            checks.look_through_state(self.path, self._db)
            self._devices = snapshots.load(self._db)
            position = max(self._db.execute(_NEWEST).get or 0, meta.number(self._db, "floor"))
            self._retention = Retention(self._db, self._policy, self.health)
            self.health.damaged = meta.text(self._db, "damaged") or ""
            spare.keep(self._db, self.path)
        except apsw.Error as error:
            self._db.close()
            raise journal_error(self.path, error) from error
        except DamagedError:
            self._db.close()
            raise
        self._log = LogWriter(self._db, self._devices, position)
        self._snapshots = snapshots.Snapshots(self._db, self._devices)
        self._checkpoints = Checkpoints(self._db, self.health)
        self.is_stale = False

    def _transaction(self, work: Callable[[], _T]) -> _T:
        """Commit what `work` writes; nothing of it, if it or the disk fails."""
        try:
            if self.is_stale:
                self._db.close()
                self._open()
            changes = self._db.total_changes()
            result = self._committed(work)
        except apsw.Error as error:
            raise self._failed(journal_error(self.path, error), not isinstance(error, PASSING)) from error
        except JournalError as error:
            self._failed(error, True)
            raise
        if self._db.total_changes() > changes:  # a repetition succeeds on a full disk, too
            self.health.failing, self.lacks_room = "", False
        return result

    def _failed(self, error: JournalError, is_stale: bool) -> JournalError:
        self.is_stale = is_stale
        self.health.failing, self.lacks_room = str(error), lacks_room(error)
        if isinstance(error, DamagedError):
            self._damage = str(error)
            self.damages += 1
        return error

    def _committed(self, work: Callable[[], _T]) -> _T:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._log.flush()
            self._snapshots.flush(self._log.position)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._log.commit()
        self._snapshots.commit()
        self._devices.commit()
        return result

    def _roll_back(self) -> None:
        self._log.roll_back()
        self._snapshots.roll_back()
        self._devices.roll_back()
        if self._db.in_transaction:  # SQLite has rolled back by itself after a full disk
            self._db.execute("ROLLBACK")

    def _next_reading(self, group: Sequence[Row]) -> Outcome | None:
        """Take what nearly every group is, in half the time: a device's next reading, and the window it gives."""
        if len(group) != 2 or self._retention.is_closing:
            return None
        reading, replay = group
        if not isinstance(reading, ReadingRow) or not isinstance(replay, ReplayRow):
            return None
        try:
            stored = self._log.append_next(reading, replay)
        except ValueError as error:
            return CommitFailed(f"journal {self.path}: {error}")
        return None if stored is None else Committed((stored,))

    def _write_group(self, group: Sequence[Row]) -> Outcome:
        readings, windows, others = _sorted(group)
        try:
            new = self._log.check(readings)
        except Contradiction as error:
            return Conflicted(str(error))
        except ValueError as error:
            return CommitFailed(f"journal {self.path}: {error}")
        refused = self._retention.refusal(new) or (self._write_others(others) if others else None)
        if refused is not None:
            return refused
        stored = self._log.append(new)
        for row in windows:
            self._take_window(row)
        return Committed(stored)

    def _take_window(self, row: _WindowRow) -> None:
        """Store a window that the log does not give."""
        window = (row.highest, row.seen) if isinstance(row, ReplayRow) else None
        device = self._devices.get(row.device)
        if window != (None if device is None else device.window):
            device = self._devices.changing(row.device)
            device.window = window
            device.changed = True
            self._snapshots.must_write(device)

    def _write_others(self, rows: Sequence[Row]) -> Outcome | None:
        """Write rows of the families, all or none; return why none."""
        self._log.flush()  # they see the log as it is before their group
        self._db.execute("SAVEPOINT one_group")
        refused = self._first_refusal(rows)
        if refused is not None:
            self._db.execute("ROLLBACK TO one_group")
        self._db.execute("RELEASE one_group")
        return refused

    def _first_refusal(self, rows: Sequence[Row]) -> Outcome | None:
        for row in rows:
            writer = self._writers.get(type(row))
            if writer is None:
                return CommitFailed(f"journal {self.path}: no family writes {type(row).__name__}; see store.tables")
            try:
                outdated = writer(self._db, row)
            except OF_ONE_GROUP as error:
                return CommitFailed(f"journal {self.path}: {row!r} cannot be stored: {error}")
            if outdated is not None:
                return Outdated(outdated)
        return None


def _sorted(group: Sequence[Row]) -> tuple[list[ReadingRow], list[_WindowRow], list[Row]]:
    """Return the rows of a group by who takes them."""
    readings: list[ReadingRow] = []
    windows: list[_WindowRow] = []
    others: list[Row] = []
    for row in group:
        if isinstance(row, ReadingRow):
            readings.append(row)
        elif isinstance(row, ReplayRow | ForgetReplayRow):
            windows.append(row)
        else:
            others.append(row)
    return readings, windows, others
