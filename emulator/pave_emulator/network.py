"""The network calls of a VM: WLAN and UDP sockets, with the errors and limits of the ESP32 port."""

from __future__ import annotations

import ipaddress
import struct
from collections import deque
from collections.abc import Callable

from pave_emulator.air.wifi import LOOPBACK, MAX_DATAGRAM_BYTES, RSSI_DBM, Address, Station, UdpPort
from pave_emulator.vm.channel import PENDING, Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops
from pave_emulator.vm.waiter import Waiter

MAX_SOCKETS = 10  # CONFIG_LWIP_MAX_SOCKETS
MAX_QUEUED_DATAGRAMS = 6  # CONFIG_LWIP_UDP_RECVMBOX_SIZE
POLLIN, POLLOUT = 1, 4


class DeviceSocket:
    """One UDP socket of the firmware. Datagrams beyond the mailbox are dropped, as lwIP does."""

    def __init__(self, station: Station, on_arrival: Callable[[], None]) -> None:
        self._on_arrival = on_arrival
        self.peer: Address | None = None
        self.queue: deque[tuple[bytes, Address]] = deque()
        self.port = UdpPort(station, self._arrived)

    def _arrived(self, data: bytes, sender: Address) -> None:
        if len(self.queue) < MAX_QUEUED_DATAGRAMS and self.peer in (None, sender):
            self.queue.append((data, sender))
            self._on_arrival()


class NetworkOps:
    """Handlers of the WLAN_*, SOCK_*, POLL and RESOLVE calls of one boot."""

    def __init__(
        self, station: Station, waiter: Waiter, reply: Callable[..., None], log: Callable[[str], None]
    ) -> None:
        self._station = station
        self._waiter = waiter
        self._reply = reply
        self._log = log
        self._sockets: dict[int, DeviceSocket] = {}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.WLAN_ACTIVE: self._active,
            ops.WLAN_CONNECT: self._connect,
            ops.WLAN_DISCONNECT: self._disconnect,
            ops.WLAN_STATUS: self._status,
            ops.WLAN_IFCONFIG: self._ifconfig,
            ops.SOCK_OPEN: self._open,
            ops.SOCK_BIND: self._bind,
            ops.SOCK_CONNECT: self._set_peer,
            ops.SOCK_SEND: self._send,
            ops.SOCK_RECV: self._receive,
            ops.SOCK_CLOSE: self._close,
            ops.POLL: self._poll,
            ops.RESOLVE: self._resolve,
        }

    def close(self) -> None:
        """The chip has reset: radio off, sockets gone."""
        self._station.set_active(False)
        for sock in self._sockets.values():
            sock.port.close()
        self._sockets.clear()

    # WLAN

    def _active(self, wanted: int, tail: bytes) -> bytes:
        if wanted >= 0:
            self._station.set_active(bool(wanted))
        return bytes([self._station.active])

    def _connect(self, ssid_bytes: int, tail: bytes) -> bytes:
        self._station.connect(tail[:ssid_bytes].decode(), tail[ssid_bytes:].decode())
        return b""

    def _disconnect(self, tail: bytes) -> bytes:
        self._station.disconnect()
        return b""

    def _status(self, tail: bytes) -> bytes:
        return struct.pack("<Hb", self._station.status, RSSI_DBM if self._station.connected else 0)

    def _ifconfig(self, tail: bytes) -> bytes:
        if not self._station.connected:
            return b"0.0.0.0 0.0.0.0 0.0.0.0 0.0.0.0"
        return f"{LOOPBACK} 255.0.0.0 {LOOPBACK} {LOOPBACK}".encode()

    # Sockets

    def _socket(self, number: int) -> DeviceSocket:
        if number not in self._sockets:
            raise OpError(ops.EBADF)
        return self._sockets[number]

    def _open(self, tail: bytes) -> bytes:
        free = [number for number in range(MAX_SOCKETS) if number not in self._sockets]
        if not free:
            self._log(f"socket: more than {MAX_SOCKETS} sockets open: close some")
            raise OpError(ops.EMFILE)
        self._sockets[free[0]] = DeviceSocket(self._station, self._waiter.poke)
        return bytes([free[0]])

    def _bind(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        self._log(f"socket: port {port} of the device is 127.0.0.1:{self._socket(number).port.port} on the host")
        return b""

    def _set_peer(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        self._socket(number).peer = (str(ipaddress.IPv4Address(address)), port)
        return b""

    def _send(self, number: int, address: int, port: int, tail: bytes) -> bytes:
        sock = self._socket(number)
        to = (str(ipaddress.IPv4Address(address)), port) if port else sock.peer
        if to is None:
            raise OpError(ops.ENOTCONN)
        if not self._station.connected:
            raise OpError(ops.EHOSTUNREACH)
        if len(tail) > MAX_DATAGRAM_BYTES:
            self._log(f"socket: datagram of {len(tail)} bytes, at most {MAX_DATAGRAM_BYTES} fit a frame")
            raise OpError(ops.EINVAL)
        sock.port.send(tail, to)
        return b""

    def _receive(self, number: int, room: int, timeout_ms: int, tail: bytes) -> bytes | None:
        sock = self._socket(number)

        def take() -> bytes | None:
            if not sock.queue:
                return None
            data, (host, port) = sock.queue.popleft()
            return struct.pack("<IH", int(ipaddress.IPv4Address(host)), port) + data[:room]

        status = ops.ETIMEDOUT if timeout_ms else ops.EAGAIN
        timeout_s = None if timeout_ms < 0 else timeout_ms / 1000
        self._waiter.wait(take, self._reply, timeout_s, lambda: self._reply(status=status))
        return PENDING

    def _close(self, number: int, tail: bytes) -> bytes:
        self._socket(number).port.close()
        del self._sockets[number]
        return b""

    def _poll(self, timeout_ms: int, tail: bytes) -> bytes | None:
        wanted = list(zip(tail[0::2], tail[1::2], strict=True))

        def ready() -> bytes | None:
            pairs = [(number, self._readiness(number) & mask) for number, mask in wanted]
            return b"".join(bytes(pair) for pair in pairs if pair[1]) or None

        timeout_s = None if timeout_ms < 0 else timeout_ms / 1000
        self._waiter.wait(ready, self._reply, timeout_s, self._reply)
        return PENDING

    def _readiness(self, number: int) -> int:
        return POLLOUT | (POLLIN if self._socket(number).queue else 0)

    def _resolve(self, tail: bytes) -> bytes:
        name = tail.decode()
        address = self._station.air.hosts.get(name)
        if address is None or not self._station.connected:
            self._log(f"DNS: {name!r} is unknown here; names known: {sorted(self._station.air.hosts)}")
            raise OpError(ops.EAI_FAIL)
        return struct.pack("<I", int(ipaddress.IPv4Address(address)))
