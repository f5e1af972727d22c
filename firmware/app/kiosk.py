"""What the shelter's screen says about free bays: counts in, a drawn frame out.

Never stale data as fresh: when the gateway has been silent for STALE_S the counts are still shown, with their age;
without any count the screen says that it waits.
"""

STALE_S = 30
LABELS = (("delivery", "Livraison"), ("taxi", "Taxi"), ("disabled", "GIG-GIC"))
_CHAR_PX = 8
_ROW_PX = 13


class Board:
    """The availability last heard, {kind: (free, total)}, and when."""

    def __init__(self):
        self.counts = None
        self._heard_ms = 0

    def heard(self, counts, now_ms):
        """Take an availability; return True if the screen must change."""
        changed = counts != self.counts
        self.counts = counts
        self._heard_ms = now_ms
        return changed

    def free(self):
        """Return how many bays of all kinds the screen shows as free."""
        return sum(free for free, _ in self.counts.values())

    def age_s(self, now_ms):
        """Return the age in whole seconds once it is worth showing, else None."""
        age_s = (now_ms - self._heard_ms) // 1000
        return age_s if age_s >= STALE_S else None

    def draw(self, screen, width_px, now_ms):
        """Draw on `screen` (framebuf.FrameBuffer in one bit per pixel)."""
        screen.fill(0)
        if self.counts is None:
            _centred(screen, "Places libres", 16, width_px)
            _centred(screen, "en attente...", 36, width_px)
            return
        screen.text("Places libres", 0, 0)
        screen.hline(0, 10, width_px, 1)
        row_px = 15
        for kind, label in LABELS:
            if kind in self.counts:
                free, total = self.counts[kind]
                counts = "%d/%d" % (free, total)
                screen.text(label, 0, row_px)
                screen.text(counts, width_px - _CHAR_PX * len(counts), row_px)
                row_px += _ROW_PX
        age_s = self.age_s(now_ms)
        if age_s is not None:
            screen.fill_rect(0, 55, width_px, 9, 1)
            screen.text("il y a %d min" % (age_s // 60) if age_s >= 60 else "il y a %d s" % age_s, 1, 56, 0)


def _centred(screen, text, y_px, width_px):
    screen.text(text, (width_px - _CHAR_PX * len(text)) // 2, y_px)
