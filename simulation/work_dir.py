"""The folder a run leaves its images, logs and journal in. Only what an earlier run made is ever removed."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

NEEDED_BYTES = 300_000_000  # 54 flash images of 4 MiB that are not holes, and room for logs
_MARK = ".pave-demo"


class WorkDirError(Exception):
    """The folder cannot be used; the message says why and what to do."""


def take_work_dir(path: Path) -> IO[str]:
    """Make or empty `path` for one run; return the open mark, whose lock keeps other runs out while it is open.

    Raises:
        WorkDirError: it holds what no run of ours made, another run uses it, or there is no room.
        OSError: it cannot be made or written.
    """
    mark = path / _MARK
    if path.exists() and any(path.iterdir()) and not mark.exists():
        raise WorkDirError(f"{path} holds other things than a demo's. Next: name an empty folder with --work-dir")
    path.mkdir(parents=True, exist_ok=True)
    lock = mark.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise WorkDirError(
            f"{path} is in use by another run. Next: stop that, or name another with --work-dir"
        ) from None
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != mark:
            entry.unlink()
    free_bytes = shutil.disk_usage(path).free
    if free_bytes < NEEDED_BYTES:
        lock.close()
        raise WorkDirError(
            f"{path} has {free_bytes // 1_000_000} MB free; a run needs {NEEDED_BYTES // 1_000_000}. "
            "Next: free some, or name another folder with --work-dir"
        )
    return lock
