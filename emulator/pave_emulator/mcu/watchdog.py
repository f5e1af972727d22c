"""The task watchdog: once started it cannot be stopped, and bites when it is not fed.

It belongs to ESP-IDF and not to the VM: a soft reset leaves it running. In deep sleep it is gone, in light sleep its
clock stands.

At wall clock the host itself may stand still (a laptop's lid, a stopped process) while firmware would have fed. So a
bite that comes much later than it is due is put off once.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.clock import Clock, Timer
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

STALL_S = 0.5


class Watchdog:
    """`bite()` is called when it was not fed for `timeout_ms`."""

    def __init__(self, clock: Clock, bite: Callable[[], None]) -> None:
        self._clock = clock
        self._bite = bite
        self._timer: Timer | None = None
        self._due_s = 0.0
        self.timeout_ms = 0

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.WDT: self._feed}

    def stop(self) -> None:
        """The core has reset or sleeps deeply: it runs no more."""
        self.pause()
        self.timeout_ms = 0

    def pause(self) -> None:
        """Its clock stands."""
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def resume(self, paused_s: float) -> None:
        """Its clock goes on after `paused_s`."""
        if self.timeout_ms:
            self._start(self._due_s + paused_s)

    def _start(self, due_s: float) -> None:
        self.pause()
        self._due_s = due_s
        self._timer = self._clock.call_at(due_s, self._due)

    def _due(self) -> None:
        now_s = self._clock.now_s()
        if now_s - self._due_s > STALL_S:
            self._start(now_s + self.timeout_ms / 1000)
        else:
            self._bite()

    def _feed(self, timeout_ms: int, tail: bytes) -> bytes:
        """Start it, or feed it (0)."""
        self.timeout_ms = timeout_ms or self.timeout_ms
        self._start(self._clock.now_s() + self.timeout_ms / 1000)
        return b""
