"""What the gateway has to ask of devices on IP, asked when they can be reached: commands (`core.commands`).

A device is asked when there is something new for it, and whenever it is heard: one that sleeps cannot be reached at
other times. One question to a device is under way at a time; what it answers is on disk before the next. A question
that is due again takes the place of one that nobody answered: the device may have woken, or moved, meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable

from pave_gateway.core.change import Change, submit
from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome
from pave_gateway.core.instant import Now
from pave_gateway.core.shadow_resources import Link, Request, Resources
from pave_gateway.ingress.coap_site import CoapServer, Response, Unreachable
from pave_wire import model

_log = logging.getLogger(__name__)

_SUCCESS = 2  # class of a response code
_MAX_BYTES = 1024  # one block


class Asking:
    """Asks devices through a running `CoapServer`."""

    def __init__(self, resources: Resources, committer: Committer, now: Callable[[], Now]) -> None:
        """`now` is the site's time. Nothing is asked before `begin`."""
        self._server: CoapServer | None = None
        self._resources = resources
        self._committer = committer
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, server: CoapServer) -> None:
        """Ask through `server` from now on."""
        self._server = server

    def reachable(self, device: str) -> None:
        """Ask `device` what there is to ask, if it can be heard on IP."""
        if not self._resources.has_commands(device):
            return
        server = self._server
        if server is None or not server.can_reach(device):
            return
        request = self._next(device)
        if request is not None:
            under_way = self._tasks.pop(device, None)
            if under_way is not None:
                under_way.cancel()
            task = self._tasks[device] = asyncio.create_task(self._ask(server, device, request), name=f"ask {device}")
            task.add_done_callback(lambda task: self._asked(device, task))

    async def close(self) -> None:
        """Ask nothing more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _next(self, device: str) -> Request | None:
        return self._resources.next_for(device, Link.IP, self._now(), _MAX_BYTES)

    def _asked(self, device: str, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(device) is task:
            del self._tasks[device]
        if not task.cancelled() and task.exception() is not None:
            _log.error("asking %s failed", device, exc_info=task.exception())

    async def _ask(self, server: CoapServer, device: str, request: Request | None) -> None:
        """Ask one question after the other, as long as they are answered."""
        while request is not None:
            if request.change is not None and not await self._commit(request.change):  # on disk before it is sent
                return
            try:
                response = await server.ask(
                    device, request.code, request.path, request.payload, model.CONTENT_FORMAT_CBOR
                )
            except Unreachable as error:
                _log.info("%s", error)  # it is asked again when it is heard
                return
            await self._take(device, response)
            request = self._next(device)

    async def _take(self, device: str, response: Response) -> None:
        if response.code >> 5 == _SUCCESS and response.payload:
            reply = self._resources.answered(device, response.payload, self._now())
            if reply.rows:
                await self._commit(Change(reply.rows, reply.apply))

    async def _commit(self, change: Change) -> bool:
        """Make `change` durable; it takes effect then, whether or not this task still waits."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            submit(self._committer, change, lambda outcome: None if done.done() else done.set_result(outcome))
        except CommitterBusy:
            return False
        return isinstance(await done, Committed)
