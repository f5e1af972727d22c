"""Where datagrams and streams of devices go to and come from: the host's loopback, or the memory of a simulation.

Both give a device's socket a port of its own on 127.0.0.1. In memory a datagram takes LATENCY_S, and one to a port
nobody has opened is lost. Streams are in `air.streams`.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pave_emulator.air.streams import FIRST_EPHEMERAL_PORT, LOOPBACK, Address, HostStreams, MemoryStreams, Streams

LATENCY_S = 0.001

Receiver = Callable[[bytes, Address], None]


class Port(Protocol):
    """An open UDP port."""

    number: int

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; what cannot be sent is lost."""

    def close(self) -> None:
        """Give the port back."""


class Network(Protocol):
    """Opens ports; `streams` connects and listens."""

    streams: Streams

    def open(self, receiver: Receiver, number: int = 0) -> Port:
        """Open a port (0: any); `receiver(data, sender)` is called for each arrival."""
        ...


class HostPort:
    """A UDP socket on the host's loopback, read by the running loop."""

    def __init__(self, receiver: Receiver, number: int) -> None:
        self._receiver = receiver
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, number))
        self.number: int = self._socket.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; one that the host refuses is lost, as on the air."""
        try:
            self._socket.sendto(data, to)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of the host's socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            data, sender = self._socket.recvfrom(65536)
        except OSError:
            return  # an ICMP error from an earlier send: UDP on the board does not report it either
        self._receiver(data, sender)


class HostNetwork:
    """The host's loopback: whatever listens there is on the devices' network."""

    def __init__(self) -> None:
        self.streams: Streams = HostStreams()

    def open(self, receiver: Receiver, number: int = 0) -> HostPort:
        """Open a socket."""
        return HostPort(receiver, number)


class MemoryPort:
    """A port of a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, receiver: Receiver, number: int) -> None:
        self._network = network
        self.receiver = receiver
        self.number = number

    def send(self, data: bytes, to: Address) -> None:
        """Deliver after LATENCY_S."""
        self._network.carry(data, self.number, to)

    def close(self) -> None:
        """Give the port back."""
        self._network.ports.pop(self.number, None)


class MemoryNetwork:
    """All ports of one simulation."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ephemeral = itertools.count(FIRST_EPHEMERAL_PORT)
        self._under_way: deque[tuple[bytes, int, int]] = deque()
        self.ports: dict[int, MemoryPort] = {}
        self.streams: Streams = MemoryStreams(loop, LATENCY_S)

    def open(self, receiver: Receiver, number: int = 0) -> MemoryPort:
        """Open a port. Raise OSError when it is taken."""
        number = number or next(self._ephemeral)
        if number in self.ports:
            raise OSError(f"port {number} is taken in this simulation")
        port = self.ports[number] = MemoryPort(self, receiver, number)
        return port

    def carry(self, data: bytes, sender: int, to: Address) -> None:
        """Bring a datagram to whoever has the port then."""
        self._under_way.append((data, sender, to[1]))
        self._loop.call_later(LATENCY_S, self._arrive)

    def endpoint(self, protocol: Any, local: Address | None, remote: Address | None) -> tuple[MemoryTransport, Any]:
        """An asyncio datagram endpoint."""
        transport = MemoryTransport(self, protocol, local, remote)
        protocol.connection_made(transport)
        return transport, protocol

    def _arrive(self) -> None:
        data, sender, number = self._under_way.popleft()  # timers of one instant keep no order, the queue does
        port = self.ports.get(number)
        if port:
            port.receiver(data, (LOOPBACK, sender))


class MemoryTransport(asyncio.DatagramTransport):
    """asyncio's view of a MemoryPort."""

    def __init__(self, network: MemoryNetwork, protocol: Any, local: Address | None, remote: Address | None) -> None:
        super().__init__()
        self._protocol = protocol
        self._remote = remote
        self._closing = False
        self._port = network.open(protocol.datagram_received, local[1] if local else 0)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`sockname` and `peername` are known."""
        return {"sockname": (LOOPBACK, self._port.number), "peername": self._remote}.get(name, default)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send to `addr`, or to the peer of a connected endpoint."""
        to = addr or self._remote
        if to is not None:
            self._port.send(bytes(data), to)

    def is_closing(self) -> bool:
        """True after close."""
        return self._closing

    def close(self) -> None:
        """Give the port back."""
        if not self._closing:
            self._closing = True
            self._port.close()
            self._protocol.connection_lost(None)

    def abort(self) -> None:
        """The same as close: nothing is buffered."""
        self.close()
