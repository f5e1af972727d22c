"""A disk that fails when the test says so, under SQLite: a VFS whose files raise what the operating system would."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import apsw

_numbers = itertools.count()


def full(name: str, operation: str) -> None:
    """No space: every write fails."""
    if operation == "write":
        raise apsw.exception_for(apsw.SQLITE_FULL)


def broken(name: str, operation: str) -> None:
    """Every operation is an I/O error."""
    if operation == "open":
        raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
    codes = {"write": apsw.SQLITE_IOERR_WRITE, "sync": apsw.SQLITE_IOERR_FSYNC, "read": apsw.SQLITE_IOERR_READ}
    raise apsw.exception_for(codes[operation])


def broken_sync(name: str, operation: str) -> None:
    """Writes seem to succeed; that they are on the disk cannot be had."""
    if operation == "sync":
        raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)


def broken_checkpoint(name: str, operation: str) -> None:
    """The write-ahead log works, the file itself does not."""
    if operation in ("write", "sync") and not name.endswith("-wal"):
        raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)


def read_only(name: str, operation: str) -> None:
    """What a file system does after errors: files that are open fail, others open for reading only."""
    if operation == "open":
        raise PermissionError
    if operation == "write":
        raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)


def slow(seconds: float) -> Callable[[str, str], None]:
    """Every sync takes this long."""
    return lambda name, operation: time.sleep(seconds) if operation == "sync" else None


class FaultyDisk(apsw.VFS):
    """Assign `fault`, a function of (file, "open" | "read" | "write" | "sync"), to make it fail, None to mend it."""

    def __init__(self) -> None:
        """Register under a name of its own, `name`."""
        self.name = f"faulty{next(_numbers)}"
        self.fault: Callable[[str, str], None] | None = None
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "FaultyFile":  # noqa: N802
        try:
            if self.fault is not None:
                self.fault(str(name), "open")
        except PermissionError:
            flags[0] = flags[0] & ~(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) | apsw.SQLITE_OPEN_READONLY
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    """One file on it."""

    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._meet("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._meet("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._meet("sync")
        super().xSync(flags)

    def _meet(self, operation: str) -> None:
        if self._disk.fault is not None:
            self._disk.fault(self._name, operation)
