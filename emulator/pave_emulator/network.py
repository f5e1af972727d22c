"""The network calls of a VM: sockets and names here, interfaces in `network_wlan` and `network_lan`.

A socket sends over whichever interface has an address, Ethernet first, as ESP-IDF's default route does.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable

from pave_emulator.air.path import UP
from pave_emulator.air.station import Station
from pave_emulator.air.wifi import DNS_GIVE_UP_S
from pave_emulator.network_lan import LanOps
from pave_emulator.network_tcp import StreamSocket
from pave_emulator.network_udp import DatagramSocket, packed
from pave_emulator.network_wlan import WlanOps
from pave_emulator.vm.channel import PENDING, Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops
from pave_emulator.vm.waiter import Waiter

MAX_SOCKETS = 10  # CONFIG_LWIP_MAX_SOCKETS


class NetworkOps:
    """Handlers of the WLAN_*, AP_*, LAN_*, SOCK_*, POLL and RESOLVE calls of one device."""

    def __init__(
        self,
        station: Station,
        waiter: Waiter,
        reply: Callable[..., None],
        log: Callable[[str], None],
        lan: LanOps | None = None,
    ) -> None:
        """`lan` is what `network.LAN` finds; None where no board has been read."""
        self._station = station
        self._air = station.air
        self._waiter = waiter
        self._reply = reply
        self._log = log
        self._wlan = WlanOps(station, waiter, reply)
        self._lan = lan
        self._sockets: dict[int, DatagramSocket | StreamSocket] = {}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        own: dict[int, Handler] = {
            ops.SOCK_OPEN: lambda tail: self._open(DatagramSocket),
            ops.SOCK_STREAM: lambda tail: self._open(StreamSocket),
            ops.SOCK_BIND: self._bind,
            ops.SOCK_CONNECT: self._connect,
            ops.SOCK_LISTEN: self._listen,
            ops.SOCK_ACCEPT: self._accept,
            ops.SOCK_ERROR: self._error,
            ops.SOCK_SEND: self._send,
            ops.SOCK_RECV: self._receive,
            ops.SOCK_CLOSE: self._close,
            ops.POLL: self._poll,
            ops.RESOLVE: self._resolve,
        }
        return own | self._wlan.handlers() | (self._lan.handlers() if self._lan else {})

    def readable(self) -> bool:
        """True while a socket has something."""
        return any(sock.readiness() & 1 for sock in self._sockets.values())

    def close(self) -> None:
        """The chip has reset: interfaces off, sockets gone."""
        self._wlan.close()
        if self._lan:
            self._lan.close()
        for sock in self._sockets.values():
            if isinstance(sock, StreamSocket):
                sock.abort()
            else:
                sock.close()
        self._sockets.clear()

    # As sockets see it

    def addressed(self) -> bool:
        """True while an interface has an address."""
        return self._station.connected or (self._lan is not None and self._lan.connected)

    def reachable(self) -> bool:
        """True while what is sent gets somewhere."""
        return self._station.reachable or (self._lan is not None and self._lan.connected)

    # Sockets

    def _socket(self, number: int) -> DatagramSocket | StreamSocket:
        if number not in self._sockets:
            raise OpError(ops.EBADF)
        return self._sockets[number]

    def _stream(self, number: int) -> StreamSocket:
        sock = self._socket(number)
        if not isinstance(sock, StreamSocket):
            raise OpError(ops.EOPNOTSUPP)
        return sock

    def _number(self) -> int:
        free = [number for number in range(MAX_SOCKETS) if number not in self._sockets]
        if not free:
            self._log(f"socket: more than {MAX_SOCKETS} sockets open: close some")
            raise OpError(ops.ENFILE)
        return free[0]

    def _open(self, kind: type[DatagramSocket] | type[StreamSocket]) -> bytes:
        number = self._number()
        self._sockets[number] = kind(self._air, self._station.device, self, self._waiter.poke, self._log)
        return bytes([number])

    def _bind(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        self._socket(number).bind(port)
        return b""

    def _connect(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        self._socket(number).connect((str(ipaddress.IPv4Address(address)), port))
        return b""

    def _listen(self, number: int, backlog: int, tail: bytes) -> bytes:
        self._stream(number).listen(backlog)
        return b""

    def _accept(self, number: int, timeout_us: int, tail: bytes) -> bytes | None:
        listener = self._stream(number)

        def take() -> bytes | None:
            sock = listener.accept()
            if sock is None:
                return None
            try:
                new = self._number()
            except OpError:
                sock.abort()
                raise
            self._sockets[new] = sock
            return bytes([new]) + packed(sock.peer)

        return self._wait(take, timeout_us)

    def _error(self, number: int, tail: bytes) -> bytes:
        return struct.pack("<H", self._socket(number).error())

    def _send(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        to = (str(ipaddress.IPv4Address(address)), port) if port else None
        sent = self._socket(number).send(tail, to)
        if sent is None:
            raise OpError(ops.EAGAIN)
        return sent

    def _receive(self, number: int, room: int, timeout_us: int, tail: bytes) -> bytes | None:
        sock = self._socket(number)
        return self._wait(lambda: sock.receive(room), timeout_us)

    def _wait(self, take: Callable[[], bytes | None], timeout_us: int) -> bytes | None:
        """Answer when `take` has something; an error that it raises later answers as well."""
        failed: list[int] = []

        def check() -> bytes | None:
            try:
                return take()
            except OpError as error:
                failed.append(error.status)
                return b""

        def answer(body: bytes = b"", status: int = 0) -> None:
            self._reply(body, failed[0] if failed and not status else status)

        status = ops.ETIMEDOUT if timeout_us else ops.EAGAIN
        self._waiter.wait(check, answer, _seconds(timeout_us), lambda: self._reply(status=status))
        return PENDING

    def _close(self, number: int, tail: bytes) -> bytes:
        self._socket(number).close()
        del self._sockets[number]
        return b""

    def _poll(self, timeout_us: int, tail: bytes) -> bytes | None:
        wanted = list(zip(tail[0::2], tail[1::2], strict=True))

        def ready() -> bytes | None:
            pairs = [(number, self._readiness(number, mask)) for number, mask in wanted]
            return b"".join(bytes(pair) for pair in pairs if pair[1]) or None

        self._waiter.wait(ready, self._reply, _seconds(timeout_us), self._reply)
        return PENDING

    def _readiness(self, number: int, mask: int) -> int:
        return self._socket(number).readiness() & (mask | ERROR_MASK)

    # Names

    def _resolve(self, tail: bytes) -> bytes | None:
        name = tail.decode()
        if not self.addressed():
            raise OpError(ops.EAI_FAIL)
        address = self._air.hosts.get(name)
        if address is None:
            self._log(f"DNS: {name!r} is unknown here; names known: {sorted(self._air.hosts)}")
        answered = self.reachable() and not self._air.paths.of(self._station.device, UP).cut

        def answer() -> None:
            if address is None or not answered:
                self._reply(status=ops.EAI_FAIL)
            else:
                self._reply(struct.pack("<I", int(ipaddress.IPv4Address(address))))

        self._waiter.wait(_nothing, self._reply, self._air.dns_s if answered else DNS_GIVE_UP_S, answer)
        return PENDING


ERROR_MASK = 8 | 16  # POLLERR and POLLHUP are told whether they were asked for or not


def _seconds(timeout_us: int) -> float | None:
    return None if timeout_us < 0 else timeout_us / 1e6


def _nothing() -> bytes | None:
    return None
