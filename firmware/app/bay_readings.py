"""What a presence sensor says of its bay: the detector's reports, heartbeats and faults, as readings in the outbox.

A change says how long the state before it lasted; a heartbeat, said where nothing else was for so long, repeats the
state that was just confirmed by a sample. A part that does not answer is named once, and again only after it has
answered in between. State and times are plain values: they survive what the outbox survives.
"""

from app import limits
from pave_wire.reading import (
    BLIND,
    CONFIDENCE,
    DROPPED,
    ENDED,
    FAULT,
    FIELD,
    LASTED,
    OCCUPIED,
    REASON,
    STATES,
)

UNKNOWN = -1
PARTS = ("magnetometer", "radar")  # by the bits of a fault
_BLIND = 2


class BayReadings:
    """One bay.

    Args:
        outbox: an `app.outbox.Outbox`.
        terse: for a link whose frames have no room for the field's deviation and the count of dropped readings.
        heartbeat_s: between readings at most, and an eighth of it at random.
        random_below: n -> an integer from 0 to n - 1.
        nt_per_lsb: of the detector's counts.
        state: what `state` gave, or None.
        now_ms: of a clock that goes on through deep sleep.
    """

    def __init__(self, outbox, terse, heartbeat_s, random_below, nt_per_lsb, state, now_ms):
        self._outbox = outbox
        self._terse = terse
        self._heartbeat_s = heartbeat_s
        self._random_below = random_below
        self._nt_per_lsb = nt_per_lsb
        if state is None:
            state = [UNKNOWN, now_ms, 0, 0]
            self._put_off(now_ms)
        else:
            self.due_ms = min(state[2], now_ms + 2000 * heartbeat_s)
        self.said = state[0]  # index in STATES, or UNKNOWN
        self._since_ms = state[1]
        self._faults = state[3]  # said

    def state(self):
        """Return the value for RTC memory."""
        return [self.said, self._since_ms, self.due_ms, self._faults]

    def take(self, detector, is_resting, faults, now_ms):
        """Take what an `app.presence.Detector` has to say; ask it for a word, where one is due and it `is_resting`.

        `faults` are the parts (bits of PARTS) that do not answer; one of them is enough to confirm the state.
        """
        self._told(faults, now_ms)
        if is_resting and faults != 3 and not detector.reports:
            if self.said == UNKNOWN:
                detector.say("boot", now_ms)
            elif now_ms >= self.due_ms:
                detector.say("heartbeat", now_ms)
        for report in detector.reports:
            self._report(report, now_ms)
        detector.reports.clear()

    def _told(self, faults, now_ms):
        begun = faults & ~self._faults
        self._faults = faults
        for bit, part in enumerate(PARTS):
            if begun >> bit & 1:
                self._outbox.add({FAULT: part}, now_ms)
        if faults == 3 and now_ms >= self.due_ms:
            self._put_off(now_ms)  # nothing can be confirmed: it is tried again then

    def _report(self, report, now_ms):
        at_ms = min(report.at_ms, now_ms)
        values: dict = {BLIND: True} if report.state == _BLIND else {OCCUPIED: report.state == 1}
        values[REASON] = report.reason
        values[CONFIDENCE] = round(report.confidence * 100) / 100
        if not self._terse:
            values[FIELD] = report.deviation * self._nt_per_lsb / 1_000_000_000
            if self._outbox.dropped:
                values[DROPPED] = self._outbox.dropped
        if self.said == UNKNOWN:
            values[REASON] = "boot"
            self._since_ms = at_ms
        elif report.state != self.said:
            values[LASTED] = max(0, at_ms - self._since_ms) // 1000
            if _BLIND in (report.state, self.said):
                values[ENDED] = STATES[self.said]
            self._since_ms = at_ms
        if report.alarm:
            values[REASON] = "tilt"
        self.said = report.state
        self._outbox.add(values, at_ms)
        self._put_off(at_ms)

    def _put_off(self, now_ms):
        spread_ms = 1000 * self._heartbeat_s // limits.HEARTBEAT_SPREAD
        self.due_ms = now_ms + 1000 * self._heartbeat_s + self._random_below(spread_ms + 1)
