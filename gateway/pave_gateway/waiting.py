"""A start on a full disk: it is tried again until there is room, and `/healthz` says so meanwhile.

    open -> no room -> a line in the log, 503 for whoever asks over HTTP -> START_AGAIN_S -> open ...
         -> anything else is wrong: the start is refused
         -> done

What is said of it each time is in the log once in NO_ROOM_SAID_S. The gateway's own HTTP server, which needs the
journal, takes over from the one that answers here: both accept from one queue, so nobody is turned away in between.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from pave_gateway.api.http_server import HttpServer
from pave_gateway.api.waiting import create_waiting_app
from pave_gateway.core import limits
from pave_gateway.log import repeats_left_out
from pave_gateway.store.errors import lacks_room

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
Open = Callable[[AsyncExitStack], Awaitable[_T]]


async def with_room(open_: Open[_T], stack: AsyncExitStack, listener: socket.socket) -> _T:
    """Return what `open_` does; while it cannot since the disk is full, try again.

    Args:
        open_: Given a stack of its own at each attempt, which undoes one that fails.
        stack: Is given that of the last one.
        listener: Where `/healthz` is served meanwhile; it stays open.

    Raises:
        What `open_` raises for another reason.
    """
    try:
        return await _attempt(open_, stack)
    except Exception as error:
        if not lacks_room(error):
            raise
        reason = str(error)
    async with AsyncExitStack() as meanwhile:
        http = HttpServer(create_waiting_app(lambda: reason), listener.dup())
        meanwhile.push_async_callback(http.close)
        meanwhile.enter_context(repeats_left_out(asyncio.get_running_loop().time, limits.NO_ROOM_SAID_S))
        while True:
            _log.error("not started yet: %s; tried again every %g s", reason, limits.START_AGAIN_S)
            await asyncio.sleep(limits.START_AGAIN_S)
            try:
                opened = await _attempt(open_, stack)
            except Exception as error:
                if not lacks_room(error):
                    raise
                reason = str(error)
            else:
                _log.info("the disk has room: the start goes on")
                return opened


async def _attempt(open_: Open[_T], stack: AsyncExitStack) -> _T:
    async with AsyncExitStack() as own:
        opened = await open_(own)
        await stack.enter_async_context(own.pop_all())
        return opened
