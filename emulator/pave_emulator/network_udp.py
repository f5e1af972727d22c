"""UDP sockets of the firmware, with the limits of lwIP as the port configures it."""

from __future__ import annotations

import ipaddress
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pave_emulator.air.network import Address
from pave_emulator.air.wifi import MAX_DATAGRAM_BYTES, UdpPort, WifiAir
from pave_emulator.vm.channel import OpError
from pave_emulator.vm.shims import _emu_ops as ops

MAX_QUEUED_DATAGRAMS = 6  # CONFIG_LWIP_UDP_RECVMBOX_SIZE
POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


def packed(address: Address) -> bytes:
    """An address as an answer has it."""
    return struct.pack("<IH", int(ipaddress.IPv4Address(address[0])), address[1])


class Route(Protocol):
    """The device's interfaces, as its sockets see them."""

    def addressed(self) -> bool:
        """True while an interface has an address: sending is no error."""
        ...

    def reachable(self) -> bool:
        """True while what is sent gets somewhere."""
        ...


class DatagramSocket:
    """One UDP socket. Datagrams beyond the mailbox are dropped, as lwIP does."""

    def __init__(
        self,
        air: WifiAir,
        device: str,
        route: Route,
        on_change: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._on_change = on_change
        self._route = route
        self._log = log
        self._peer: Address | None = None
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._port = UdpPort(air, device, route.reachable, self._arrived)

    def bind(self, port: int) -> None:
        """Say where the host finds what the firmware calls `port`."""
        self._log(f"socket: port {port} of the device is 127.0.0.1:{self._port.port} on the host")

    def connect(self, peer: Address) -> None:
        """Hear and speak with one peer only."""
        self._peer = peer

    def send(self, data: bytes, to: Address | None) -> bytes:
        """Send one datagram; raise OpError with lwIP's errno."""
        to = to or self._peer
        if to is None:
            raise OpError(ops.ENOTCONN)
        if not self._route.addressed():
            raise OpError(ops.EHOSTUNREACH)
        if len(data) > MAX_DATAGRAM_BYTES:
            self._log(f"socket: datagram of {len(data)} bytes, at most {MAX_DATAGRAM_BYTES} fit a frame")
            raise OpError(ops.EINVAL)
        self._port.send(data, to)
        return b""

    def receive(self, room: int) -> bytes | None:
        """The oldest datagram and its sender, cut to `room` bytes; None while there is none."""
        if not self._queue:
            return None
        data, sender = self._queue.popleft()
        return packed(sender) + data[:room]

    def readiness(self) -> int:
        """What poll() says."""
        return POLLOUT | (POLLIN if self._queue else 0)

    def error(self) -> int:
        """SO_ERROR."""
        return 0

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def _arrived(self, data: bytes, sender: Address) -> None:
        if len(self._queue) < MAX_QUEUED_DATAGRAMS and self._peer in (None, sender):
            self._queue.append((data, sender))
            self._on_change()
