"""Time in the host process. Everything here that waits or dates something is given a clock.

The wall clock is the machine's monotonic one. A virtual clock is another class with the same three methods.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has fired."""


class Clock(Protocol):
    """Seconds since the clock's start, and calls at a given second."""

    def now_s(self) -> float:
        """Seconds since the clock was made."""
        ...

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at `when_s` (at once when it is past)."""
        ...

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back after `delay_s`."""
        ...


class WallClock:
    """The machine's monotonic clock on the running asyncio loop."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._start_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at `when_s` on the running loop."""
        return self.call_after(when_s - self.now_s(), callback)

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back after `delay_s` on the running loop."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_s), callback)
