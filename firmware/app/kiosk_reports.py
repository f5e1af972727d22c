"""When what a kiosk measures is worth a reading: pure logic, values in, readings out.

    what                                     is reported                          as
    ---------------------------------------  -----------------------------------  ------------------------------------
    tamper, mains, the PC, a fault: change   at once                              what changed, alone, without reason
    free bays on the screen: change          after KIOSK_REPORT_EVERY_S at most   everything
    a measurement leaves its dead band       after KIOSK_MEASURED_EVERY_S         everything
    nothing of it                            every heartbeat                      everything

The first report waits for nothing but the screen, whose figures are the gateway's. A dead band lies around what was
said last, so drift is said too, step by step. What cannot be measured any more is not said any
more; what is measured for the first time waits for the next heartbeat.

The gateway hears acknowledgements all the time, but only a reading shows that what is behind them still works, and only
readings reach the city. One in 10 minutes tells of a dead shelter within minutes, and is 144 a day.

Buffering. While the gateway takes nothing the outbox fills: after KIOSK_QUIET_AFTER_S heartbeats become hourly and dead
bands are left alone, so a day's outage fits, with the alarms of that day.

Nothing here counts or recognises people: the board has no sensor for them.
"""

from app import limits
from pave_wire.limits import TEXT_CHARS
from pave_wire.reading import (
    FAN_RPM,
    FAULT,
    HUMIDITY,
    ILLUMINANCE,
    MAINS,
    PC_ALIVE,
    REASON,
    SCREEN_FREE,
    TAMPER,
    TEMPERATURE,
)

NO_FAULT = "none"  # any more
AT_ONCE = (TAMPER, MAINS, PC_ALIVE, FAULT)
# Absolute, and as a part of what was said: the larger counts.
DEAD_BANDS = ((TEMPERATURE, 1.0, 0), (HUMIDITY, 5.0, 0), (ILLUMINANCE, 20.0, 0.5), (FAN_RPM, 150, 0.15))


class Reports:
    """What is known, what was said of it, and when the rest is due.

    Attributes:
        heartbeat_s: between signs of life.
    """

    def __init__(self, heartbeat_s=limits.KIOSK_HEARTBEAT_S):
        self.heartbeat_s = heartbeat_s
        self._values = {}
        self._said = {}
        self._faults = []
        self._said_ms = None  # the last full report
        self._taken_ms = None  # when the gateway took something last

    def take(self, name, value):
        """Take what `name` is now; None: nobody knows."""
        if value is not None:
            self._values[name] = value
        elif name in self._values:
            del self._values[name]
            self._said.pop(name, None)

    def fault(self, part, is_there):
        """Take note that a part fails, or works again; `part` is a word of the wire's texts."""
        if is_there == (part in self._faults):
            return
        if is_there:
            self._faults.append(part)
            self._faults.sort()
        else:
            self._faults.remove(part)
        self.take(FAULT, " ".join(self._faults)[:TEXT_CHARS] or NO_FAULT)

    def taken(self, now_ms):
        """Take note that the gateway has acknowledged what there was."""
        self._taken_ms = now_ms

    def is_pressing(self):
        """Return whether something is to be said at once."""
        return self._said_ms is not None and any(self._has_changed(name) for name in AT_ONCE)

    def due_ms(self):
        """Return when to call `reading` next; None while there is nothing to say."""
        if SCREEN_FREE not in self._values:
            return None
        if self._said_ms is None or self.is_pressing():
            return 0
        quiet = self._is_quiet(self._said_ms)
        wait_s = max(self.heartbeat_s, limits.KIOSK_QUIET_HEARTBEAT_S) if quiet else self.heartbeat_s
        if self._values[SCREEN_FREE] != self._said.get(SCREEN_FREE):
            wait_s = min(wait_s, limits.KIOSK_REPORT_EVERY_S)
        elif not quiet and self._has_left_band():
            wait_s = min(wait_s, limits.KIOSK_MEASURED_EVERY_S)
        return self._said_ms + 1000 * wait_s

    def reading(self, now_ms):
        """Return the values to report now; as said from here on."""
        if self.is_pressing():
            values = {name: self._values[name] for name in AT_ONCE if self._has_changed(name)}
            self._said.update(values)
            return values
        values = dict(self._values)
        values[REASON] = "boot" if self._said_ms is None else "heartbeat"
        self._said = dict(self._values)
        self._said_ms = now_ms
        if self._taken_ms is None:
            self._taken_ms = now_ms  # an outage begins with the first report that nobody takes
        return values

    def _has_changed(self, name):
        return name in self._values and self._values[name] != self._said.get(name)

    def _has_left_band(self):
        for name, absolute, part in DEAD_BANDS:
            if name in self._values:
                said = self._said.get(name)
                if said is not None and abs(self._values[name] - said) >= max(absolute, part * abs(said)):
                    return True
        return False

    def _is_quiet(self, now_ms):
        return now_ms - self._taken_ms >= limits.KIOSK_QUIET_AFTER_S * 1000
