"""Where the control socket of a site is. Who asks the gateway needs no more of it than this."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path


def socket_path(journal: Path) -> Path:
    """Return where the gateway of a journal listens."""
    return journal.with_name("control.sock")


@contextlib.contextmanager
def reachable(path: Path) -> Generator[str]:
    """Yield an address for `path` however long that is: a socket's own name has room for 108 bytes (unix(7)).

    Raises:
        OSError: its folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
