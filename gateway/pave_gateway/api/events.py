"""Live changes to browsers: server-sent events (HTML standard, 9.2), a snapshot first and then one event per change.

Each client has a bounded queue. One that does not keep up is cut off; its browser connects again and gets a new
snapshot.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pave_gateway.api.features import bay_properties
from pave_gateway.core import limits
from pave_gateway.core.bays import Bay, Bays

_END = ""


class EventStream:
    """The text of events for one client, until it is cut off. Iterate it once; `close` it whatever happens."""

    def __init__(self, queue: "asyncio.Queue[str]", close: Callable[[], None]) -> None:
        """Made by `EventHub.open`."""
        self._queue = queue
        self.close = close

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> str:
        """Return the next event, or a comment that keeps the connection open."""
        text = await _next(self._queue)
        if text == _END:
            self.close()
            raise StopAsyncIteration
        return text


class EventHub:
    """Hands changes of the bays to any number of clients, up to `limits.EVENT_CLIENTS`."""

    def __init__(self, bays: Bays, clock_ms: Callable[[], int]) -> None:
        """Subscribe to `bays`."""
        self._bays = bays
        self._clock_ms = clock_ms
        self._clients: dict[int, asyncio.Queue[str]] = {}
        self._opened = 0
        bays.subscribe(self._changed)

    @property
    def clients(self) -> int:
        """How many clients are served."""
        return len(self._clients)

    def close(self) -> None:
        """End every stream."""
        for number in list(self._clients):
            self._cut_off(number)

    def open(self) -> EventStream | None:
        """Return the events for one more client, a snapshot first; None when there are as many as can be served.

        The place is taken here and now, not when the client reads: `EventStream.close` gives it back.
        """
        if self.clients >= limits.EVENT_CLIENTS:
            return None
        self._opened += 1
        number = self._opened
        queue = self._clients[number] = asyncio.Queue(limits.EVENTS_QUEUED_PER_CLIENT)
        queue.put_nowait(_event("snapshot", [bay_properties(bay, self._clock_ms()) for bay in self._bays]))
        return EventStream(queue, lambda: self._forget(number))

    def _forget(self, number: int) -> None:
        self._clients.pop(number, None)

    def _changed(self, bay: Bay) -> None:
        if not self._clients:
            return
        text = _event("change", bay_properties(bay, self._clock_ms()))
        for number, queue in list(self._clients.items()):
            if queue.full():
                self._cut_off(number)
            else:
                queue.put_nowait(text)

    def _cut_off(self, number: int) -> None:
        queue = self._clients.pop(number)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(_END)


async def _next(queue: "asyncio.Queue[str]") -> str:
    try:
        return await asyncio.wait_for(queue.get(), limits.EVENT_KEEPALIVE_S)
    except TimeoutError:
        return ": still here\n\n"


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n"
