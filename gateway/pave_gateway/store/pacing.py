"""When the groups that wait are to be committed: the writes of a quiet gateway against the wait of its devices.

A commit writes a page or two, whatever it holds. So groups that come together share one, and a group that comes alone
does not wait for others that never come:

    an urgent group                    is committed now, with all that waits
    `enough` groups                    now
    nothing had come for a while       now: `LONG_INTERVALS` intervals without a group, then one
    waiting was in vain of late        now: two waits brought nobody else, as when one device sends its outbox message
                                       by message; tried again after `HASTY_COMMITS` commits
    a patient group (a sink's cursor)  with the next one of a device, or after `LONG_INTERVALS` intervals
    otherwise                          when the oldest has waited for `interval_s`

While a commit runs, what arrives waits for the next one anyway; under load that is always `enough`. A commit of 100
groups then costs little more than one of 10, so the writer rests after each, for `RESTS` times as long as it took and
at most `REST_MAX_S`, while more keep coming. It looks whether they do, at growing distances, and commits as soon as
they do not: everybody may be waiting for it.
"""

RESTS = 4
REST_MAX_S = 0.008
GATHER_S = 0.0004  # to the first look
GATHER_GROWTH = 1.5  # of the distance, from look to look: each costs a switch of threads
FULL = 512  # groups: more in one commit make it no cheaper
LONG_INTERVALS = 5
VAIN_WAITS = 2
HASTY_COMMITS = 16
NOTHING_DUE = float("inf")


class Pacing:
    """Decides for one writer. Times are seconds of a monotonic clock.

    `due_s` is when what waits is to be committed, which may be past; infinity if nothing waits. `has_enough` says that
    more groups would change nothing: they need not be announced.
    """

    def __init__(self, interval_s: float, enough: int) -> None:
        """`interval_s`: what a group may wait for others; 0 commits everything at once."""
        self.due_s = NOTHING_DUE
        self.has_enough = False
        self._interval_s = interval_s
        self._enough = enough
        self._waiting = 0  # patient groups apart
        self._wait_s = 0.0  # of the newest group
        self._last_s = -NOTHING_DUE  # when the newest impatient group came
        self._vain = 0  # waits for nobody, in succession
        self._hasty = 0  # commits left that need not wait
        self._urgent = False
        self._rests_until_s = -NOTHING_DUE
        self._gathered = 0  # at the last look
        self._gather_s = GATHER_S

    def arrived(self, now_s: float, urgent: bool = False, patient: bool = False) -> None:
        """Hear of a group that waits from `now_s`."""
        self._waiting += not patient
        self._urgent = self._urgent or urgent
        self.has_enough = self._waiting >= self._enough
        self._wait_s = self._wait(now_s, urgent, patient)
        self.due_s = min(self.due_s, now_s + self._wait_s)
        if not patient:
            self._last_s = now_s

    def committing(self) -> None:
        """Hear that all that waits is being committed."""
        if self._hasty:
            self._hasty -= 1
        elif self._wait_s > 0:
            self._vain = self._vain + 1 if self._waiting <= 1 else 0
            if self._vain == VAIN_WAITS:
                self._vain, self._hasty = 0, HASTY_COMMITS
        self._waiting = self._gathered = 0
        self._gather_s = GATHER_S
        self.has_enough = self._urgent = False
        self.due_s = NOTHING_DUE

    def committed(self, began_s: float, now_s: float) -> None:
        """Hear that a commit has ended."""
        self._rests_until_s = now_s + min(RESTS * (now_s - began_s), REST_MAX_S)

    def gathers_s(self, now_s: float, waiting: int) -> float:
        """Return how long to wait for more, though what waits is due; 0.0 for no longer. `waiting`: groups."""
        if self._urgent or now_s >= self._rests_until_s or not self._gathered < waiting < FULL:
            return 0.0
        self._gathered = waiting
        wait_s, self._gather_s = self._gather_s, self._gather_s * GATHER_GROWTH
        return min(wait_s, self._rests_until_s - now_s)

    def _wait(self, now_s: float, urgent: bool, patient: bool) -> float:
        if urgent or self._hasty or self.has_enough:
            return 0.0
        long_s = LONG_INTERVALS * self._interval_s
        if patient:
            return long_s
        return 0.0 if now_s - self._last_s >= long_s else self._interval_s
