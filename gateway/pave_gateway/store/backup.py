"""Copies of the journal: taken while the gateway runs, put back while it does not.

A backup is one file: the journal as of one instant, checked whole by `PRAGMA integrity_check`, which takes its name
only when it is complete. It says of itself that it is a copy. A gateway that opens a copy begins a new *era*
(`store.meta`): devices may have been told things that the copy does not know. So replay windows are lost, and each
device proves once that it is fresh; the gateway draws another ID towards its devices, and with it new keys, so one
backup may be restored on several cards; LoRaWAN devices join again. A copy put in place by other means than `restore`
is recognized as well.

    backup:  journal -> TO.partial, checked -> TO
    restore: BACKUP -> JOURNAL.next, checked -> `swap.adopt_next`: JOURNAL set aside under a dated name, then replaced
"""

import shutil
from pathlib import Path
from typing import Any

import apsw

from pave_gateway.core import limits
from pave_gateway.store import files, meta, swap
from pave_gateway.store.errors import JournalError, journal_error


def backup(path: Path, to: Path, force: bool = False) -> int:
    """Copy the journal at `path`, in use or not, to the file `to`; return its size in bytes.

    Raises:
        JournalError: `to` exists and `force` is not set; it cannot be written; the journal cannot be read.
    """
    _refuse_no_place(to)
    _refuse_to_overwrite(to, force)
    partial = to.with_name(to.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        _copy_pages(path, partial)
        _check_copy(partial)
        swap.sync(partial)
        partial.replace(to)
        swap.sync(to.parent)
    except OSError as error:
        raise JournalError(f"backup {to}: {error.strerror}; name a file in a folder that you may write") from error
    finally:
        partial.unlink(missing_ok=True)
    return to.stat().st_size


def restore(source: Path, path: Path, force: bool = False) -> None:
    """Make the backup `source` the journal at `path`. The gateway must not run.

    With `force` a journal that is there is set aside under a dated name.

    Raises:
        JournalError: `source` is no sound backup; a gateway runs; `path` exists and `force` is not set.
    """
    with files.lock(path):
        _refuse_to_overwrite(path, force)
        following = swap.next_of(path)
        partial = following.with_name(following.name + ".partial")
        try:
            shutil.copyfile(source, partial)
            _check_copy(partial)
            swap.sync(partial)
            partial.replace(following)
            swap.adopt_next(path)
        except OSError as error:
            raise JournalError(f"restore {source}: {error.strerror}; name a backup, and a folder with room") from error
        finally:
            partial.unlink(missing_ok=True)


def _refuse_no_place(to: Path) -> None:
    """Refuse what SQLite would refuse under the name of the partial file."""
    if to.is_dir():
        raise JournalError(f"backup {to}: it is a folder; name a file in it, such as {to / 'journal.backup'}")
    folder = to.parent
    if not folder.exists():
        raise JournalError(f"backup {to}: there is no folder {folder}; make it, or name a file in another")
    if not folder.is_dir():
        raise JournalError(f"backup {to}: {folder} is a file, and has to be a folder; name a file in another")


def _refuse_to_overwrite(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise JournalError(f"{path} exists; name another file, or say --force to replace it")


def _copy_pages(path: Path, to: Path) -> None:
    """Copy all pages within one read transaction: the gateway goes on writing."""
    if not path.exists():
        raise JournalError(f"journal {path}: no such file; check journal.path")
    try:
        source: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        source.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
    except apsw.Error as error:
        raise journal_error(path, error) from error
    try:
        copy: Any = apsw.Connection(str(to))
        with copy.backup("main", source, "main") as pages:
            pages.step(-1)
        copy.close()
    except apsw.Error as error:
        raise JournalError(f"backup {to}: SQLite: {error}; name a file in a folder with room") from error
    finally:
        source.close()


def _check_copy(path: Path) -> None:
    """See that a copy is a sound journal, in one file, and that it says that it is a copy."""
    try:
        db: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.execute("PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL")
            found: str = db.execute("PRAGMA integrity_check(1)").get
            version = meta.number(db, "schema")
            meta.put(db, "copy", 1)
        finally:
            db.close()
    except apsw.Error as error:
        raise JournalError(f"backup {path}: it is no sound journal (SQLite: {error}); use another") from error
    if found != "ok" or not 1 <= version <= files.SCHEMA_VERSION:
        raise JournalError(f"backup {path}: schema {version}, integrity: {found}; use another")
