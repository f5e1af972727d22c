"""Takes out of a damaged journal what can be read, into a fresh one that takes its place.

The damaged file is set aside under a dated name and not touched. Into the fresh one go

    tables of state    row by row from the first and from the last one, up to where each is damaged
    the log            the same, and what lies between from the leaf pages themselves (`store.raw_pages`)
    the schema         if it is damaged, from the spare pages (`store.spare`)

What the file knew of replay windows and sender sequence numbers is not believed, for a lost page may have held newer
ones: a new *era* begins (`store.meta`), as after a restore. Readings that are lost were acknowledged, and are counted,
as far as anybody can tell; `health` says so until an operator has seen it.
"""

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import apsw
import cbor2

from pave_gateway.store import files, meta, raw_pages, snapshots, spare, swap
from pave_gateway.store.devices import CLASSES
from pave_gateway.store.errors import JournalError

_log = logging.getLogger(__name__)

_MAX_32 = 2**32
_DEVICE_COLUMNS = 16
_READING_COLUMNS = 12
_OWN_TABLES = ("meta", "device", "reading")  # handled one by one
_MEND_CHAINS = """
UPDATE reading SET previous = coalesce(chain.previous, 0)
FROM (SELECT position, lag(position) OVER (PARTITION BY device, class ORDER BY position) AS previous FROM reading) chain
WHERE chain.position = reading.position AND coalesce(chain.previous, 0) <> reading.previous
"""
_MEND_REPLACED = """
UPDATE reading SET replaced = 0 WHERE replaced;
UPDATE reading SET replaced = 1
FROM (SELECT device, epoch, seq, max(position) AS newest FROM reading GROUP BY 1, 2, 3 HAVING count(*) > 1) twice
WHERE (reading.device, reading.epoch, reading.seq) = (twice.device, twice.epoch, twice.seq) AND position < newest
"""
_UNKNOWN_ERA = 64  # when nobody can tell, far ahead of any era that there can have been
_READ_ERRORS = (apsw.Error, UnicodeDecodeError)


def salvage(path: Path, why: str) -> None:
    """Replace the damaged journal at `path`, which nobody has open, by a fresh one with all that can be read.

    Raises:
        JournalError: the disk refuses; the damaged journal is as it was.
    """
    _log.error("journal %s is damaged (%s): salvaging what can be read", path, why)
    fresh = swap.next_of(path).with_name(swap.next_of(path).name + ".partial")
    try:
        for suffix in ("", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        found = _fill(fresh, path)
        swap.sync(fresh)
        fresh.replace(swap.next_of(path))
        aside = swap.adopt_next(path)
    except OSError as error:
        raise JournalError(
            f"journal {path}: {why}; it cannot be salvaged: {error.strerror}; free some space"
        ) from error
    except apsw.Error as error:
        raise JournalError(f"journal {path}: {why}; it cannot be salvaged: {error}; free some space") from error
    _log.error("journal %s: %s; the damaged file is %s", path, found, aside)


def _fill(fresh: Path, damaged: Path) -> str:
    """Make the fresh journal; return what came of it."""
    new: Any = files.open_writer(fresh)
    try:
        new.execute("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF")  # it is synced whole, before it gets its name
        with new, _opened(damaged) as old:
            incomplete = [table for table in _tables(new) if not _copy_table(old, new, table)]
            was = _meta_of(old)
            names_complete = _copy_devices(old, new, damaged)
            if not _copy_log(old, new, damaged, was) or not names_complete:
                new.execute(_MEND_CHAINS)
                new.execute(_MEND_REPLACED)
                incomplete.append("reading")
            text = _put_meta(new, damaged, was, incomplete)
            snapshots.rebuild(new)
        new.execute("PRAGMA journal_mode=DELETE")
    finally:
        new.close()
    return text


@contextlib.contextmanager
def _opened(path: Path) -> Generator[Any]:
    """Open the damaged journal, with its spare pages if it has to be; give None if that does not help."""
    kept = spare.load(path)
    disk = spare.SpareDisk(path, kept) if kept else None
    db = _connect(path, None) or (_connect(path, disk.name) if disk else None)
    try:
        yield db
    finally:
        _close(db)
        if disk is not None:
            disk.unregister()


def _connect(path: Path, vfs: str | None) -> Any:
    """Return a connection that can read the schema, None if there is no such."""
    db: Any = None
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
        db.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except _READ_ERRORS:
        _close(db)
        return None
    return db


def _close(db: Any) -> None:
    with contextlib.suppress(apsw.Error):  # the file is what it is
        if db is not None:
            db.close()


# Tables of state


def _tables(new: Any) -> list[str]:
    named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [name for (name,) in new.execute(named) if name not in _OWN_TABLES]


def _copy_table(old: Any, new: Any, table: str) -> bool:
    """Copy what can be read; return whether that is all."""
    columns = new.execute(f"PRAGMA table_info({table})").fetchall()
    has_rowid = new.execute("SELECT NOT wr FROM pragma_table_list WHERE name = ?1", (table,)).get
    keys = ["rowid"] if has_rowid else [name for _, name, *_, key in sorted(columns, key=_key_order) if key]
    insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(columns))})"
    return _from_both_ends(old, table, keys, lambda row: _insert(new, insert, row))


