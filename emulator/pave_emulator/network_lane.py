"""One direction of a TCP connection over a device's path: pieces in order, retransmissions, and giving up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pave_emulator.air.path import MAX_RETRANSMITS, RETRANSMIT_S
from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import Timer


class Lane:
    """Carries actions; `up()` tells whether there is a network, `on_abort()` that the connection is given up."""

    def __init__(
        self, air: WifiAir, device: str, way: str, up: Callable[[], bool], on_abort: Callable[[], None]
    ) -> None:
        self._air = air
        self._path = air.paths.of(device, way)
        self._up = up
        self._on_abort = on_abort
        self._waiting: deque[Callable[[], None]] = deque()  # behind one that cannot leave
        self._flying: deque[Callable[[], None]] = deque()
        self._retry: Timer | None = None
        self._tries = 0

    def push(self, action: Callable[[], None]) -> None:
        """Do it when the piece has arrived."""
        self._waiting.append(action)
        if self._retry is None:
            self._leave()

    def stop(self) -> None:
        """Nothing arrives any more."""
        self._waiting.clear()
        self._flying.clear()
        if self._retry:
            self._retry.cancel()

    def _leave(self) -> None:
        self._retry = None
        while self._waiting:
            now_s = self._air.clock.now_s()
            when_s = self._path.plan_stream(now_s) if self._up() else None
            if when_s is None:
                self._blocked()
                return
            self._tries = 0
            self._flying.append(self._waiting.popleft())
            if when_s > now_s:
                self._air.clock.call_at(when_s, self._land)
            else:
                self._land()

    def _blocked(self) -> None:
        self._tries += 1
        if self._tries > MAX_RETRANSMITS:
            self._on_abort()
        else:
            self._retry = self._air.clock.call_after(RETRANSMIT_S, self._leave)

    def _land(self) -> None:
        if self._flying:
            self._flying.popleft()()
