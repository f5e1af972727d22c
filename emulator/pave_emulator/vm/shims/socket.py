"""`socket`: UDP over IPv4. Datagrams go through the emulator's Wi-Fi, never straight to the host's network.

Two traps of the port are kept (ports/esp32/modsocket.c, `_socket_read_data`): a read that returns nothing, which an
empty datagram is enough for, marks the peer as closed, and from then on every read returns b"" at once, whatever has
arrived, until the socket is bound, connected or made anew. And a datagram longer than the buffer loses its end without
a word.
"""

import struct

import _emu_ops as ops
import _emu_rpc as rpc

AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_IP = 0
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
SO_BROADCAST = 0x20


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """One entry (family, type, proto, name, (address, port)) for an IPv4 address or a name the air knows."""
    if _parse(host) is None:
        host = _format(rpc.ask(ops.RESOLVE, (), host.encode())[0])
    return [(AF_INET, type or SOCK_DGRAM, proto, "", (host, int(port)))]


def _parse(host):
    parts = host.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        return None
    return int(parts[0]) << 24 | int(parts[1]) << 16 | int(parts[2]) << 8 | int(parts[3])


def _format(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _number(address):
    host, port = address
    if host == "":
        return 0, port
    number = _parse(host)
    if number is None:
        number = rpc.ask(ops.RESOLVE, (), host.encode())[0]
    return number, port


class socket:
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0):
        if af != AF_INET or type != SOCK_DGRAM:
            raise OSError(ops.EPROTONOSUPPORT)  # the emulator carries UDP over IPv4 only
        self._timeout_ms = -1
        self._peer_closed = False
        (self._emu_id,) = rpc.ask(ops.SOCK_OPEN)

    def bind(self, address):
        self._peer_closed = False
        rpc.call(ops.SOCK_BIND, (self._emu_id,) + _number(address))

    def connect(self, address):
        self._peer_closed = False
        rpc.call(ops.SOCK_CONNECT, (self._emu_id,) + _number(address))

    def sendto(self, data, address):
        rpc.call(ops.SOCK_SEND, (self._emu_id,) + _number(address), bytes(data))
        return len(data)

    def send(self, data):
        rpc.call(ops.SOCK_SEND, (self._emu_id, 0, 0), bytes(data))
        return len(data)

    write = send

    def recvfrom(self, size):
        if self._peer_closed:
            return b"", ("0.0.0.0", 0)  # the port leaves the address as it was on the stack
        reply = rpc.call(ops.SOCK_RECV, (self._emu_id, size, self._timeout_ms))
        number, port = struct.unpack_from("<IH", reply)
        self._peer_closed = len(reply) == 6
        return reply[6:], (_format(number), port)

    def recv(self, size):
        return self.recvfrom(size)[0]

    read = recv

    def recv_into(self, buf, size=0):
        data = self.recv(min(size or len(buf), len(buf)))
        buf[: len(data)] = data
        return len(data)

    def setblocking(self, flag):
        self._timeout_ms = -1 if flag else 0

    def settimeout(self, seconds):
        self._timeout_ms = -1 if seconds is None else int(seconds * 1000)

    def setsockopt(self, level, option, value):
        if option not in (SO_REUSEADDR, SO_BROADCAST):
            raise OSError(ops.EINVAL)

    def fileno(self):
        return self._emu_id

    def close(self):
        if self._emu_id is not None:
            rpc.call(ops.SOCK_CLOSE, (self._emu_id,))
            self._emu_id = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
