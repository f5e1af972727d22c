"""The device's clock: milliseconds that go on through deep sleep, and are never set backwards by us."""

import time


def now_ms():
    """Return milliseconds since the ESP32's epoch, by the RTC."""
    return time.time_ns() // 1_000_000
