"""What the shelter's screen says about free bays: counts in, a drawn frame out.

Never stale data as fresh: when the gateway has been silent for STALE_S the counts are still shown, with their age;
without any count the screen says that it waits.
"""

STALE_S = 30
LABELS = (("delivery", "Livraison"), ("taxi", "Taxi"), ("disabled", "GIG-GIC"))
_CHAR_PX = 8
_ROW_PX = 13


class Availability:
    """The free bays last heard of, {kind: (free, total)}, and when."""

    def __init__(self):
        self._counts = None
        self._heard_ms = 0

    def heard(self, counts, now_ms):
        """Take what the gateway says."""
        self._counts = counts
        self._heard_ms = now_ms

    def free(self):
        """Return how many bays of all kinds the screen shows as free."""
        return sum(free for free, _ in self._counts.values())

    def view(self, now_ms):
        """Return what the screen is to show, (rows of (label, counts), age or None): draw when it changes."""
        if self._counts is None:
            return None
        rows = [(label, "%d/%d" % self._counts[kind]) for kind, label in LABELS if kind in self._counts]
        age_s = (now_ms - self._heard_ms) // 1000
        if age_s < STALE_S:
            return rows, None
        return rows, "il y a %d min" % (age_s // 60) if age_s >= 60 else "il y a %d s" % (age_s // 10 * 10)


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
