"""What leaves the log, and when: classes with a time to live, and a cap on the disk.

Readings leave in the order of the log, class by class, in pieces between commits. What is needed stays: readings that a
sink has still to deliver, those behind the snapshots from which a start goes on (devices, bays), and the newest.

    older than its class may be        removed, if every sink has it
    94 % of the cap used               what every sink has is removed, oldest first
    still more, and only backlog left  by policy:
        keep-newest                    at the cap the oldest of the least class is removed: a loss, counted per sink
        keep-oldest                    new readings are refused for good (4.13), and their devices give them up
        refuse                         new readings are refused for now, and their devices keep them

The least class is refused first: diagnostics at 94 %, health at 96, presence at 98, alarms at 100. Nothing of this is
silent: `health` says it, the log does, and losses are counted in the journal itself.

Age is counted by *expiry time*, which follows the trusted clock but by at most a day in an hour, so a clock that is
wrong for a while does not empty the log.
"""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed
from pave_gateway.store import meta, state_tables, tables, usage
from pave_gateway.store.devices import CLASS_NUMBERS, CLASSES
from pave_gateway.store.health import Health
from pave_gateway.store.log import New

_log = logging.getLogger(__name__)

KEEP_NEWEST, KEEP_OLDEST, REFUSE = "keep-newest", "keep-oldest", "refuse"
DAY_MS = 24 * usage.HOUR_MS
TTL_DAYS = {"alarm": 1825, "presence": 400, "health": 90, "diagnostics": 14}
CAP_BYTES = 4_000_000_000
_STEP = 0.02  # of the cap, between a class and the next
_LOW = 1 - _STEP * (len(CLASSES) - 1)  # what every sink has goes from here on
_LOOSE = 0.25  # of the file is free: pages are given back
_ALL_CLASSES = tuple(range(len(CLASSES)))
_PIECE_END = """
SELECT max(position) FROM
    (SELECT position FROM reading WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3)
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """What to keep. `sinks` are those whose cursors count."""

    ttl_days: Mapping[str, int] = field(default_factory=lambda: dict(TTL_DAYS))
    cap_bytes: int = CAP_BYTES
    at_cap: str = REFUSE
    sinks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Readings of `classes` behind position `after`, up to `end`, are to go, before a sink has them if `is_loss`."""

    classes: tuple[int, ...]
    after: int
    end: int
    is_loss: bool


