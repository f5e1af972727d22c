"""Looks for damage in a journal: at its opening in the tables of state, in all of it while it is in use."""

from pathlib import Path
from typing import Any

import apsw

from pave_gateway.core import limits
from pave_gateway.store.errors import DamagedError, journal_error

_STATE = """
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'reading' ORDER BY name
"""


def look_through_state(path: Path, db: Any) -> None:
    """Look at every page of every table but the log, which a start does not read whole.

    Raises:
        DamagedError: one is damaged.
        apsw.Error: one cannot be read.
    """
    for (table,) in db.execute(_STATE).fetchall():
        found: str = db.execute(f"PRAGMA quick_check({table})").fetchall()[0][0]
        if found != "ok":
            raise DamagedError(f"journal {path}: it is damaged: table {table}: {found.splitlines()[-1]}")


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
