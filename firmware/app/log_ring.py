"""The newest lines of a device's log, in memory of a fixed size.

    bytes of an entry   0      length of the text, 1 to LOG_LINE_CHARS
                        1      level: one of LEVELS
                        2-7    now_ms, little-endian
                        8-     the text, ASCII

An entry that finds no room takes that of the oldest ones. A line is cut to its bound; what is not printable ASCII
becomes a full stop, so no line can pretend to be two. Nothing secret is in it: keys and passphrases never reach a
message in this firmware, and a test looks for them.
"""

import struct

from app import limits
from pave_wire import limits as wire_limits

LEVELS = "diwe"  # debug, information, warning, error
_HEAD = "<BBIH"
_HEAD_BYTES = 8


class LogRing:
    """At most `size_bytes` of lines."""

    def __init__(self, size_bytes):
        self._ring = bytearray(size_bytes)
        self._start = 0  # of the oldest entry
        self._used = 0
        self.dropped = 0  # lines that made room

    def add(self, level, text, now_ms):
        """Take a line of `level`, an index in LEVELS."""
        text = text[: limits.LOG_LINE_CHARS] or "-"
        size = _HEAD_BYTES + len(text)
        while self._used + size > len(self._ring):
            self._drop_one()
        at = self._start + self._used
        for byte in struct.pack(_HEAD, len(text), level, now_ms & 0xFFFFFFFF, now_ms >> 32 & 0xFFFF):
            self._put(at, byte)
            at += 1
        for char in text:
            self._put(at, ord(char) if " " <= char <= "~" else 46)
            at += 1
        self._used += size

    def lines(self, most):
        """Return the newest lines, at most so many, oldest first, as a list of (now_ms, level, text)."""
        found = []
        at = self._start
        while at < self._start + self._used:
            length = self._get(at)
            now_ms = 0
            for index in range(7, 1, -1):
                now_ms = now_ms << 8 | self._get(at + index)
            text = "".join([chr(self._get(at + _HEAD_BYTES + index)) for index in range(length)])
            found.append((now_ms, self._get(at + 1), text))
            at += _HEAD_BYTES + length
        return found[-most:]

    def _put(self, at, byte):
        self._ring[at % len(self._ring)] = byte

    def _get(self, at):
        return self._ring[at % len(self._ring)]

    def _drop_one(self):
        size = _HEAD_BYTES + self._get(self._start)
        self._start = (self._start + size) % len(self._ring)
        self._used -= size
        self.dropped += 1


def readings(lines, now_ms):
    """Return the values of the readings that carry `lines` (as `LogRing.lines` gives them), oldest first.

    A value is named log-1, log-2, ... and says age in seconds, level and text, in the characters a text may have on the
    wire; a longer line loses its end.
    """
    every = wire_limits.VALUES_PER_READING
    found = []
    for at in range(0, len(lines), every):
        values = {}
        for index, (line_ms, level, text) in enumerate(lines[at : at + every]):
            said = "%d %s %s" % (max(0, now_ms - line_ms) // 1000, LEVELS[level], plain(text))
            values["log-%d" % (index + 1)] = said[: wire_limits.TEXT_CHARS]
        found.append(values)
    return found


def plain(text):
    """Return `text` in the characters that a reading's text may have; any other becomes a space."""
    return "".join([char if _is_plain(char) else " " for char in text])


def _is_plain(char):
    return "a" <= char <= "z" or "A" <= char <= "Z" or "0" <= char <= "9" or char in "-._:/+"
