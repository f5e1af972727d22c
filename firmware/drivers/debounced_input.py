"""An input that bounces: a button, a magnet's reed contact, a lid's switch, a mains detector.

    lid = DebouncedInput(Pin(5, Pin.IN, Pin.PULL_UP), active=1, settle_ms=50)
    while True:
        if lid.update(now_ms()):
            print("open" if lid.is_active else "closed")
        time.sleep_ms(10)

It changes once the level has been another one at every look for `settle_ms`. Looks may be as far apart as one likes:
what came and went between two is not seen.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import Pin


class DebouncedInput:
    """The input `pin` (machine.Pin or alike), which is `active` at that level.

    `is_active` is its state, inactive at first.
    """

    def __init__(self, pin: "Pin", active: int = 1, settle_ms: int = 30):
        self._pin = pin
        self._active = active
        self._settle_ms = settle_ms
        self._other_since_ms = None
        self._since_ms = None
        self.is_active = False

    def update(self, now_ms):
        """Look at the pin; return whether the state has changed."""
        if (self._pin.value() == self._active) == self.is_active:
            self._other_since_ms = None
            return False
        if self._other_since_ms is None:
            self._other_since_ms = now_ms
        if now_ms - self._other_since_ms < self._settle_ms:
            return False
        self.is_active = not self.is_active
        self._since_ms = self._other_since_ms
        self._other_since_ms = None
        return True

    def wait_ms(self, now_ms):
        """Return when to look again for a change that is under way, or None when none is."""
        if self._other_since_ms is None:
            return None
        return max(0, self._other_since_ms + self._settle_ms - now_ms)

    def held_ms(self, now_ms):
        """Return for how long it has been in its state, or None if it has never changed."""
        return None if self._since_ms is None else now_ms - self._since_ms