def _key_order(column: tuple[Any, ...]) -> int:
    return column[-1]


def _insert(new: Any, insert: str, row: tuple[Any, ...]) -> None:
    with contextlib.suppress(apsw.ConstraintError):  # what a damaged page gave is no row of this table
        new.execute(insert, row)


def _from_both_ends(old: Any, table: str, keys: list[str], take: Callable[[tuple[Any, ...]], None]) -> bool:
    """Call `take` for the rows that can be read, from the first on, then from the last; return whether for all."""
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        try:
            for row in old.execute(f"SELECT * FROM {table} ORDER BY {order}"):
                take(row)
        except (*_READ_ERRORS, AttributeError):  # there is no `old`
            continue
        return direction == "ASC"
    return False


# Devices and the log


def _copy_devices(old: Any, new: Any, damaged: Path) -> bool:
    """Take the names of the devices; what is known of each is made anew from the log."""
    names: dict[int, str] = {}

    def take(row: Sequence[Any]) -> None:
        if isinstance(row[0], int) and isinstance(row[1], str):
            names.setdefault(row[0], row[1])

    is_complete = _from_both_ends(old, "device", ["id"], take)
    if not is_complete:
        for number, values in raw_pages.rows(damaged, files.PAGE_BYTES, _DEVICE_COLUMNS):
            take([number, *values[1:]])
    new.executemany(snapshots.INSERT_NEW, sorted(names.items()))
    return is_complete


def _copy_log(old: Any, new: Any, damaged: Path, was: dict[str, int]) -> bool:
    """Take the readings; return whether all could be read."""
    swept = [was.get(f"swept {name}", 0) for name in CLASSES]
    numbers = {number for (number,) in new.execute("SELECT id FROM device")}
    insert = f"INSERT OR IGNORE INTO reading VALUES ({', '.join('?' * _READING_COLUMNS)})"
    rejected = 0

    def take(row: Sequence[Any]) -> None:
        nonlocal rejected
        if _is_reading(row, numbers) and row[0] > swept[row[4]]:  # pages that are free hold what has been removed
            new.execute(insert, row)
        else:
            rejected += 1

    if _from_both_ends(old, "reading", ["position"], take):
        return not rejected
    known = "SELECT 1 FROM reading WHERE position = ?1"
    wanted: Callable[[int], bool] = lambda position: new.execute(known, (position,)).get is None  # noqa: E731
    for position, values in raw_pages.rows(damaged, files.PAGE_BYTES, _READING_COLUMNS, wanted):
        take([position, *values[1:]])
    return False


def _is_reading(row: Sequence[Any], numbers: set[int]) -> bool:
    """Say whether this can have been a row of the log."""
    *integers, counter, previous, body, replaced = row
    is_whole = all(isinstance(value, int) for value in (*integers, previous, replaced))
    if not is_whole or not isinstance(counter, int | None):
        return False
    position, device, epoch, seq, class_number, received_ms, _, synchronized = integers
    if device not in numbers or not 0 <= class_number < len(CLASSES) or not {synchronized, replaced} <= {0, 1}:
        return False
    if position < 1 or not 0 <= previous < position or received_ms < 0 or not (0 <= epoch < _MAX_32 > seq >= 0):
        return False
    try:
        return isinstance(body, bytes) and isinstance(cbor2.loads(body), dict)
    except (cbor2.CBORDecodeError, UnicodeDecodeError):
        return False


# What the fresh journal says of itself


def _put_meta(new: Any, damaged: Path, was: dict[str, int], incomplete: list[str]) -> str:
    """Begin an era; return what was found."""
    kept: int = new.execute("SELECT count(*) FROM reading").get
    last: int = max(new.execute("SELECT max(position) FROM reading").get or 0, was.get("floor", 0))
    stored = max(kept, last - was.get("skipped", 0))
    lost = max(0, stored - was.get("removed", 0) - kept)
    remembered = spare.load(damaged)
    eras = [was["era"]] if "era" in was else []
    eras += [remembered.era] if remembered else []
    for key in ("expiry_ms", "marked_ms"):
        meta.put(new, key, was.get(key, 0))
    meta.put(new, "era", max(eras, default=_UNKNOWN_ERA))
    meta.put(new, "floor", last)
    meta.begin_era(new)
    meta.put(new, "skipped", meta.number(new, "floor") - stored)
    meta.put(new, "removed", stored - kept)
    text = f"the journal was damaged; {kept} readings were salvaged, some {lost} are lost"
    text += f", incomplete: {', '.join(incomplete)}" if incomplete else ""
    text += "; check the disk, and see the damaged file that lies beside it under a dated name"
    meta.put(new, "damaged", text)
    return text


def _meta_of(old: Any) -> dict[str, int]:
    found: dict[str, int] = {}

    def take(row: tuple[Any, ...]) -> None:
        with contextlib.suppress(ValueError, TypeError):
            found[row[0]] = int(row[1])

    _from_both_ends(old, "meta", ["rowid"], take)
    return found
