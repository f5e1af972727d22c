"""The site's timeline: which time a reading is given, whatever happens to the machine's clock.

Theory of operation. The machine has a monotonic clock that nothing sets (the event loop's: CLOCK_MONOTONIC on Linux; it
stands still while a machine is suspended, which then shows as a step) and a wall clock that anything may set.
`Timeline` makes the time of the site from the first and an offset, so it never steps by itself; about once a second it
is shown the wall clock and what the kernel says of it (adjtimex: STA_UNSYNC), and decides whether the offset is right:

    state   offset in force                  shown                                      becomes
    FREE    wall clock at the start, but     synchronized, plausible                    LOCKED on it
            not before the log's end
    LOCKED  a synchronized one               off by STEP_MS or more                     HELD
                                             unsynchronized for HOLDOVER_MS             HELD
    HELD    the same as before               synchronized, on one offset for            LOCKED on it (the old or
                                             CONFIRM_MS                                 another)

So a jump of ten years that is taken back within five minutes changes nothing but the mark on what arrives meanwhile.
FREE and HELD are marked unsynchronized. LOCKED and one of the others take turns, which `core.instant` rests on.

An offset is in force only when its `ClockRow` is on disk (`SiteClock`), so whatever carries a new time lies behind
that row in the log. Only the first of a process is in force at once: nothing has arrived before it. A process that is
started again in the same boot of the machine goes on with the offset that boot had.
"""

from collections.abc import Callable

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome
from pave_gateway.core.instant import ClockLog, ClockRow, Now


class Timeline:
    """Maps the monotonic clock of one boot to milliseconds since 1970. All times are in milliseconds."""

    def __init__(
        self, boot: str, log: ClockLog, last_ms: int, monotonic_ms: int, wall_ms: int, synchronized: bool
    ) -> None:
        """Begin at the start of the process; `log` and `last_ms` (the newest time in the log, 0) are the journal's."""
        self._boot = boot
        self._synchronized_ms = monotonic_ms  # when the kernel last said so, or since when we look
        self._candidate: tuple[int, int] | None = None  # an offset, and since when it has been shown
        before = log.newest
        if before is not None and before.boot == boot:
            self.offset_ms, self.synchronized = before.offset_ms, before.synchronized
            self._pending = None
        else:
            self.synchronized = synchronized and is_plausible(wall_ms)
            self.offset_ms = (wall_ms if self.synchronized else max(wall_ms, last_ms)) - monotonic_ms
            self._pending = (self.offset_ms, self.synchronized)
        self._was_synchronized = self.synchronized or log.known_offset_ms(boot) is not None

    def now(self, monotonic_ms: int) -> Now:
        """Return the present on this timeline."""
        return Now(monotonic_ms, monotonic_ms + self.offset_ms, self.synchronized)

    def observe(self, monotonic_ms: int, wall_ms: int, synchronized: bool) -> tuple[int, bool] | None:
        """Look at the machine's clock; return (offset, synchronized) when it is to change, until `adopt` is called."""
        shown_ms = wall_ms - monotonic_ms
        sure = synchronized and is_plausible(wall_ms)
        if self._pending is None:
            self._pending = self._decide(monotonic_ms, shown_ms, sure)
        return self._pending

    def adopt(self) -> None:
        """The change that `observe` returned is on disk."""
        if self._pending is not None:
            self.offset_ms, self.synchronized = self._pending
            self._was_synchronized |= self.synchronized
            self._pending = None
            self._candidate = None

    def _decide(self, monotonic_ms: int, shown_ms: int, sure: bool) -> tuple[int, bool] | None:
        if sure:
            self._synchronized_ms = monotonic_ms
        if self.synchronized:
            held = abs(shown_ms - self.offset_ms) >= limits.CLOCK_STEP_MS
            held |= monotonic_ms - self._synchronized_ms > limits.CLOCK_HOLDOVER_MS
            return (self.offset_ms, False) if held else None
        if not sure:
            self._candidate = None
            return None
        if not self._was_synchronized:
            return shown_ms, True
        return self._confirm(monotonic_ms, shown_ms)

    def _confirm(self, monotonic_ms: int, shown_ms: int) -> tuple[int, bool] | None:
        if self._candidate is None or abs(shown_ms - self._candidate[0]) >= limits.CLOCK_STEP_MS:
            self._candidate = (shown_ms, monotonic_ms)
        if monotonic_ms - self._candidate[1] < limits.CLOCK_CONFIRM_MS:
            return None
        returned = abs(shown_ms - self.offset_ms) < limits.CLOCK_STEP_MS
        return (self.offset_ms if returned else shown_ms), True

    @property
    def boot(self) -> str:
        """The machine's boot it is of."""
        return self._boot


class SiteClock:
    """The timeline of a running gateway, its changes made durable before they are in force."""

    def __init__(self, timeline: Timeline, log: ClockLog, committer: Committer, position: Callable[[], int]) -> None:
        """`position` returns that of the newest reading known to be in the log."""
        self._timeline = timeline
        self._log = log
        self._committer = committer
        self._position = position
        self._started_at: int | None = position()  # until the first row is on disk: it is of all that arrives since
        self._waiting = False
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener()` whenever another offset is in force: times already told may have changed."""
        self._listeners.append(listener)

    def now(self, monotonic_ms: int) -> Now:
        """Return the present."""
        return self._timeline.now(monotonic_ms)

    def observe(self, monotonic_ms: int, wall_ms: int, synchronized: bool) -> None:
        """Take the machine's clock, about once a second, and once before anything is admitted."""
        change = self._timeline.observe(monotonic_ms, wall_ms, synchronized)
        if change is None or self._waiting:
            return
        position = self._position() if self._started_at is None else self._started_at
        row = ClockRow(position, self._timeline.boot, *change)
        try:
            self._waiting = True
            self._committer.submit([row], lambda outcome: self._stored(row, outcome))
        except CommitterBusy:
            self._waiting = False  # the next call tries again

    def _stored(self, row: ClockRow, outcome: Outcome) -> None:
        self._waiting = False
        if isinstance(outcome, Committed):
            self._timeline.adopt()
            self._log.add(row)
            self._started_at = None
            for listener in self._listeners:
                listener()


def is_plausible(wall_ms: int) -> bool:
    """Return whether the wall clock may be right: not before this software was written, nor a century later."""
    return limits.CLOCK_EARLIEST_MS <= wall_ms < limits.CLOCK_LATEST_MS
