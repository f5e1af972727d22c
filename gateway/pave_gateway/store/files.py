"""The journal's file: who may write it, how it is opened, what its tables are.

WAL with `synchronous=FULL`: COMMIT returns after the write-ahead log is on stable storage. Pages of 1 KiB: a commit of
a few readings touches one page of the log and one of each table with a row in it, and each costs a page and 24 bytes in
the WAL. Measured at 17 readings/s, 4 to a commit: 1.7 kB written per reading, 2.2 with pages of 4 KiB, which also
make every row of another table four times as dear. SQLite relies on a write changing no byte outside itself
(https://sqlite.org/psow.html), as file systems on block devices provide.

An advisory lock on `<journal>.lock` keeps a second gateway out; the kernel drops it when the holder dies, however it
dies. It lies beside the file itself, whatever links lead there.
"""

import fcntl
import logging
import os
from pathlib import Path
from typing import IO, Any

import apsw

from pave_gateway.core import limits
from pave_gateway.core.instant import iso_utc
from pave_gateway.store import log, meta, migrate, snapshots, spare, swap, tables, usage
from pave_gateway.store.errors import NO_SHARED_MEMORY, DamagedError, JournalError, journal_error

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
PAGE_BYTES = 1024
_INCREMENTAL = 2  # auto_vacuum: pages that retention frees can be given back, see `store.retention`


def lock(path: Path) -> IO[str]:
    """Take the journal at `path` for this process.

    Raises:
        JournalError: another gateway has it, or its folder cannot be used.
    """
    path = Path(os.path.realpath(path))  # the same journal through a link is the same journal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise JournalError(
            f"journal {path}: {error.strerror}; check journal.path and the owner of its folder"
        ) from error
    try:
        fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        taken.close()
        raise JournalError(
            f"journal {path}: another gateway has it open; stop that one or change journal.path"
        ) from error
    return taken


def open_writer(path: Path, vfs: str | None = None) -> Any:
    """Return a connection that writes the journal at `path`; a new one gets its tables.

    Raises:
        JournalError: no permission, not a database, damaged, or made by another version.
    """
    try:
        swap.adopt_next(path)
        db: Any = apsw.Connection(str(path), vfs=vfs)
        try:
            db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise journal_error(path, error) from error
    except OSError as error:
        raise JournalError(f"journal {path}: {error.strerror}; check the owner of its folder") from error
    return db


def schema() -> str:
    """Return the statements that make all tables."""
    return meta.SCHEMA + snapshots.SCHEMA + log.SCHEMA + usage.SCHEMA + tables.schema()


def _prepare(db: Any, path: Path) -> None:
    """Set the modes and make the tables of a new journal; a newer version's is refused before anything is written."""
    is_new = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get is None
    version = SCHEMA_VERSION if is_new else _version(db, path)
    if not 1 <= version <= SCHEMA_VERSION:
        raise JournalError(f"journal {path}: schema {version}, this version knows {SCHEMA_VERSION}; run the newer Pavé")
    db.execute("PRAGMA synchronous=EXTRA")  # a rollback journal that came back after a power cut would undo it all
    if is_new:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}; PRAGMA auto_vacuum={_INCREMENTAL}")
    _set_modes(db, path)
    if is_new:
        with db:
            db.execute(schema())
            meta.put(db, "schema", SCHEMA_VERSION)
    if version == 1:
        migrate.from_1(db, path, schema())
    if meta.text(db, "copy"):
        with db:
            kept = spare.load(path)
            meta.put(db, "era", max(meta.number(db, "era"), kept.era if kept else 0))
            meta.begin_era(db)
            meta.remove(db, "copy")
        _log.warning(
            "journal %s: it is a restored copy, as of %s: every device has to prove that it is fresh, and one that was"
            " retired since is in use again", path, iso_utc(meta.as_of_ms(db)),
        )  # fmt: skip
    if db.execute("PRAGMA page_size").get != PAGE_BYTES:
        migrate.reshape(db, path, PAGE_BYTES, _INCREMENTAL)
        _set_modes(db, path)


def _version(db: Any, path: Path) -> int:
    try:
        return meta.number(db, "schema")
    except ValueError as error:
        raise DamagedError(f"journal {path}: its version is {meta.text(db, 'schema')!r}") from error


def _set_modes(db: Any, path: Path) -> None:
    if db.execute("PRAGMA journal_mode=WAL").get != "wal":
        raise JournalError(f"journal {path}: {NO_SHARED_MEMORY}")
    db.execute(
        "SELECT 1 FROM sqlite_schema"
    ).fetchall()  # maps shared memory: within a transaction SQLite hides why not
    db.execute("PRAGMA synchronous=FULL")
