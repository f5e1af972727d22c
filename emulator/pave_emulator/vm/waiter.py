"""A VM that waits: for a time, for something to happen, or for whichever comes first."""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.clock import Clock, Timer


class Waiter:
    """Holds the one call a VM can be blocked in.

    `check` returns the reply's body once what is waited for is there, None until then; `expired` gives the answer
    when the time is up. Call `poke` whenever something may have changed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._check: Callable[[], bytes | None] | None = None
        self._answer: Callable[..., None] | None = None
        self._timer: Timer | None = None

    def wait(
        self,
        check: Callable[[], bytes | None],
        answer: Callable[..., None],
        timeout_s: float | None,
        expired: Callable[[], None],
    ) -> None:
        """Answer as soon as `check` says so, or call `expired` after `timeout_s` (None: never)."""
        self.cancel()
        ready = check()
        if ready is not None:
            answer(ready)
            return
        if timeout_s is not None and timeout_s <= 0:
            expired()
            return
        self._check, self._answer = check, answer
        if timeout_s is not None:
            self._timer = self._clock.call_after(timeout_s, lambda: self._expire(expired))

    @property
    def waiting(self) -> bool:
        """True while a call of the VM is open."""
        return self._check is not None

    def interrupt(self, status: int) -> bool:
        """Answer before the time, for an interrupt to be served; False when nothing is waited for."""
        if self._answer is None:
            return False
        answer = self._answer
        self.cancel()
        answer(b"", status)
        return True

    def poke(self) -> None:
        """Something has happened: see whether it was what the VM waits for."""
        if self._check is None or self._answer is None:
            return
        ready = self._check()
        if ready is not None:
            answer = self._answer
            self.cancel()
            answer(ready)

    def cancel(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._check = self._answer = self._timer = None

    def _expire(self, expired: Callable[[], None]) -> None:
        self.cancel()
        expired()
