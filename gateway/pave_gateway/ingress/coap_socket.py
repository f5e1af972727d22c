"""The UDP socket of the CoAP front: one, for IPv4 and IPv6.

Theory of operation. On a named address the event loop makes the socket (`create_datagram_endpoint`), so a simulation's
loop can make another kind; answers leave from that address, since there is no other. On a wildcard ("::", "0.0.0.0") a
host with several addresses would answer from whichever its routing table prefers, and a client takes nothing from an
address it did not ask. So there the kernel says with each datagram which address it came to (RFC 3542, 6; ip(7)), that
becomes part of the peer's address, and answers are sent from it. "::" is dual-stack: IPv4 peers appear as
"::ffff:192.0.2.1".

What is to be sent goes out once per turn of the loop, however many datagrams that turn brought.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

from pave_gateway.ingress.coap_exchanges import Address

_PACKET_INFO_BYTES = 20  # IPv6's; IPv4's has 12
_BATCH = 64  # datagrams read before others on the loop have their turn
_BUFFER_BYTES = 1 << 20  # for what arrives while Python is busy; the kernel gives what net.core.rmem_max allows
_ROOM = 2048  # more than a datagram may have, so that one too long is seen to be
_IP_PKTINFO: int | None = getattr(socket, "IP_PKTINFO", 8 if sys.platform == "linux" else None)  # named from 3.12 on
_WILDCARDS = {"::": getattr(socket, "IPV6_RECVPKTINFO", None), "0.0.0.0": _IP_PKTINFO}
_LINK_LOCAL = b"\xfe\x80"


class Front(Protocol):
    """What a socket serves; see `coap_front.CoapFront`."""

    def receive(self, data: bytes, address: Address, now_ms: int) -> None:
        """Take one datagram."""
        ...

    def datagrams_to_send(self, now_ms: int) -> list[tuple[bytes, Address]]:
        """Return what is to be sent."""
        ...

    def next_timeout(self) -> int | None:
        """Return when `handle_timeout` has something to do."""
        ...

    def handle_timeout(self, now_ms: int) -> None:
        """Do what is due."""
        ...


class CoapSocket(asyncio.DatagramProtocol):
    """Brings datagrams and time to a front, and takes from it what is to be sent."""

    def __init__(self) -> None:
        """`open` it once the front is there."""
        self._loop = asyncio.get_running_loop()
        self._front: Front | None = None
        self._port: asyncio.DatagramTransport | _WildcardPort | None = None
        self._settling = False
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0

    async def open(self, front: Front, host: str, port: int) -> tuple[str, int]:
        """Serve `front` on this address and return it, with the port that 0 became; raises OSError."""
        self._front = front
        told_by = _WILDCARDS.get(host)
        if told_by is not None:
            self._port = _WildcardPort(self._loop, self.datagram_received, host, port, told_by)
        else:
            self._port, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
            made = self._port.get_extra_info("socket")
            if made is not None:  # a simulation's has none
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        return host, cast("tuple[str, int]", self._port.get_extra_info("sockname"))[1]

    def close(self) -> None:
        """Stop listening."""
        if self._port is not None:
            self._port.close()
        if self._timer is not None:
            self._timer.cancel()
        self._front = None

    def wake(self) -> None:
        """Send, before this turn of the loop is over, what the front has."""
        if not self._settling:
            self._settling = True
            self._loop.call_soon(self._settle)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """See `asyncio.DatagramProtocol`."""
        if self._front is not None:
            self._front.receive(data, addr, int(self._loop.time() * 1000))
            self.wake()

    def error_received(self, exc: Exception) -> None:
        """See `asyncio.DatagramProtocol`: an ICMP error, which anyone can forge; retransmissions find out."""

    def _settle(self) -> None:
        self._settling = False
        front, port = self._front, self._port
        if front is None or port is None:
            return
        now_ms = int(self._loop.time() * 1000)
        for data, address in front.datagrams_to_send(now_ms):
            port.sendto(data, cast("Any", address))
        due_ms = front.next_timeout()
        if due_ms is not None and (self._timer is None or due_ms < self._due_ms):
            if self._timer is not None:
                self._timer.cancel()
            self._due_ms = due_ms
            self._timer = self._loop.call_at((due_ms + 1) / 1000, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        if self._front is not None:
            self._front.handle_timeout(int(self._loop.time() * 1000))
            self.wake()


class _WildcardPort:
    """A socket on all addresses of the host. A peer's address ends with what the kernel said of our own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes, Any], None], host: str, port: int, told_by: int
    ) -> None:
        """`told_by` is the socket option that asks for packet information; raises OSError if the port is not free."""
        self._loop = loop
        self._receive = receive
        six = ":" in host
        self._level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        self._kind = socket.IPV6_PKTINFO if six else told_by
        self._room = socket.CMSG_SPACE(_PACKET_INFO_BYTES)
        self._socket = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if six:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._socket.setsockopt(self._level, told_by, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        loop.add_reader(self._socket, self._readable)

    def get_extra_info(self, name: str) -> Any:
        """Return "sockname"."""
        return self._socket.getsockname() if name == "sockname" else None

    def sendto(self, data: bytes, address: Any) -> None:
        """Send from the address that the peer had sent to; what the host refuses is lost, as on the way."""
        with suppress(OSError):
            self._socket.sendmsg((data,), ((self._level, self._kind, address[-1]),), 0, address[:-1])

    def close(self) -> None:
        """Let go of the socket."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                data, ancillary, _, address = self._socket.recvmsg(_ROOM, self._room)
            except OSError:  # none left, or an ICMP error from an earlier send
                return
            told = next((value for _, kind, value in ancillary if kind == self._kind), b"")
            self._receive(data, (*address, _from(told)))


def _from(told: bytes) -> bytes:
    """Return what makes an answer leave from the address in the kernel's packet information, whichever way it takes.

    IPv4's is interface, our address, destination in the header (ip(7)); IPv6's is our address, interface (RFC 3542).
    The interface would force the way out, which is for routing to choose, but for link-local addresses.
    """
    if len(told) != _PACKET_INFO_BYTES:
        return bytes(4) + told[4:]
    return told if told.startswith(_LINK_LOCAL) else told[:16] + bytes(4)
