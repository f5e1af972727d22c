"""Looks for damage in a journal that is in use."""

from pathlib import Path
from typing import Any

import apsw

from pave_gateway.core import limits
from pave_gateway.store.errors import journal_error


def quick_check(path: Path) -> str:
    """Return the first thing that is wrong with the structure of the file, "" if nothing is.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        db: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
            found: str = db.execute("PRAGMA quick_check(1)").get
        finally:
            db.close()
    except apsw.Error as error:
        raise journal_error(path, error) from error
    return "" if found == "ok" else found
