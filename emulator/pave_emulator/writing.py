"""Files that are written: errors that name them, for whoever has to make room, and those that may hold keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raise the OSErrors of what is done within with the name of this file, where they have none."""
    try:
        yield
    except OSError as error:
        raise error if error.filename else OSError(error.errno, error.strerror, str(path)) from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file that may hold keys: mode 0600, also where one that others could read stood before."""
    with writing(path), open(path, "wb", opener=_private) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o600)
        file.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
