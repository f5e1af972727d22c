"""The fan of a kiosk's housing, in a closed loop on its temperature. Pure logic: temperature and speed in, duty out.

    temperature    duty
    -------------  ---------------------------------------------------------
    below OFF_C    0
    OFF_C to ON_C  what it was: off stays off, on stays at the least
    ON_C to FULL_C LEAST_PERCENT rising to 100, in proportion
    not known      SAFE_PERCENT: a sensor that fails must not cook a PC

A proportional loop settles where the fan takes away what the PC brings in, some degrees above ON_C; nobody needs 30.0.
A step of less than STEP_PERCENT is not taken, so the fan does not hunt audibly for every tenth of a degree.

Stall. A fan that gets at least LEAST_PERCENT and turns slower than STALLED_RPM at looks KIOSK_FAN_STALLED_S apart is
stalled. It gets full duty from then on, which starts a rotor that dust holds, and is the alarm's own test: a fan that
turns again ends it.
"""

from app import limits

OFF_C = 30.0
ON_C = 33.0
FULL_C = 48.0
LEAST_PERCENT = 30  # fans with four wires start at 30 at the latest
SAFE_PERCENT = 60
STEP_PERCENT = 5
STALLED_RPM = 200


class FanControl:
    """The duty of one fan.

    Attributes:
        percent: duty to set, 0 to 100.
        is_stalled: whether it gets power and does not turn.
    """

    def __init__(self):
        self.percent = SAFE_PERCENT
        self.is_stalled = False
        self._slow_since_ms = None

    def update(self, temperature_c, rpm, now_ms):
        """Take a temperature and the mean speed since the last update, either None where not known; set `percent`."""
        self._look(rpm, now_ms)
        wanted = 100 if self.is_stalled else self._wanted(temperature_c)
        is_end = wanted in (0, 100) or self.percent in (0, 100)
        if is_end or abs(wanted - self.percent) >= STEP_PERCENT:
            self.percent = wanted

    def _look(self, rpm, now_ms):
        if rpm is None:
            return
        if rpm >= STALLED_RPM or self.percent < LEAST_PERCENT:
            self._slow_since_ms = None
            self.is_stalled = False
        elif self._slow_since_ms is None:
            self._slow_since_ms = now_ms
        elif now_ms - self._slow_since_ms >= limits.KIOSK_FAN_STALLED_S * 1000:
            self.is_stalled = True

    def _wanted(self, temperature_c):
        if temperature_c is None:
            return SAFE_PERCENT
        if temperature_c < OFF_C:
            return 0
        if temperature_c < ON_C:
            return LEAST_PERCENT if self.percent else 0
        rise = (temperature_c - ON_C) / (FULL_C - ON_C)
        return min(100, int(LEAST_PERCENT + rise * (100 - LEAST_PERCENT)))
