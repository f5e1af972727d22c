"""TCP of devices: connections over the host's loopback, or in the memory of a simulation.

Both ends are asyncio protocols. A connection that cannot be made ends in `refused(errno of the host)` of the protocol
that asked for it. In memory each piece takes the latency, nothing is lost and the order is kept.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

LOOPBACK = "127.0.0.1"
FIRST_EPHEMERAL_PORT = 49152  # RFC 6335, section 6
BACKLOG = 16

Address = tuple[str, int]


class StreamProtocol(asyncio.Protocol):
    """What a connection is made for."""

    def refused(self, error: int) -> None:
        """The connection could not be made; `error` is an errno of the host."""


Factory = Callable[[], asyncio.Protocol]


class Listener(Protocol):
    """A port that accepts."""

    number: int

    def close(self) -> None:
        """Accept no more."""


class Streams(Protocol):
    """Makes connections and listens."""

    def connect(self, protocol: StreamProtocol, to: Address) -> None:
        """Connect; `protocol` is told the outcome."""

    def listen(self, factory: Factory, number: int = 0) -> Listener:
        """Make a protocol for each connection to a port (0: any). Raise OSError when it is taken."""
        ...


class HostListener:
    """A TCP port on the host's loopback."""

    def __init__(self, factory: Factory, number: int, tasks: set[asyncio.Task[Any]]) -> None:
        self._socket = socket.create_server((LOOPBACK, number), backlog=BACKLOG)
        self.number: int = self._socket.getsockname()[1]
        self._factory = factory
        self._server: asyncio.Server | None = None
        self._task = asyncio.get_running_loop().create_task(self._serve())
        tasks.add(self._task)
        self._task.add_done_callback(tasks.discard)

    def close(self) -> None:
        """Accept no more."""
        self._task.cancel()
        if self._server:
            self._server.close()
        self._socket.close()

    async def _serve(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._factory, sock=self._socket)


class HostStreams:
    """The host's loopback."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def connect(self, protocol: StreamProtocol, to: Address) -> None:
        """Connect to whatever listens there."""
        task = asyncio.get_running_loop().create_task(self._connect(protocol, to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def listen(self, factory: Factory, number: int = 0) -> HostListener:
        """Listen on the loopback."""
        return HostListener(factory, number, self._tasks)

    async def _connect(self, protocol: StreamProtocol, to: Address) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: protocol, *to)
        except OSError as error:
            protocol.refused(error.errno or errno.ECONNREFUSED)


class MemoryStream(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, streams: MemoryStreams, protocol: asyncio.Protocol, local: int, remote: int) -> None:
        super().__init__({"sockname": (LOOPBACK, local), "peername": (LOOPBACK, remote)})
        self._streams = streams
        self._protocol = protocol
        self._peer: MemoryStream | None = None
        self._paused = False
        self._held: deque[bytes | Exception | None] = deque()

    def join(self, peer: MemoryStream) -> None:
        """Be connected to the other end."""
        self._peer = peer

    def write(self, data: Any) -> None:
        """Send; what is written after the end is lost."""
        self._send(bytes(data))

    def close(self) -> None:
        """Send what was written, then the end."""
        self._send(None)
        self._end(None)

    def abort(self) -> None:
        """End at once; the peer sees a reset."""
        self._send(ConnectionResetError(errno.ECONNRESET, "reset by peer"))
        self._end(None)

    def is_closing(self) -> bool:
        """True once it has ended."""
        return self._peer is None

    def pause_reading(self) -> None:
        """Hold back what arrives."""
        self._paused = True

    def resume_reading(self) -> None:
        """Deliver what was held back."""
        self._paused = False
        while self._held and not self._paused:
            self._take(self._held.popleft())

    def arrive(self, item: bytes | Exception | None) -> None:
        """Something has come from the peer: bytes, the end, or a reset."""
        if self._paused:
            self._held.append(item)
        else:
            self._take(item)

    def _send(self, item: bytes | Exception | None) -> None:
        if self._peer is not None:
            self._streams.carry(self._peer, item)

    def _take(self, item: bytes | Exception | None) -> None:
        if self._peer is None:
            return
        if isinstance(item, Exception):
            self._end(item)
        elif item is not None:
            self._protocol.data_received(item)
        elif not self._protocol.eof_received():
            self.close()

    def _end(self, error: Exception | None) -> None:
        if self._peer is not None:
            self._peer = None
            self._protocol.connection_lost(error)


class _MemoryListener:
    def __init__(self, streams: MemoryStreams, factory: Factory, number: int) -> None:
        self._streams = streams
        self.factory = factory
        self.number = number

    def close(self) -> None:
        self._streams.listeners.pop(self.number, None)


class MemoryStreams:
    """All connections of one simulation."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency_s: float) -> None:
        self._loop = loop
        self._latency_s = latency_s
        self._ephemeral = itertools.count(FIRST_EPHEMERAL_PORT)
        self._under_way: deque[Callable[[], None]] = deque()
        self.listeners: dict[int, _MemoryListener] = {}

    def connect(self, protocol: StreamProtocol, to: Address) -> None:
        """Connect to a port of the simulation."""
        number = next(self._ephemeral)
        self._later(lambda: self._knock(protocol, number, to[1]))

    def listen(self, factory: Factory, number: int = 0) -> _MemoryListener:
        """Listen on a port."""
        number = number or next(self._ephemeral)
        if number in self.listeners:
            raise OSError(errno.EADDRINUSE, f"port {number} is taken in this simulation")
        listener = self.listeners[number] = _MemoryListener(self, factory, number)
        return listener

    def carry(self, to: MemoryStream, item: bytes | Exception | None) -> None:
        """Bring something to an end of a connection."""
        self._later(lambda: to.arrive(item))

    def _knock(self, protocol: StreamProtocol, local: int, remote: int) -> None:
        listener = self.listeners.get(remote)
        if listener is None:
            self._later(lambda: protocol.refused(errno.ECONNREFUSED))
            return
        accepted = listener.factory()
        theirs = MemoryStream(self, accepted, remote, local)
        ours = MemoryStream(self, protocol, local, remote)
        theirs.join(ours)
        ours.join(theirs)
        self._later(lambda: protocol.connection_made(ours))  # before anything the other end sends
        accepted.connection_made(theirs)

    def _later(self, action: Callable[[], None]) -> None:
        self._under_way.append(action)
        self._loop.call_later(self._latency_s, self._next)

    def _next(self) -> None:
        self._under_way.popleft()()
