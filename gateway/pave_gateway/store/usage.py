"""How much the journal holds, how fast it grows, and how many hours of backlog still fit.

Once an hour of trusted time a *mark* notes which position the log had then. So the age of a reading is known from its
position, whatever the clock said when it came; and so is the rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pave_gateway.store import meta, state_tables

SCHEMA = """
CREATE TABLE mark (position INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT;
CREATE TABLE loss (sink TEXT PRIMARY KEY, readings INTEGER NOT NULL) STRICT;  -- removed before the sink had them
"""
HOUR_MS = 3_600_000
_RATE_MARKS = 24  # the rate is that of the last day


@dataclass(frozen=True, slots=True)
class Usage:
    """What the journal holds.

    Attributes:
        stored: Readings ever taken into the log, see `stored`.
        kept: Those that are still in it.
        used_bytes: Of the file, without pages that are free.
        cap_bytes: What may be used.
        readings_per_hour: Over the last day; None before the first hour has passed.
        hours_left: Until the cap, if every sink stopped taking readings now; None while there is no rate.
        lost: Sink: readings removed before it had them.
    """

    stored: int = 0
    kept: int = 0
    used_bytes: int = 0
    cap_bytes: int = 0
    readings_per_hour: float | None = None
    hours_left: float | None = None
    lost: dict[str, int] = field(default_factory=dict[str, int])


def used_bytes(db: Any) -> int:
    """Return the size of the pages in use."""
    pages = db.execute("PRAGMA page_count").get - db.execute("PRAGMA freelist_count").get
    return pages * db.execute("PRAGMA page_size").get


def losses(db: Any) -> dict[str, int]:
    """Return {sink: readings it will never get}."""
    return dict(db.execute("SELECT sink, readings FROM loss ORDER BY sink"))


def add_losses(db: Any, sink: str, readings: int) -> None:
    """Count readings that were removed before `sink` had them."""
    db.execute(
        "INSERT INTO loss VALUES (?1, ?2) ON CONFLICT (sink) DO UPDATE SET readings = readings + excluded.readings",
        (sink, readings),
    )


def stored(db: Any) -> int:
    """Return how many readings were ever taken into the log, since it was begun.

    One that was restored goes on from what its backup had, one that was salvaged from what the damaged one had.
    """
    return _last(db) - meta.number(db, "skipped")


def behind(db: Any, position: int) -> int:
    """Return how many readings of the log are behind `position`.

    Positions that a restore or a salvage has skipped do not count. Where several did, and `position` is from before the
    one before the last, it is all that is kept at most.
    """
    return min(_kept(db), _between(db, position, _last(db)))


def usage(db: Any, sinks: Sequence[str], cap_bytes: int) -> Usage:
    """Return what the journal holds; the cap is reached when the slowest of `sinks` holds everything up."""
    kept = _kept(db)
    used = used_bytes(db)
    per_hour = _readings_per_hour(db)
    hours = None
    if per_hour and kept:
        backlog = max((behind(db, state_tables.cursor(db, sink)) for sink in sinks), default=0)
        hours = max(0.0, (cap_bytes / (used / kept) - backlog) / per_hour)
    return Usage(stored(db), kept, used, cap_bytes, per_hour, hours, losses(db))


def _last(db: Any) -> int:
    return max(db.execute("SELECT max(position) FROM reading").get or 0, meta.number(db, "floor"))


def _kept(db: Any) -> int:
    return stored(db) - meta.number(db, "removed")


def _between(db: Any, after: int, until: int) -> int:
    """Return how many readings have positions behind `after` up to `until`."""
    floor = meta.number(db, "floor")
    if after >= floor or until < floor:
        return max(0, until - after)
    before = db.execute("SELECT max(position) FROM reading WHERE position <= ?1", (floor,)).get or 0
    return until - floor + max(0, before - after)


def _readings_per_hour(db: Any) -> float | None:
    marks = db.execute("SELECT position, time_ms FROM mark ORDER BY position DESC LIMIT ?1", (_RATE_MARKS,)).fetchall()
    if len(marks) < 2:
        return None
    (last, last_ms), (first, first_ms) = marks[0], marks[-1]
    return _between(db, first, last) * HOUR_MS / (last_ms - first_ms) if last_ms > first_ms else None
