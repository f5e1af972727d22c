"""Instants: how one is kept, put right afterwards, and written.

A gateway without a battery-backed clock boots in 1970, and NTP sets it minutes later. So the log never trusts a time
alone. Within one boot of the machine the monotonic clock tells how far apart two instants are, whatever the calendar
said; one number per boot, wall clock less monotonic clock, then dates all of them. Every time in the log was made
with the offset that was in force (`core.clock.Timeline`), and each change of that offset is a `ClockRow`:

    position   0 ........... 17 ........... 40 ........ 52 ........>    of the log
    offset     1970, unsure  | 2026, sure   | (reboot)  |
                             |              1970, unsure| 2026, sure

    time put right = time in the log - offset then in force + offset of that boot known best (the newest sure one)

All of one boot move together, so lengths between them stay exact and are never negative. A row of the log finds its
offset by position. One received just before a change and stored just after lies behind it in the log, but says itself
whether the clock was synchronized; consecutive offsets of a boot differ in that, so it belongs to the one before.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from pave_gateway.core import limits
from pave_gateway.core.rows import StoredReading


class Now(NamedTuple):
    """The present.

    Attributes:
        monotonic_ms: Of the machine's clock that never steps: for timers and lengths.
        ms: Milliseconds since 1970 on the site's timeline: what goes into the log.
        synchronized: Whether `ms` can be trusted.
    """

    monotonic_ms: int
    ms: int
    synchronized: bool


class Moment(NamedTuple):
    """An instant of the log as it was stored; `ClockLog.corrected_ms` says when it really was.

    Attributes:
        ms: Milliseconds since 1970, as the gateway thought then.
        position: Of the reading it comes from.
        synchronized: As that reading says.
    """

    ms: int
    position: int
    synchronized: bool


@dataclass(frozen=True, slots=True)
class ClockRow:
    """A change of what the gateway thinks of its clock.

    Attributes:
        position: Of the newest reading in the log when it was noticed.
        boot: Of the machine, whatever name its operating system gives it.
        offset_ms: Milliseconds since 1970 less the monotonic clock, used from here on.
        synchronized: Whether that can be trusted.
    """

    position: int
    boot: str
    offset_ms: int
    synchronized: bool


class Quality(Enum):
    """How good the time of a reading is."""

    SYNCHRONIZED = "synchronized"  # the clock was right when it arrived
    CORRECTED = "corrected"  # it was not, but became so before the machine was started again
    UNSYNCHRONIZED = "unsynchronized"  # not yet, or it never did


@dataclass(frozen=True, slots=True)
class Dated:
    """The times of a reading as they are told outside, milliseconds since 1970."""

    received_ms: int
    read_ms: int
    quality: Quality


@dataclass(frozen=True, slots=True)
class Held:
    """A reading whose time may soon be known: look again when the clock is set, or after `wait_ms` at the latest."""

    wait_ms: int


class ClockLog:
    """Every `ClockRow` of the journal, in the order written; dates what the log holds. Look-ups are O(log n)."""

    def __init__(self, rows: Iterable[ClockRow] = ()) -> None:
        """Take the rows that the journal has."""
        self._rows: list[ClockRow] = []
        self._positions: list[int] = []
        self._known: dict[str, int] = {}  # boot: index of its newest synchronized row
        for row in rows:
            self.add(row)

    @property
    def newest(self) -> ClockRow | None:
        """The row in force."""
        return self._rows[-1] if self._rows else None

    def known_offset_ms(self, boot: str) -> int | None:
        """Return the newest synchronized offset of `boot`, None where there was none."""
        index = self._known.get(boot)
        return None if index is None else self._rows[index].offset_ms

    def add(self, row: ClockRow) -> None:
        """Take a row that is durable now."""
        if row.synchronized:
            self._known[row.boot] = len(self._rows)
        self._rows.append(row)
        self._positions.append(row.position)

    def corrected_ms(self, moment: Moment) -> int:
        """Return when `moment` was, milliseconds since 1970, as far as is known today."""
        index = self._index(moment)
        if index is None:
            return moment.ms
        row = self._rows[index]
        known_ms = self.known_offset_ms(row.boot)
        return moment.ms if known_ms is None else moment.ms - row.offset_ms + known_ms

    def quality(self, moment: Moment) -> Quality:
        """Return how good the corrected time is."""
        if moment.synchronized:
            return Quality.SYNCHRONIZED
        index = self._index(moment)
        if index is not None and self._known.get(self._rows[index].boot, -1) > index:
            return Quality.CORRECTED
        return Quality.UNSYNCHRONIZED

    def elapsed_ms(self, earlier: Moment, later: Moment) -> int | None:
        """Return how long it was between two moments, never negative; None where no clock saw both."""
        if Quality.UNSYNCHRONIZED in (self.quality(earlier), self.quality(later)) and self._boot(earlier) != self._boot(
            later
        ):
            return None
        return max(0, self.corrected_ms(later) - self.corrected_ms(earlier))

    def dated(self, stored: StoredReading, now: Now) -> Dated | Held:
        """Return the times under which a reading is to be told to others, or for how long to wait for better ones.

        One of this boot waits for the clock, at most `limits.UNDATED_HOLD_MS`; then it goes out marked as it is. One
        of an earlier boot that was never synchronized has nothing to wait for.
        """
        row = stored.row
        received = Moment(row.received_ms, stored.position, row.synchronized)
        quality = self.quality(received)
        wait_ms = limits.UNDATED_HOLD_MS - max(0, now.ms - row.received_ms)
        if quality is Quality.UNSYNCHRONIZED and self._is_of_this_boot(received) and wait_ms > 0:
            return Held(wait_ms)
        read = Moment(row.read_ms, stored.position, row.synchronized)
        return Dated(self.corrected_ms(received), self.corrected_ms(read), quality)

    def _is_of_this_boot(self, moment: Moment) -> bool:
        return self.newest is not None and self._boot(moment) == self.newest.boot

    def _boot(self, moment: Moment) -> str | None:
        index = self._index(moment)
        return None if index is None else self._rows[index].boot

    def _index(self, moment: Moment) -> int | None:
        """Return the index of the row that was in force when `moment` was noted; None before the first."""
        index = bisect_left(self._positions, moment.position) - 1
        if index < 0:
            return None
        row = self._rows[index]
        if row.synchronized != moment.synchronized and index and self._rows[index - 1].boot == row.boot:
            return index - 1
        return index


def iso_utc(time_ms: int) -> str:
    """Return RFC 3339 UTC with milliseconds, from milliseconds since 1970."""
    whole_s = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{whole_s:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
