"""What interrupts the firmware: pins, timers, a UART. Kept until the VM fetches them at its next call."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

MAX_QUEUED = 64  # the port's scheduler holds 8; a VM fetches at every call


class Interrupts:
    """The interrupts of one boot. `news()` is called for each, so that a wait may end early."""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._queue: list[bytes] = []
        self._armed: set[str] = set()
        self.light_sleep = False  # what is posted waits for the wake-up

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.EVENTS: self._fetch}

    def reset(self) -> None:
        """The core has reset: nothing is armed, nothing waits."""
        self._queue.clear()
        self._armed.clear()
        self.light_sleep = False

    def arm(self, source: str, on: bool) -> None:
        """A source may interrupt from now on, or no more."""
        if on:
            self._armed.add(source)
        else:
            self._armed.discard(source)

    @property
    def armed(self) -> int:
        """How many sources may interrupt."""
        return len(self._armed)

    def post(self, kind: int, number: int, value: int) -> None:
        """Interrupt the firmware; lost when it does not look for long, as on the board."""
        if len(self._queue) < MAX_QUEUED:
            self._queue.append(struct.pack("<BBi", kind, number, value))
        if not self.light_sleep:
            self._news()

    @property
    def pending(self) -> bool:
        """True while something waits to be fetched by a core that is awake."""
        return bool(self._queue) and not self.light_sleep

    def _fetch(self, tail: bytes) -> bytes:
        events = b"".join(self._queue)
        self._queue.clear()
        return events
