"""A light-emitting diode that blinks a pattern.

    led = Led(Pin(21, Pin.OUT, value=0))
    led.show((100, 100, 100, 1700), now_ms())  # two short flashes every two seconds
    while True:
        wait_ms = led.update(now_ms())         # None: nothing more will change
        ...

A pattern is milliseconds on, off, on, off ..., and is repeated.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import Pin


class Led:
    """The output `pin` (machine.Pin or alike), lit at the level `lit`."""

    def __init__(self, pin: "Pin", lit: int = 1):
        self._pin = pin
        self._lit = lit
        self._pattern = ()
        self._since_ms = 0
        self._times = 0

    def show(self, pattern, now_ms, times=0):
        """Begin `pattern`, so many times or, with 0, until told otherwise; an empty one is dark."""
        for ms in pattern:
            if ms <= 0:
                raise ValueError("%d ms is no time in the pattern %s" % (ms, pattern))
        self._pattern = pattern
        self._since_ms = now_ms
        self._times = times
        self.update(now_ms)

    def update(self, now_ms):
        """Light it or not; return how many ms later it changes, or None."""
        length_ms = sum(self._pattern)
        at_ms = now_ms - self._since_ms
        if not length_ms or (self._times and at_ms >= self._times * length_ms):
            self._pin.value(1 - self._lit)
            return None
        at_ms %= length_ms
        index = 0
        while at_ms >= self._pattern[index]:
            at_ms -= self._pattern[index]
            index += 1
        self._pin.value(self._lit if index % 2 == 0 else 1 - self._lit)
        return self._pattern[index] - at_ms
