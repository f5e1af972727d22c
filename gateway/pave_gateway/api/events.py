"""Live changes to browsers: server-sent events (HTML standard, 9.2), a snapshot first and then one event per change.

Each client has a bounded queue. One that does not keep up is cut off; its browser connects again and gets a new
snapshot.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from pave_gateway.api.features import bay_properties
from pave_gateway.core import limits
from pave_gateway.core.bays import Bay, Bays

_END = ""


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
    def is_full(self) -> bool:
        """Whether no further client can be served."""
        return self.clients >= limits.EVENT_CLIENTS

    @property
    def clients(self) -> int:
        """How many clients are served."""
        return len(self._clients)

    def close(self) -> None:
        """End every stream."""
        for number in list(self._clients):
            self._cut_off(number)

    async def stream(self) -> AsyncIterator[str]:
        """Yield the text of events for one client, until it is cut off."""
        self._opened += 1
        number = self._opened
        queue = self._clients[number] = asyncio.Queue(limits.EVENTS_QUEUED_PER_CLIENT)
        try:
            yield _event("snapshot", [bay_properties(bay, self._clock_ms()) for bay in self._bays])
            while text := await _next(queue):
                yield text
        finally:
            self._clients.pop(number, None)

    def _changed(self, bay: Bay) -> None:
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
