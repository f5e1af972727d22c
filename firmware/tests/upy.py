"""What drivers take from MicroPython and CPython lacks: import this before them."""

import sys
import time


class _Micropython:
    @staticmethod
    def const(value):
        return value


if sys.implementation.name != "micropython":
    sys.modules.setdefault("micropython", _Micropython)
    time.sleep_us = lambda us: time.sleep(us / 1_000_000)
    time.sleep_ms = lambda ms: time.sleep(ms / 1000)
    time.ticks_ms = lambda: int(time.monotonic() * 1000)
    time.ticks_diff = lambda end, start: end - start
