"""The order in which VMs act in virtual time: each is a process of its own, and none may act before its turn.

Theory of operation. A VM computes between the answer to one call and its next call, and says with that call how much
time it has spent. So each VM's next act has a known instant as soon as its call has come, and not before. Nothing
happens while a VM computes; then the earliest act is done, which may answer the VM and let it compute again. Acts of
one instant are done in the order of the devices. That, and a world that asks nothing of the wall clock, is what makes
one seed give one trace: in which order the processes were scheduled does not show.

An answer is sent when all that happens at its instant has happened: only then is it known until when nothing will
happen to the VM that gets it.

A VM that computes for STUCK_S of wall time without a call (`while True: pass`) is taken for dead. One that prints more
than its pipe holds waits for its reader, so what computing VMs have printed is taken in every LOOK_S.
"""

from __future__ import annotations

import heapq
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

STUCK_S = 20.0
LOOK_S = 0.02

FOR_EVER_S = float("inf")


class Caller(Protocol):
    """The host's end of a VM's channel."""

    @property
    def foreseen(self) -> bool:
        """`take` has its next call at once (`vm.checkpoint`)."""
        ...

    def fileno(self) -> int:
        """Readable when the VM has called, or ended."""
        ...

    def take(self) -> tuple[int, Callable[[], None]] | None:
        """Wait for a call for LOOK_S: microseconds spent before it, and how to act on it. None: not all here yet."""
        ...

    def send(self) -> None:
        """Send the answer that was announced, and tell `answered`."""

    def printing(self) -> None:
        """Take in what it has printed, for it may wait for that."""

    def stuck(self) -> None:
        """It has not called for STUCK_S."""


@dataclass
class _Seat:
    caller: Caller
    order: int
    answered_s: float
    ended: bool = False


class Lockstep:
    """Who computes, and who is due when. Seconds are of the virtual clock."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._seats: dict[int, _Seat] = {}
        self._computing: set[int] = set()  # descriptors
        self._to_answer: list[Caller] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def join(self, caller: Caller, order: int, now_s: float) -> None:
        """A VM that computes from `now_s` on; `order` decides between acts of one instant."""
        fd = caller.fileno()
        self._seats[fd] = _Seat(caller, order, now_s)
        self._poll.register(fd, select.EPOLLIN)
        self._compute(fd, caller)

    def leave(self, caller: Caller) -> None:
        """The VM has been ended: what it still wanted is forgotten."""
        fd = caller.fileno()
        seat = self._seats.pop(fd, None)
        if seat is None:
            return
        if not seat.ended:
            self._poll.unregister(fd)
        self._computing.discard(fd)
        self._to_answer = [waiting for waiting in self._to_answer if waiting is not caller]
        self._due = [due for due in self._due if due[1] != seat.order]
        heapq.heapify(self._due)

    def announce(self, caller: Caller) -> None:
        """Answer this VM when everything of this instant has been done."""
        self._to_answer.append(caller)

    def answered(self, caller: Caller, now_s: float) -> None:
        """The VM has its answer and computes from `now_s` on."""
        fd = caller.fileno()
        if fd in self._seats:
            self._seats[fd].answered_s = now_s
            self._compute(fd, caller)

    def _compute(self, fd: int, caller: Caller) -> None:
        if caller.foreseen:
            self._heard(fd)
        else:
            self._computing.add(fd)

    def settle(self) -> None:
        """Wait until no VM computes: every call that will come before anything else happens has come."""
        while self._to_answer:
            self._to_answer.pop(0).send()
        looks = 0  # not a clock: a machine that was frozen meanwhile has not looked
        while self._computing:
            looks = 0 if self._hear() else looks + 1
            if looks * LOOK_S > STUCK_S:
                self._stuck()
            elif looks:
                for fd in self._computing:
                    self._seats[fd].caller.printing()

    def _hear(self) -> bool:
        """Hear those who have called; False when for LOOK_S nobody has."""
        if len(self._computing) == 1:  # nearly always: one system call less
            return self._heard(next(iter(self._computing)))
        ready = self._poll.poll(LOOK_S)
        for fd, _event in ready:
            self._heard(fd)
        return bool(ready)

    def _stuck(self) -> None:
        for fd in sorted(self._computing):
            self._computing.discard(fd)
            self._seats[fd].caller.stuck()

    def _heard(self, fd: int) -> bool:
        seat = self._seats[fd]
        taken = seat.caller.take()
        if taken is None:
            return False
        spent_us, act = taken
        self._computing.discard(fd)
        heapq.heappush(self._due, (seat.answered_s + spent_us / 1e6, seat.order, act))
        return True

    def ended(self, caller: Caller) -> None:
        """The VM has gone: there is nothing more to hear. What it wanted last is still due."""
        seat = self._seats[caller.fileno()]
        seat.ended = True
        self._poll.unregister(caller.fileno())

    def quiet_s(self, now_s: float) -> float:
        """Until when no other VM acts, for the one that is being answered now."""
        if self._to_answer:
            return now_s
        soonest_s = [self._seats[fd].answered_s for fd in self._computing]
        soonest_s += [due[0] for due in self._due[:1]]
        return min(soonest_s, default=FOR_EVER_S)

    def next_s(self) -> float | None:
        """When the next act is due; None when nobody has called."""
        return self._due[0][0] if self._due else None

    def act(self) -> None:
        """Do the act that is due next."""
        heapq.heappop(self._due)[2]()
