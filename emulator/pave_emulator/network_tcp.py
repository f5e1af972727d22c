"""TCP sockets of the firmware: connecting, listening, sending within lwIP's buffers.

Theory of operation. The connection itself is the clock's (`air.streams`); what is here is what the firmware sees of it:
a send buffer and a window of fixed size, the errors, and the device's paths. A piece that the path loses comes later,
by retransmissions; while the path is cut or the network is gone pieces wait, and after MAX_RETRANSMITS the connection
is aborted. A device that resets or sleeps just falls silent: its peer sees a reset, which on the board it would see
only when it next sends.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from typing import Any

from pave_emulator.air.network import Address
from pave_emulator.air.path import DOWN, UP
from pave_emulator.air.streams import Listener, StreamProtocol
from pave_emulator.air.wifi import WifiAir
from pave_emulator.network_lane import Lane
from pave_emulator.network_udp import POLLERR, POLLHUP, POLLIN, POLLOUT, Route, packed
from pave_emulator.vm.channel import OpError
from pave_emulator.vm.shims import _emu_ops as ops

SEND_BUFFER_BYTES = 5760  # CONFIG_LWIP_TCP_SND_BUF_DEFAULT
WINDOW_BYTES = 5760  # CONFIG_LWIP_TCP_WND_DEFAULT
ERRNO = {errno.ECONNREFUSED: 104, errno.ECONNRESET: 104, errno.ETIMEDOUT: 116, errno.ECONNABORTED: 113}
"""Of the host, to newlib's. lwIP says ECONNRESET for a connection that is refused (err_to_errno of ERR_RST)."""


