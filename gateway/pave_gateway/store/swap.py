"""Puts one journal in the place of another, so that a crash at any point leaves one of them whole.

A journal that takes the place of another (a restored one, a salvaged one) is first made complete as `<journal>.next`.
While a file of that name is there, what bears the journal's own name is the old one, and `adopt_next` sets it aside; so
a crash at any point is made good by the next opening.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def next_of(path: Path) -> Path:
    """Return the name of the journal that is to take the place of the one at `path`."""
    return path.with_name(path.name + ".next")


def adopt_next(path: Path) -> Path | None:
    """Put `<journal>.next` in place, if it is there; return the name under which the old journal was set aside.

    Raises:
        OSError: a file cannot be renamed; the next call goes on from there.
    """
    path = Path(os.path.realpath(path))
    following = next_of(path)
    if not following.exists():
        return None
    aside = _dated(path, following.stat().st_mtime)
    for suffix in ("-wal", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    sync(path.parent)
    following.replace(path)
    sync(path.parent)
    return aside


def _dated(path: Path, time_s: float) -> Path:
    """Return a name beside `path` that is free."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time_s))
    names = (path.with_name(f"{path.name}.{stamp}{more}") for more in _suffixes())
    return next(name for name in names if not name.exists())


def _suffixes() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in itertools.count(2))
