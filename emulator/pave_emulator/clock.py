"""Time in the host process. Everything here that waits or dates something is given a clock.

Two clocks, one mechanism: seconds and timers of the event loop. On an ordinary loop they are the wall's; on a
`virtual_loop.VirtualLoop` they are simulated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from pave_emulator.air.network import HostNetwork, Network
from pave_emulator.lockstep import Lockstep
from pave_emulator.virtual_loop import VirtualLoop


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

    lockstep: Lockstep | None = None

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self.network: Network = HostNetwork()

    def now_s(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._start_s

    def horizon_s(self) -> float:
        """Nothing is known of the future: now."""
        return self.now_s()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at `when_s` on the running loop."""
        return self.call_after(when_s - self.now_s(), callback)

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back after `delay_s` on the running loop."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_s), callback)


class VirtualClock:
    """The simulated time of a VirtualLoop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.lockstep: Lockstep | None = loop.lockstep
        self.network: Network = loop.network

    def now_s(self) -> float:
        """Seconds of simulated time."""
        return self._loop.time()

    def horizon_s(self) -> float:
        """Until when nothing happens but what the VM that is acting now does."""
        return self._loop.horizon_s()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at `when_s`, or now if it is past."""
        return self._loop.call_at(max(when_s, self._loop.time()), callback)

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back after `delay_s`."""
        return self.call_at(self._loop.time() + delay_s, callback)


FleetClock = WallClock | VirtualClock
"""What a fleet runs on."""