class StreamSocket(StreamProtocol):
    """A TCP socket: new, connecting, connected, or ended; or one that listens."""

    def __init__(
        self,
        air: WifiAir,
        device: str,
        route: Route,
        on_change: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._parts = (air, device, route, on_change, log)
        self._air, self._device, self._route, self._on_change, self._log = self._parts
        self._up_lane = Lane(air, device, UP, route.reachable, self._abort)
        self._down_lane = Lane(air, device, DOWN, route.reachable, self._abort)
        self.state = "new"  # new, connecting, connected, listening, ended
        self.peer: Address = ("0.0.0.0", 0)
        self._transport: Any = None
        self._listener: Listener | None = None
        self._backlog = 0
        self._accepted: deque[StreamSocket] = deque()
        self._bound = 0
        self._received = bytearray()
        self._unsent = 0
        self._eof = False
        self._error = 0

    # The firmware's calls

    def bind(self, port: int) -> None:
        """The port to listen on."""
        self._bound = port

    def connect(self, peer: Address) -> None:
        """Begin to connect; raise OpError(EINPROGRESS), as a socket that does not block."""
        if self.state == "connected":
            raise OpError(ops.EISCONN)
        if self.state == "connecting":
            raise OpError(ops.EALREADY)
        if not self._route.addressed():
            raise OpError(ops.EHOSTUNREACH)
        self.state, self.peer = "connecting", peer
        self._up_lane.push(lambda: self._air.clock.network.streams.connect(self, peer))
        raise OpError(ops.EINPROGRESS)

    def listen(self, backlog: int) -> None:
        """Accept connections from now on."""
        self._listener = self._air.clock.network.streams.listen(lambda: _Accepting(self))
        self.state, self._backlog = "listening", max(1, backlog)
        self._log(f"socket: TCP port {self._bound} of the device is 127.0.0.1:{self._listener.number} on the host")

    def accept(self) -> StreamSocket | None:
        """The oldest connection nobody has taken; None while there is none."""
        if self.state != "listening":
            raise OpError(ops.EINVAL)
        return self._accepted.popleft() if self._accepted else None

    def send(self, data: bytes, to: Address | None) -> bytes | None:
        """Send what fits the buffer: the count, or None while nothing fits."""
        if self._error:
            raise OpError(self.error())
        if self.state == "connecting":
            raise OpError(ops.EINPROGRESS)
        if self.state != "connected":
            raise OpError(ops.ENOTCONN)
        part = data[: SEND_BUFFER_BYTES - self._unsent]
        if not part and data:
            return None
        self._unsent += len(part)
        self._up_lane.push(lambda: self._left(part))
        return len(part).to_bytes(2, "little")

    def receive(self, room: int) -> bytes | None:
        """What has come, with the peer's address; nothing but the address at the end, None while there is nothing."""
        if self._received:
            data = bytes(self._received[:room])
            del self._received[:room]
            if self._transport and len(self._received) < WINDOW_BYTES:
                self._transport.resume_reading()
            return packed(self.peer) + data
        if self._error:
            raise OpError(self.error())
        if self._eof or self.state == "ended":
            return packed(self.peer)
        if self.state != "connected":
            raise OpError(ops.ENOTCONN)
        return None

    def readiness(self) -> int:
        """What poll() says."""
        if self.state == "new":
            return POLLOUT | POLLHUP
        if self.state == "listening":
            return POLLIN if self._accepted else 0
        readable = POLLIN if self._received or self._eof or self._error or self.state == "ended" else 0
        writable = POLLOUT if self._error or (self.state == "connected" and self._unsent < SEND_BUFFER_BYTES) else 0
        return readable | writable | (POLLERR if self._error else 0)

    def error(self) -> int:
        """SO_ERROR: the pending error, which reading takes away."""
        error, self._error = self._error, 0
        return error

    def close(self) -> None:
        """Send what was written, then the end."""
        if self._listener:
            self._listener.close()
        for waiting in self._accepted:
            waiting.abort()
        if self._transport:
            self._up_lane.push(self._transport.close)
        self.state = "ended"

    def abort(self) -> None:
        """The chip has reset."""
        self.close()
        self._up_lane.stop()
        self._down_lane.stop()
        if self._transport:
            self._transport.abort()

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The peer has accepted."""
        self._transport = transport
        if self.state == "ended":
            self._transport.abort()
            return
        self._down_lane.push(self._established)

    def refused(self, error: int) -> None:
        """Nobody listens there."""
        self._down_lane.push(lambda: self._failed(ERRNO.get(error, ops.EHOSTUNREACH)))

    def data_received(self, data: bytes) -> None:
        """A piece from the peer."""
        self._down_lane.push(lambda: self._came(data))

    def eof_received(self) -> bool:
        """The peer sends no more; we may."""
        self._down_lane.push(self._ended_by_peer)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if exc is not None:
            self._down_lane.push(lambda: self._failed(ERRNO[errno.ECONNRESET]))
        elif self.state != "ended":
            self._down_lane.push(self._ended_by_peer)

    def adopt(self, accepted: _Accepting) -> StreamSocket | None:
        """A connection to the listening port; None when the backlog is full."""
        if len(self._accepted) >= self._backlog or self.state != "listening":
            return None
        sock = StreamSocket(*self._parts)
        sock._transport, sock.state = accepted.transport, "connected"
        sock.peer = accepted.transport.get_extra_info("peername")
        self._down_lane.push(lambda: self._welcome(sock))
        return sock

    def _welcome(self, sock: StreamSocket) -> None:
        self._accepted.append(sock)
        self._on_change()

    def _established(self) -> None:
        self.state = "connected"
        self._on_change()

    def _came(self, data: bytes) -> None:
        self._air.heard(self._device, DOWN, data, tcp=1)
        self._received += data
        if len(self._received) >= WINDOW_BYTES and self._transport:
            self._transport.pause_reading()
        self._on_change()

    def _left(self, part: bytes) -> None:
        self._air.heard(self._device, UP, part, tcp=1)
        self._unsent -= len(part)
        if self._transport:
            self._transport.write(part)
        self._on_change()

    def _ended_by_peer(self) -> None:
        self._eof = True
        self._on_change()

    def _abort(self) -> None:
        self._failed(ERRNO[errno.ECONNABORTED])
        self._up_lane.stop()
        self._down_lane.stop()

    def _failed(self, error: int) -> None:
        if self.state != "ended":
            self.state, self._error = "ended", error
            self._on_change()


class _Accepting(asyncio.Protocol):
    """A connection somebody else has made to a listening socket: it hands everything to the socket made for it."""

    def __init__(self, listener: StreamSocket) -> None:
        self._listener = listener
        self._socket: StreamSocket | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._socket = self._listener.adopt(self)
        if self._socket is None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._socket:
            self._socket.data_received(data)

    def eof_received(self) -> bool:
        return self._socket.eof_received() if self._socket else False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._socket:
            self._socket.connection_lost(exc)
