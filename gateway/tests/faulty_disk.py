"""A disk that fails when the test says so, under SQLite: a VFS whose files raise what the operating system would."""

import contextlib
import ctypes
import errno
import itertools
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import apsw
import pytest

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


@contextlib.contextmanager
def without_mmap() -> Generator[None]:
    """Let SQLite have no shared memory, as on a file system whose files cannot be mapped (mmap(2), ENODEV)."""
    errno_of = ctypes.CDLL(None).__errno_location
    errno_of.restype = ctypes.POINTER(ctypes.c_int)
    signature = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)

    def refuse(*_arguments: object) -> int | None:
        errno_of()[0] = errno.ENODEV
        return ctypes.c_void_p(-1).value  # MAP_FAILED

    kept = ctypes.CFUNCTYPE(ctypes.c_void_p, *signature)(refuse)
    unix = apsw.VFS(f"unmapped{next(_numbers)}", "unix")
    unix.xSetSystemCall("mmap", ctypes.cast(kept, ctypes.c_void_p).value)
    try:
        yield
    finally:
        unix.xSetSystemCall("mmap", 0)  # the one it had


@contextlib.contextmanager
def small_file_system(folder: Path, size: str) -> Generator[Path]:
    """Make `folder` a file system of its own, of `size` such as "1m", if this user may mount one."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


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
