"""Brings the write-ahead log into the file: after `limits.WAL_PAGES` pages, between two commits.

Not within a commit, as SQLite would: nobody waits for this one. It is passive, so a reader that looks at an old state
is not disturbed; what it needs stays in the log until later. The log's file keeps its size and is written anew from
its beginning, which costs the file system nothing.
"""

from typing import Any

import apsw

from pave_gateway.core import limits
from pave_gateway.store.health import Health


class Checkpoints:
    """Those of one connection."""

    def __init__(self, db: Any, health: Health) -> None:
        """Take over from SQLite's own."""
        self._db = db
        self._health = health
        self._pages = 0  # in the log, after the newest commit
        self._tried = 0  # of them, at the last attempt
        db.set_wal_hook(self._committed)

    def tend(self) -> None:
        """Bring over what is due."""
        if self._pages - self._tried < limits.WAL_PAGES:
            return
        self._tried = self._pages
        try:
            pages, _ = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._health.behind = f"the write-ahead log cannot be brought into the journal (SQLite: {error})"
            return
        held = pages > limits.WAL_PAGES_TOO_MANY
        self._health.behind = f"a reader holds {pages} pages in the write-ahead log; close that program" if held else ""

    def _committed(self, _db: Any, _name: str, pages: int) -> int:
        if pages < self._pages:  # the log begins anew
            self._tried = 0
        self._pages = pages
        return apsw.SQLITE_OK
