"""What a fault of the journal's file means for the operator."""

import errno
from collections.abc import Iterator
from pathlib import Path

import apsw


class JournalError(Exception):
    """The journal cannot be opened, read or written; the message says why and what to do."""


class DamagedError(JournalError):
    """The file is damaged: what it holds can only be salvaged."""


class NoRoomError(JournalError):
    """The disk is full: what failed will do once there is room."""


_LOCKED = "another program holds it locked; close that program (a database browser?)"
_FULL = "the disk is full; free some space, the gateway goes on trying"
_NO_ROOM = (apsw.SQLITE_IOERR_SHMSIZE,)  # of I/O errors: no 32 KiB for `<journal>-shm`
_NO_SHARED_MEMORY = (apsw.SQLITE_IOERR_SHMMAP, apsw.SQLITE_IOERR_SHMOPEN, apsw.SQLITE_IOERR_SHMLOCK)
NO_SHARED_MEMORY = "its file system has no shared memory for SQLite; put the journal on a local disk"
_NO_ROOM_ERRNO = (errno.ENOSPC, errno.EDQUOT)
_MEANINGS: list[tuple[type[apsw.Error], str]] = [
    (apsw.FullError, _FULL),
    (apsw.BusyError, _LOCKED),
    (apsw.LockedError, _LOCKED),
    (apsw.ReadOnlyError, "it is read-only; check its owner and the file system"),
    (apsw.CantOpenError, "it cannot be opened; check that the folder exists and is writable"),
    (apsw.NotADBError, "it is not a journal; move it away or name another in journal.path"),
    (apsw.CorruptError, "it is damaged; what can be read will be salvaged"),
    (apsw.IOError, "the disk reports an error; check its health"),
]
PASSING = (apsw.FullError, apsw.BusyError, apsw.LockedError)  # the connection is as good as it was before
OF_ONE_GROUP = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)  # not of the disk


def explain(path: Path, error: apsw.Error) -> str:
    """Return what an SQLite error means for the operator, and the next step."""
    meaning = _FULL if lacks_room(error) else _meaning(error)
    return f"journal {path}: {meaning} (SQLite: {error})"


def _meaning(error: apsw.Error) -> str:
    if getattr(error, "extendedresult", 0) in _NO_SHARED_MEMORY:
        return NO_SHARED_MEMORY
    return next((text for kind, text in _MEANINGS if isinstance(error, kind)), "unexpected; see the SQLite message")


def journal_error(path: Path, error: apsw.Error) -> JournalError:
    """Return `error` in the operator's terms."""
    if isinstance(error, apsw.CorruptError):
        return DamagedError(explain(path, error))
    return (NoRoomError if lacks_room(error) else JournalError)(explain(path, error))


def lacks_room(error: BaseException) -> bool:
    """Say whether `error`, or what it was raised from, is that the disk is full."""
    return any(_is_full(cause) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM_ERRNO
    return isinstance(error, NoRoomError | apsw.FullError) or getattr(error, "extendedresult", 0) in _NO_ROOM
