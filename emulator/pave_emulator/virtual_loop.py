"""An asyncio event loop whose time is simulated: it jumps to whatever comes next, and never waits.

Theory of operation. asyncio asks its selector to wait until a timer is due. This selector does not wait: it lets the
VMs act that are due earlier (`lockstep`), then sets the clock to the timer. What runs on the loop cannot tell: the
gateway's timers, its aiocoap endpoint and the emulator's world are all in one time. Datagram endpoints are made in the
memory of the process (`air.network`). Work given to threads holds the clock until it is done. Real sockets are still
served between two instants, for a person who looks on; what they bring in is not reproducible.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from typing import Any

from pave_emulator.air.network import MemoryNetwork
from pave_emulator.lockstep import Lockstep

FOR_EVER_S = float("inf")
ACTS_IN_A_ROW = 64  # the zygote's queue of notices holds some hundreds


class VirtualLoop(asyncio.SelectorEventLoop):
    """Use it with `asyncio.Runner(loop_factory=VirtualLoop)`. Time starts at 0.

    It reads two things of asyncio's base loop that have no public name: the callbacks ready to run and the heap of
    timers (`_ready` and `_scheduled`, in CPython from 3.4 on).
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._now_s = 0.0
        self._threads = 0
        self.lockstep = Lockstep()
        self.network = MemoryNetwork(self)
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Seconds of simulated time."""
        return self._now_s

    def horizon_s(self) -> float:
        """Until when, for sure, nothing happens but what the VM that is acting now does."""
        if self._ready:
            return self._now_s
        return min(self._timer_s(), self.lockstep.quiet_s(self._now_s))

    def jump(self) -> bool:
        """Let VMs act until asyncio has something to do, and set the clock to it. False: nothing will ever come.

        Real descriptors are to be served even if VMs act for ever and no timer comes: so ACTS_IN_A_ROW at most.
        """
        for _ in range(ACTS_IN_A_ROW):
            if self._ready:
                break
            self.lockstep.settle()
            due_s, timer_s = self.lockstep.next_s(), self._timer_s()
            if due_s is None or due_s > timer_s:
                self._now_s = max(self._now_s, timer_s) if timer_s < FOR_EVER_S else self._now_s
                return timer_s < FOR_EVER_S
            self._now_s = max(self._now_s, due_s)
            self.lockstep.act()
        return True

    @property
    def held(self) -> bool:
        """True while a thread works for what runs here: the clock stands."""
        return self._threads > 0

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """As asyncio's; the clock stands until the work is done."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **_options: Any
    ) -> Any:
        """A datagram endpoint in memory."""
        return self.network.endpoint(protocol_factory(), local_addr, remote_addr)

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1

    def _timer_s(self) -> float:
        return self._scheduled[0].when() if self._scheduled else FOR_EVER_S


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._loop.held or not self._loop.jump():
            return super().select(None)  # a thread, a signal or a person
        return []
