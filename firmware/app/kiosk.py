"""What the shelter's screen says about free bays: counts in, a drawn frame out; and when that is worth a report.

Never stale data as fresh: what the gateway has not confirmed within its Max-Age, or within STALE_S, is still shown, but
with its age; without any count the screen says that it waits.
"""

from app import limits

STALE_S = 30
LABELS = (("delivery", "Livraison"), ("taxi", "Taxi"), ("disabled", "GIG-GIC"))
_CHAR_PX = 8
_ROW_PX = 13


class Availability:
    """The free bays last heard of, {kind: (free, total)}, and when."""

    def __init__(self):
        self._counts = None
        self._heard_ms = 0
        self._fresh_s = STALE_S

    def heard(self, counts, now_ms, max_age_s=STALE_S):
        """Take what the gateway says."""
        self._counts = counts
        self._heard_ms = now_ms
        self._fresh_s = min(max_age_s, STALE_S)

    def free(self):
        """Return how many bays of all kinds the screen shows as free; None while it waits."""
        return None if self._counts is None else sum(free for free, _ in self._counts.values())

    def view(self, now_ms):
        """Return what the screen is to show, (rows of (label, counts), age or None): draw when it changes."""
        if self._counts is None:
            return None
        rows = [(label, "%d/%d" % self._counts[kind]) for kind, label in LABELS if kind in self._counts]
        age_s = (now_ms - self._heard_ms) // 1000
        if age_s < self._fresh_s:
            return rows, None
        return rows, "il y a %d min" % (age_s // 60) if age_s >= 60 else "il y a %d s" % (age_s // 10 * 10)

    def next_change_ms(self, now_ms):
        """Return when `view` changes without anything heard, None if never."""
        if self._counts is None:
            return None
        age_s = (now_ms - self._heard_ms) // 1000
        step_s = 10 if age_s < 60 else 60
        next_s = self._fresh_s if age_s < self._fresh_s else age_s // step_s * step_s + step_s
        return self._heard_ms + next_s * 1000


class Reports:
    """When what the screen shows is worth a reading: at first, when it changed, and as a sign of life.

    The gateway hears acknowledgements all the time, but only a reading shows that what is behind them still works, and
    only readings reach the city. One in KIOSK_HEARTBEAT_S tells of a dead shelter within minutes, and is 144 a day.
    """

    def __init__(self):
        self._free = None
        self._said_ms = 0

    def due_ms(self, free):
        """Return when to report that the screen shows `free`; None while there is nothing to say."""
        if free is None:
            return None
        if self._free is None:
            return 0
        return self._said_ms + 1000 * (limits.KIOSK_HEARTBEAT_S if free == self._free else limits.KIOSK_REPORT_EVERY_S)

    def reason(self):
        """Return why the next report is made."""
        return "boot" if self._free is None else "heartbeat"

    def said(self, free, now_ms):
        """Take note that a report was made."""
        self._free = free
        self._said_ms = now_ms


def pause_ms(failures, chance):
    """Return how long to wait after so many failures in a row; `chance`, 0 to 1023, spreads it over a quarter.

    So a street of kiosks does not come back all at once.
    """
    pause_s = min(limits.KIOSK_RETRY_MAX_S, limits.RETRY_FIRST_S << min(failures - 1, limits.REPORT_ATTEMPTS_MAX))
    return pause_s * 1000 + pause_s * chance * 1000 // 4096


def draw(view, screen, width_px):
    """Draw a view on `screen` (framebuf.FrameBuffer in one bit per pixel)."""
    screen.fill(0)
    if view is None:
        _centred(screen, "Places libres", 16, width_px)
        _centred(screen, "en attente...", 36, width_px)
        return
    rows, age = view
    screen.text("Places libres", 0, 0)
    screen.hline(0, 10, width_px, 1)
    for at, (label, counts) in enumerate(rows):
        screen.text(label, 0, 15 + at * _ROW_PX)
        screen.text(counts, width_px - _CHAR_PX * len(counts), 15 + at * _ROW_PX)
    if age is not None:
        screen.fill_rect(0, 55, width_px, 9, 1)
        screen.text(age, 1, 56, 0)


def _centred(screen, text, y_px, width_px):
    screen.text(text, (width_px - _CHAR_PX * len(text)) // 2, y_px)
