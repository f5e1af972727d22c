"""When a device may ask to join, and at which data rate (TS001-1.0.4, 6.2.4 and 7; RP002-1.0.4, 2.4).

A network that has failed must not be flooded when it comes back, nor while it is away. So each attempt waits about
twice as long as the one before, up to an hour, and every wait is drawn at random; and beside the law's hour the time on
air of all attempts has a budget, counted from power-up or reset:

    first hour 36 s | next 10 hours 36 s | then 8.7 s in each 24 hours

The data rate changes from one attempt to the next, from the fastest down and around again. At that pace DevNonce, of
which there are 65,536, lasts seven years of asking in vain.
"""

from app import limits

HOUR_MS = 3_600_000
_FIRST_RATES = 6  # DR5 down to DR0


class JoinSchedule:
    """The attempts of one device to join.

    Args:
        random_below: n -> an integer from 0 to n - 1, another sequence for every device.
        state: what `state` gave, or None at power-up.
    """

    def __init__(self, random_below, now_ms, state=None):
        self._random_below = random_below
        if state is None:
            self._began_ms = now_ms
            self._period = self._spent_us = 0
            self.again(now_ms)
        else:
            self._began_ms, self._period, self._spent_us, self._attempts, self._next_ms = state
            # After a brown-out the clock begins again.
            self._began_ms = min(now_ms, self._began_ms)
            self._next_ms = min(self._next_ms, now_ms + 2 * limits.LORA_JOIN_PAUSE_MAX_S * 1000)

    def again(self, now_ms):
        """Begin anew with the first attempt; the budget goes on."""
        self._attempts = 0
        self._next_ms = now_ms + self._random_below(limits.LORA_JOIN_SPREAD_S * 1000)

    def data_rate(self):
        """Return the data rate of the next attempt."""
        return _FIRST_RATES - 1 - self._attempts % _FIRST_RATES

    def due_ms(self, airtime_us, now_ms):
        """Return when the next attempt, of `airtime_us`, may be made: `now_ms` or later."""
        at_ms = max(now_ms, self._next_ms)
        period, end_ms, budget_us = self._budget(at_ms)
        while self._spent_in(period) + airtime_us > budget_us:
            at_ms = end_ms
            period, end_ms, budget_us = self._budget(at_ms)
        return at_ms

    def sent(self, airtime_us, now_ms):
        """Count an attempt that starts at `now_ms`."""
        period, _, _ = self._budget(now_ms)
        self._spent_us = self._spent_in(period) + airtime_us
        self._period = period
        pause_ms = min(limits.LORA_JOIN_PAUSE_MAX_S, limits.LORA_JOIN_PAUSE_S << min(self._attempts, 12)) * 1000
        self._attempts += 1
        self._next_ms = now_ms + pause_ms // 2 + self._random_below(pause_ms)

    def state(self):
        """Return the value that makes this schedule again."""
        return [self._began_ms, self._period, self._spent_us, self._attempts, self._next_ms]

    def _spent_in(self, period):
        return self._spent_us if period == self._period else 0

    def _budget(self, at_ms):
        """Return the period of `at_ms`: its number, its end, and the time on air that it allows."""
        hours = (at_ms - self._began_ms) // HOUR_MS
        if hours < 1:
            return 0, self._began_ms + HOUR_MS, 36_000_000
        if hours < 11:
            return 1, self._began_ms + 11 * HOUR_MS, 36_000_000
        day = (hours - 11) // 24
        return 2 + day, self._began_ms + (35 + 24 * day) * HOUR_MS, 8_700_000