class Retention:
    """Keeps one journal within its policy. `step` runs in a transaction of the journal."""

    def __init__(self, db: Any, policy: Policy, health: Health) -> None:
        """`health` is told what is refused or lost."""
        self._db = db
        self._policy = policy
        self._health = health
        self.is_closing = False  # not every class may enter
        self._admitted = len(CLASSES)  # classes below this number may
        self._swept = [meta.number(db, f"swept {name}") for name in CLASSES]  # nothing is left of the class up to here
        self._expired = self._expired_positions()
        self._marked_ms = meta.number(db, "marked_ms")
        self._losing = False
        self._can_shrink = bool(
            db.execute("PRAGMA auto_vacuum").get
        )  # not, if it is of version 1 and was never reshaped
        self._piece: _Piece | None = None  # to go next
        health.lost = usage.losses(db)

    def refusal(self, new: Iterable[New]) -> CommitFailed | None:
        """Return why one of these new readings cannot enter, None if all can."""
        if self.is_closing and any(CLASS_NUMBERS[item.row.reading_class] >= self._admitted for item in new):
            return CommitFailed(self._health.full, final=self._policy.at_cap == KEEP_OLDEST)
        return None

    def is_due(self, position: int, now_ms: int | None) -> bool:
        """Look at the disk, the log up to `position` and the trusted time; return whether `step` has work."""
        used = usage.used_bytes(self._db) / self._policy.cap_bytes
        self._piece = self._next_piece(position, used)
        self._admit(used)
        return self._piece is not None or self._is_hour_over(position, now_ms) or self._is_loose()

    def step(self, position: int, now_ms: int | None) -> None:
        """Do a bounded part of what is due."""
        if now_ms is not None and self._is_hour_over(position, now_ms):
            self._mark(position, now_ms)
        elif self._piece is not None:
            self._remove(self._piece)
        else:
            self._db.execute(f"PRAGMA incremental_vacuum({limits.VACUUM_PAGES})").fetchall()

    def commit(self) -> None:
        """Hear that the transaction of `step` is durable."""
        self._swept = [meta.number(self._db, f"swept {name}") for name in CLASSES]
        self._expired = self._expired_positions()
        self._marked_ms = meta.number(self._db, "marked_ms")
        self._health.lost = usage.losses(self._db)

    # Which readings

    def _next_piece(self, position: int, used: float) -> _Piece | None:
        if used < _LOW and all(swept >= expired for swept, expired in zip(self._swept, self._expired, strict=True)):
            return None
        needed = self._needed_after(position)
        delivered = min(needed, self._delivered())
        for number in reversed(_ALL_CLASSES):
            end = min(self._expired[number], delivered)
            if self._swept[number] < end:
                return self._piece_of((number,), end, False)
        if used >= _LOW and min(self._swept) < delivered:
            return self._piece_of(_ALL_CLASSES, delivered, False)
        if used >= 1 and self._policy.at_cap == KEEP_NEWEST:
            least = next((number for number in reversed(_ALL_CLASSES) if self._swept[number] < needed), None)
            return None if least is None else self._piece_of((least,), needed, True)
        return None

    def _piece_of(self, classes: tuple[int, ...], end: int, is_loss: bool) -> _Piece:
        after = min(self._swept[number] for number in classes)
        last = self._db.execute(_PIECE_END, (after, end, limits.RETENTION_PIECE)).get
        return _Piece(classes, after, end if last is None else last, is_loss)

    def _needed_after(self, position: int) -> int:
        """Return the position behind which nothing may go: snapshots are brought forward from there."""
        return min(position - 1, meta.number(self._db, "snapshot"), *tables.needed_after(self._db))

    def _delivered(self) -> int:
        """Return the position up to which every sink has the log."""
        return min((state_tables.cursor(self._db, sink) for sink in self._policy.sinks), default=sys.maxsize)

    def _remove(self, piece: _Piece) -> None:
        classes = ", ".join(str(number) for number in piece.classes)
        where = f"position > ?1 AND position <= ?2 AND class IN ({classes})"
        for sink in self._policy.sinks:
            after = max(piece.after, state_tables.cursor(self._db, sink))
            lost = self._db.execute(f"SELECT count(*) FROM reading WHERE {where}", (after, piece.end)).get
            if lost:
                usage.add_losses(self._db, sink, lost)
        self._db.execute(f"DELETE FROM reading WHERE {where}", (piece.after, piece.end))
        meta.put(self._db, "removed", meta.number(self._db, "removed") + self._db.changes())
        for number in piece.classes:
            meta.put(self._db, f"swept {CLASSES[number]}", max(self._swept[number], piece.end))

    # Time

    def _is_hour_over(self, position: int, now_ms: int | None) -> bool:
        """Say whether a mark is due; after a step back of the clock one is."""
        if now_ms is None or position == 0:
            return False
        return not 0 <= now_ms - self._marked_ms < usage.HOUR_MS

    def _mark(self, position: int, now_ms: int) -> None:
        expiry_ms = min(now_ms, (meta.number(self._db, "expiry_ms") or now_ms) + DAY_MS)
        self._db.execute("INSERT OR IGNORE INTO mark VALUES (?1, ?2)", (position, now_ms))
        meta.put(self._db, "marked_ms", now_ms)
        meta.put(self._db, "expiry_ms", expiry_ms)
        tables.forget(self._db, self._db.execute("SELECT min(position) FROM reading").get or 0)
        self._db.execute("DELETE FROM mark WHERE position < ?1", (min(self._swept),))

    def _expired_positions(self) -> list[int]:
        """Return, for each class, the last mark of those at the head of the log that are past its time to live."""
        expiry_ms = meta.number(self._db, "expiry_ms")
        first_young = "SELECT min(position) FROM mark WHERE time_ms >= ?1"
        last_old = "SELECT max(position) FROM mark WHERE position < coalesce((" + first_young + "), position + 1)"
        oldest_ms = [expiry_ms - self._policy.ttl_days[name] * DAY_MS for name in CLASSES]
        return [self._db.execute(last_old, (time_ms,)).get or 0 for time_ms in oldest_ms]

    # The cap

    def _admit(self, used: float) -> None:
        """Decide which classes may enter, and say so."""
        room = self._piece is not None or used < (1 if self._policy.at_cap == KEEP_NEWEST else _LOW)
        admitted = len(CLASSES) if room else sum(used < 1 - _STEP * number for number in _ALL_CLASSES)
        self._losing = used >= _LOW and (self._losing or (self._piece is not None and self._piece.is_loss))
        text = self._losing_text() if self._losing else self._refusing_text(admitted) if admitted < len(CLASSES) else ""
        if text and text != self._health.full:
            _log.warning("%s", text)
        self.is_closing = admitted < len(CLASSES)
        self._admitted, self._health.full = admitted, text

    def _losing_text(self) -> str:
        return f"{self._cap_text()}: the oldest readings are removed before every sink has them; {_ADVICE}"

    def _refusing_text(self, admitted: int) -> str:
        how = "for good" if self._policy.at_cap == KEEP_OLDEST else "for now"
        return f"{self._cap_text()}: new readings of {', '.join(CLASSES[admitted:])} are refused {how}; {_ADVICE}"

    def _cap_text(self) -> str:
        return f"the journal comes up to journal.disk_cap_mb, {self._policy.cap_bytes / 1e6:.0f} MB"

    def _is_loose(self) -> bool:
        if not self._can_shrink:
            return False
        free, pages = (self._db.execute(f"PRAGMA {name}").get for name in ("freelist_count", "page_count"))
        return free > max(_LOOSE * pages, limits.VACUUM_PAGES)


_ADVICE = "repair the sink that lags, or raise the cap"
