"""The heartbeat of a computer on a serial line: it writes `alive` and a newline every few seconds while all is well.

    heartbeat = LineHeartbeat(UART(1, 115200, tx=39, rx=40, timeout=0), now_ms())
    while True:
        heartbeat.update(now_ms())
        if heartbeat.silent_ms(now_ms()) > 60_000: ...
        time.sleep_ms(1000)

A line counts if it is the word and nothing else: a computer that prints its boot messages or a panic is not well.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import UART

BEAT = b"alive"
_NEWLINE = 10
_RETURN = 13
_SKIP = -1  # the rest of this line is of no interest


class LineHeartbeat:
    """`uart` (machine.UART or alike) that does not wait; silence counts from `now_ms`."""

    def __init__(self, uart: "UART", now_ms: int):
        self._uart = uart
        self._buffer = bytearray(256)  # as much as the UART keeps
        self._matched = 0
        self._heard_ms = now_ms
        self.beats = 0

    def update(self, now_ms):
        """Take what has come, a buffer at most; return whether a beat was in it."""
        count = self._uart.readinto(self._buffer) or 0
        before = self.beats
        for index in range(count):
            self._take(self._buffer[index])
        if self.beats == before:
            return False
        self._heard_ms = now_ms
        return True

    def silent_ms(self, now_ms):
        """Return how long ago the last beat was heard."""
        return now_ms - self._heard_ms

    def _take(self, byte):
        if byte == _NEWLINE:
            if self._matched == len(BEAT):
                self.beats += 1
            self._matched = 0
        elif byte != _RETURN and self._matched != _SKIP:
            right = self._matched < len(BEAT) and byte == BEAT[self._matched]
            self._matched = self._matched + 1 if right else _SKIP
