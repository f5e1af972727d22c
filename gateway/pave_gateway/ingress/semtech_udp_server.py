"""The UDP socket of the packet forwarders, and the clock of the network server behind it.

`SemtechUdp` and `NetworkServer` do no I/O; this brings them datagrams and time. Both run on the event loop's clock, so
under a simulated loop on simulated time. Whatever makes the network server due earlier happens in one of the calls
below, `transmit` included: it comes from a commit.

The socket is bound to one address. On a wildcard a host with several addresses would answer from whichever its routing
table prefers, and a forwarder, whose sockets are connected, would not hear it.
"""

import asyncio
from typing import Any, Protocol, cast

from pave_gateway.core.lorawan.ports import RandomSource
from pave_gateway.core.lorawan.radio import Downlink
from pave_gateway.ingress.semtech_udp_front import SemtechUdp, Server
from pave_gateway.ingress.semtech_udp_peers import Address
from pave_gateway.log import LimitedLog


class TimedServer(Server, Protocol):
    """A network server with its time-outs."""

    def next_timeout(self) -> int | None:
        """Return when `handle_timeout` is due."""
        ...

    def handle_timeout(self, now_ms: int) -> None:
        """Do what is due."""
        ...


class SemtechUdpServer(asyncio.DatagramProtocol):
    """See above. `front` has peers and counters."""

    def __init__(self, allowed: frozenset[str] | None, source: RandomSource, log: LimitedLog) -> None:
        """Make one on the running loop; `open` it once there is a network server. Arguments as `SemtechUdp`."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._server: TimedServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self.front = SemtechUdp(allowed, self.monotonic_ms, source, self._send, log)

    def monotonic_ms(self) -> int:
        """Return the time that the network server is to use."""
        return int(self._loop.time() * 1000)

    def transmit(self, downlink: Downlink) -> None:
        """Send a frame on its way; what `NetworkServer` calls."""
        self.front.transmit(downlink)
        self._schedule()

    async def open(self, server: TimedServer, host: str, port: int) -> tuple[str, int]:
        """Serve `server` on this address and return it, with the port that 0 became; raises OSError."""
        self._server = server
        self.front.serve(server)
        self._transport, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._schedule()
        return host, cast("tuple[str, int]", self._transport.get_extra_info("sockname"))[1]

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._transport = self._server = self._timer = None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """See `asyncio.DatagramProtocol`."""
        if self._server is not None:
            self.front.receive(data, addr, self.monotonic_ms())
            self._schedule()

    def _send(self, data: bytes, address: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, cast("Any", address))

    def _schedule(self) -> None:
        due_ms = self._server.next_timeout() if self._server is not None else None
        if due_ms is None or (self._timer is not None and self._due_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_ms = due_ms
        self._timer = self._loop.call_at((due_ms + 0.5) / 1000, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        if self._server is not None:
            self._server.handle_timeout(self.monotonic_ms())
            self._schedule()
