# pyright: reportMissingTypeStubs=false
"""A resource that can be observed (RFC 7641), on aiocoap.

Theory of operation. aiocoap has a task for each request. Here the task of a GET with Observe 0 does not end with its
response: it sends the newest state whenever there is another, at most every NOTIFY_SPACING_S, and if there is none once
more after NOTIFY_BY_S, before Max-Age ends. So an observer that hears nothing knows that something is wrong. aiocoap
cancels the task when the client answers RST, never answers, deregisters, or registers again under its token.

Each notification is confirmable, and none leaves before the last is acknowledged: what a slow or lossy path gets then
is the newest state, and no queue of old ones. One change is told to one observer after the other, NOTIFY_APART_S each:
the kiosks of a street share a radio channel. aiocoap alone would do as the request did: to an observer that registered
with a NON it would never send a CON, which RFC 7641, 4.5 wants once a day, nor see its RST.

aiocoap's own ObservableResource is not used: it notifies in the order of a set, another in each run, and it numbers
each registration from 0, so that a client that registers again takes the new for the old (4.4). Here the number is the
loop's time in ms, which no two notifications to one observer share.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import aiocoap
from aiocoap import resource
from aiocoap.numbers.codes import Code

from pave_gateway.core import limits

UnderWay = Callable[[Any], bool]
"""Of a message that was sent: whether it may still be sent again."""


class Observable(resource.Resource):
    """A resource whose `render_get` gives the state, with Max-Age FRESH_S; `changed` says that it is another."""

    def __init__(self) -> None:
        """Until `under_way` is set notifications do not wait for the last one."""
        super().__init__()
        self.under_way: UnderWay = lambda message: False
        self._news: dict[Any, asyncio.Event] = {}  # of each observer, by its request, in the order they registered

    def changed(self) -> None:
        """Let every observer know, soon."""
        for news in self._news.values():
            news.set()

    def get_link_description(self) -> dict[str, Any]:
        """As aiocoap's, with the attribute "obs" (RFC 7641, 6)."""
        return {**super().get_link_description(), "obs": None}

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer a request, for as long as it observes; one observer too many gets a plain response (4.1)."""
        request = pipe.request
        observes = request.code == Code.GET and request.opt.observe == 0 and request.opt.block2 is None
        if not observes or len(self._news) >= limits.OBSERVERS:
            await super().render_to_pipe(pipe)
            return
        turn_s = min(len(self._news) * limits.NOTIFY_APART_S, limits.NOTIFY_SPACING_S)
        news = self._news[pipe] = asyncio.Event()
        try:
            state = await self._tell(pipe)
            while state.code.is_successful():
                await self._due(state, news)
                await asyncio.sleep(turn_s)
                news.clear()
                state = await self._tell(pipe)
        finally:
            del self._news[pipe]

    async def _tell(self, pipe: Any) -> Any:
        """Send the state and return its message; an error is the last word to an observer."""
        state = await cast("Any", self).render(pipe.request)
        good = state.code.is_successful()
        if good:
            state.opt.observe = int(asyncio.get_running_loop().time() * 1000) & 0xFFFFFF
            state.transport_tuning = aiocoap.Reliable
        pipe.add_response(state, is_last=not good)
        return state

    async def _due(self, told: Any, news: asyncio.Event) -> None:
        """Wait until something else than what was told last may be sent, and is worth it."""
        await asyncio.sleep(limits.NOTIFY_SPACING_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.NOTIFY_BY_S - limits.NOTIFY_SPACING_S):
                await news.wait()
        while self.under_way(told):
            await asyncio.sleep(limits.NOTIFY_SPACING_S)
