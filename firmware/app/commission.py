"""Commissioning of a presence sensor: what is checked, in which order, what the LED shows, what the gateway is told.

Theory of operation. A technician kneels beside a bay with a LED to look at and no screen. So the checks run by
themselves, in the order of CHECKS, and the first that fails decides what is shown: a long flash and as many short ones
as its place in CHECKS. All the others are still made, since the gateway is told each that fails. What passes leads to
the walk test: the link is tried every WALK_EVERY_S, and the LED shows how well the network hears the sensor, until the
button, a magnet, or the end of WALK_S. A margin of less than POOR_DB is poor: a lorry or a film of water takes as much.

Patterns are milliseconds on, off, on, off ..., repeated, as `drivers.led` takes them. Nothing here waits.
"""

from app import limits
from pave_wire.reading import BATTERY, COMMISSION, MARGIN, RSSI, SNR

CHECKS = ("battery", "magnetometer", "interrupt", "radar", "baseline", "radio")
PASSED = ""

CHECKING = (50, 50)
JOINING = (100, 900)
GOOD = (100, 150, 100, 1650)
POOR = (100, 150, 100, 150, 100, 150, 100, 1150)
POOR_DB = 5
BATTERY_MIN_MV, BATTERY_MAX_MV = 3300, 3900  # LiSOCl2 at rest: flat at 3.6 V, fresh 3.67 V; a lithium-ion cell has 4.2


def fault_pattern(check):
    """Return the pattern of one of CHECKS that has failed: a long flash, and short ones to count."""
    return (1000, 400) + (150, 250) * CHECKS.index(check) + (150, 1500)


def battery_reason(mv):
    """Return what is wrong with a cell of `mv`, or PASSED."""
    if mv < BATTERY_MIN_MV:
        return "low"
    return "high" if mv > BATTERY_MAX_MV else PASSED


def polarity_reason(idle, active, released):
    """Return what is wrong with an interrupt line that had these levels: at rest, told to rise, told to fall."""
    if idle or released:
        return "stays high"
    return PASSED if active else "stays low"


class Commissioning:
    """One round of checks and its walk test, begun at `now_ms`.

    Attributes:
        failed: (check, reason) of each that did not pass, in the order made.
        tried: link tests that were answered.
    """

    def __init__(self, now_ms):
        self.failed = []
        self.tried = 0
        self._until_ms = now_ms + limits.COMMISSION_WALK_S * 1000
        self._is_checked = False
        self._margin_db = None  # of the test answered last, and the least of all
        self._least = None
        self._unanswered = 0

    def checked(self, check, reason):
        """Take the verdict on one of CHECKS: PASSED, or a reason in few words."""
        if reason:
            self.failed.append((check, reason))

    def all_checked(self):
        """Every check was made: the LED shows it from now on."""
        self._is_checked = True

    def walked(self, margin_db, rssi_dbm, snr_db):
        """Take a link test that was answered; `margin_db` is how much weaker the sensor would still be heard.

        The level and ratio are those of the answer; `snr_db` is None where the link knows none.
        """
        self.tried += 1
        self._unanswered = 0
        self._margin_db = margin_db
        if self._least is None or margin_db < self._least[0]:
            self._least = (margin_db, rssi_dbm, snr_db)

    def unanswered(self):
        """A link test was sent, and nobody answered."""
        self._unanswered += 1

    def is_over(self, now_ms):
        """Return whether it has lasted as long as it may."""
        return now_ms >= self._until_ms

    def pattern(self):
        """Return what the LED shows now."""
        if not self._is_checked:
            return CHECKING
        if self.failed:
            return fault_pattern(self.failed[0][0])
        if self._margin_db is None:
            return JOINING
        return POOR if self._unanswered or self._margin_db < POOR_DB else GOOD

    def verdict(self, battery_mv):
        """Return the readings (dicts of values) that tell the gateway what was found by the checks."""
        told = [{COMMISSION: "%s %s" % failed} for failed in self.failed] or [{COMMISSION: "passed"}]
        if battery_mv is not None:
            told[-1][BATTERY] = battery_mv / 1000
        return told

    def walk(self):
        """Return the reading of the walk test: its worst place."""
        if self._least is None:
            return {COMMISSION: "no link"}
        margin_db, rssi_dbm, snr_db = self._least
        values = {COMMISSION: "poor link" if margin_db < POOR_DB else "good link", MARGIN: margin_db, RSSI: rssi_dbm}
        if snr_db is not None:
            values[SNR] = snr_db
        return values
