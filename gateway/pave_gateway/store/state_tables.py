"""Tables of what belongs to no family: sinks' cursors, OSCORE sender sequence numbers."""

from collections.abc import Callable
from typing import Any

from pave_gateway.core.rows import CursorRow, SenderRow
from pave_gateway.store import meta

SCHEMA = """
CREATE TABLE sink_cursor (sink TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE sender (
    device TEXT PRIMARY KEY,
    reserved INTEGER NOT NULL,  -- OSCORE sender sequence numbers below may have been used in this era
    era INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


def cursor(db: Any, sink: str) -> int:
    """Return how far the back-end of `sink` has accepted the log."""
    return db.execute("SELECT position FROM sink_cursor WHERE sink = ?1", (sink,)).get or 0


def reservations(db: Any) -> tuple[dict[str, int], int]:
    """Return {device: the sender sequence number to start from}, and that of a device which is not in it."""
    era = meta.number(db, "era")
    rows = db.execute("SELECT device, reserved, era FROM sender ORDER BY device")
    return {device: _start(stored, since, era) for device, stored, since in rows}, _start(0, 0, era)


def reservation(db: Any, device: str) -> int:
    """Return the sender sequence number to start from with one device: what `reservations` has of it."""
    known = db.execute("SELECT reserved, era FROM sender WHERE device = ?1", (device,)).get
    reserved, since = known or (0, 0)
    return _start(reserved, since, meta.number(db, "era"))


def _start(reserved: int, since: int, era: int) -> int:
    """Return the number to start from in `era`, of those that were reserved in the era `since`."""
    return reserved + (era - since) * meta.SENDER_JUMP


def _set_cursor(db: Any, row: CursorRow) -> None:
    db.execute(
        "INSERT INTO sink_cursor VALUES (?1, ?2)"
        " ON CONFLICT (sink) DO UPDATE SET position = max(position, excluded.position)",
        (row.sink, row.position),
    )


def _reserve(db: Any, row: SenderRow) -> str | None:
    """Move a reservation forward, never back: what was promised may be in use."""
    era = meta.number(db, "era")
    known = db.execute("SELECT reserved, era FROM sender WHERE device = ?1", (row.device,)).get
    reserved, since = known or (0, 0)
    start = _start(reserved, since, era)
    if row.reserved < start:
        return f"sender sequence numbers of {row.device} up to {start} may be in use; {row.reserved} is too low"
    db.execute(
        "INSERT INTO sender VALUES (?1, ?2, ?3)"
        " ON CONFLICT (device) DO UPDATE SET reserved = excluded.reserved, era = excluded.era",
        (row.device, row.reserved, era),
    )
    return None


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    CursorRow: _set_cursor,
    SenderRow: _reserve,
}
