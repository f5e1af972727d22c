"""Tables of what the gateway thought of its clock, and of what it knew of the bays at a position of the log."""

from collections.abc import Callable, Iterator
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.bays import BayRow, BaysMarkRow
from pave_gateway.core.instant import ClockRow

SCHEMA = """
CREATE TABLE clock_change (
    number INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,      -- of the newest reading then
    boot TEXT NOT NULL,
    offset_ms INTEGER NOT NULL,
    synchronized INTEGER NOT NULL
) STRICT;
CREATE TABLE bay (
    place TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;
CREATE TABLE bays_mark (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
"""


def clock_changes(db: Any) -> Iterator[ClockRow]:
    """Yield every change, in the order written: what `core.instant.ClockLog` is made of."""
    for position, boot, offset_ms, synchronized in db.execute(
        "SELECT position, boot, offset_ms, synchronized FROM clock_change ORDER BY number"
    ):
        yield ClockRow(position, boot, offset_ms, bool(synchronized))


def forget_clock_changes(db: Any, oldest_position: int) -> None:
    """Remove what no reading from `oldest_position` on needs. For the journal's compaction, in its transaction."""
    db.execute(
        "DELETE FROM clock_change WHERE number <"
        " (SELECT max(number) FROM clock_change WHERE position < ?1) - 1",  # one more: `ClockLog` looks one back
        (oldest_position,),
    )


def bays(db: Any) -> Iterator[BayRow]:
    """Yield what `core.bays.Bays.restore` takes, with `bays_position`."""
    for fields in db.execute("SELECT place, position, state FROM bay ORDER BY place"):
        yield BayRow(*fields)


def bays_position(db: Any) -> int:
    """Return the position behind which the log is to be applied to the bays; 0: all of it."""
    return db.execute("SELECT position FROM bays_mark").get or 0


def bays_need_after(db: Any) -> int:
    """Return the position behind which the bays keep readings from leaving the log.

    It is their mark, but never more than the newest `limits.BAYS_LOG_READINGS` readings are kept for it: a mark that
    was never set (a journal of an earlier version) or stands still (bays that cannot be written down) must not fill
    the disk. Bays are written every 100,000 readings or 5 minutes, so a mark that moves is always nearer than that;
    and 200,000 readings are 20 MB (98 bytes each), a third of the smallest cap, and hold 20 of each of 10,000 devices.
    Where they are all there is, a bay whose device said nothing in them is unknown until its next heartbeat.
    """
    newest: int = db.execute("SELECT max(position) FROM reading").get or 0
    return max(bays_position(db), newest - limits.BAYS_LOG_READINGS)


def _add_clock_change(db: Any, row: ClockRow) -> None:
    db.execute(
        "INSERT INTO clock_change (position, boot, offset_ms, synchronized) VALUES (?1, ?2, ?3, ?4)",
        (row.position, row.boot, row.offset_ms, int(row.synchronized)),
    )


def _set_bay(db: Any, row: BayRow) -> None:
    db.execute("INSERT OR REPLACE INTO bay VALUES (?1, ?2, ?3)", (row.place, row.position, row.state))


def _set_mark(db: Any, row: BaysMarkRow) -> None:
    db.execute("INSERT OR REPLACE INTO bays_mark VALUES (1, ?1)", (row.position,))


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    ClockRow: _add_clock_change,
    BayRow: _set_bay,
    BaysMarkRow: _set_mark,
}
