"""The order in which VMs act in virtual time: each is a process of its own, and none may act before its turn.

Theory of operation. A VM computes between the answer to one call and its next call, and says with that call how much
time it has spent. So each VM's next act has a known instant as soon as its call has come, and not before. Nothing
happens while a VM computes; then the earliest act is done, which may answer the VM and let it compute again. Acts of
one instant are done in the order of the devices. That, and a world that asks nothing of the wall clock, is what makes
one seed give one trace: in which order the processes were scheduled does not show.

A VM that computes for STUCK_S of wall time without a call (`while True: pass`) is taken for dead.
"""

from __future__ import annotations

import heapq
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

STUCK_S = 20.0


class Caller(Protocol):
    """The host's end of a VM's channel."""

    def fileno(self) -> int:
        """Readable when the VM has called, or ended."""
        ...

    def take(self) -> tuple[int, Callable[[], None]] | None:
        """Read the call that has come: microseconds spent before it, and how to act on it. None: not all here yet."""
        ...

    def stuck(self) -> None:
        """It has not called for STUCK_S."""


@dataclass
class _Seat:
    caller: Caller
    order: int
    answered_s: float


class Lockstep:
    """Who computes, and who is due when. Seconds are of the virtual clock."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._seats: dict[int, _Seat] = {}
        self._computing: set[int] = set()  # descriptors
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def join(self, caller: Caller, order: int, now_s: float) -> None:
        """A VM that computes from `now_s` on; `order` decides between acts of one instant."""
        fd = caller.fileno()
        self._seats[fd] = _Seat(caller, order, now_s)
        self._poll.register(fd, select.EPOLLIN)
        self._computing.add(fd)

    def leave(self, caller: Caller) -> None:
        """The VM has been ended: what it still wanted is forgotten."""
        fd = caller.fileno()
        seat = self._seats.pop(fd, None)
        if seat is None:
            return
        self._poll.unregister(fd)
        self._computing.discard(fd)
        self._due = [due for due in self._due if due[1] != seat.order]
        heapq.heapify(self._due)

    def answered(self, caller: Caller, now_s: float) -> None:
        """The VM has its answer and computes from `now_s` on."""
        fd = caller.fileno()
        if fd in self._seats:
            self._seats[fd].answered_s = now_s
            self._computing.add(fd)

    def settle(self) -> None:
        """Wait until no VM computes: every call that will come before anything else happens has come."""
        while self._computing:
            ready = self._poll.poll(STUCK_S)
            for fd, _event in ready:
                self._heard(fd)
            if not ready:
                for fd in sorted(self._computing):
                    self._computing.discard(fd)
                    self._seats[fd].caller.stuck()

    def _heard(self, fd: int) -> None:
        seat = self._seats[fd]
        taken = seat.caller.take()
        if taken is not None:
            spent_us, act = taken
            self._computing.discard(fd)
            heapq.heappush(self._due, (seat.answered_s + spent_us / 1e6, seat.order, act))

    def next_s(self) -> float | None:
        """When the next act is due; None when nobody has called."""
        return self._due[0][0] if self._due else None

    def act(self) -> None:
        """Do the act that is due next."""
        heapq.heappop(self._due)[2]()
