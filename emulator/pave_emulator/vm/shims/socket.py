"""`socket`: UDP and TCP over IPv4, through the emulator's network, never straight to the host's.

Traps of the port that are kept (ports/esp32/modsocket.c): a read that returns nothing, which an empty datagram is
enough for, marks the peer as closed, and from then on every read returns b"" at once, until the socket is bound,
connected or made anew; a datagram longer than the buffer loses its end without a word; a timeout counts in steps of
100 ms and one step more, and one shorter than a step ends in EAGAIN; `sendto` takes addresses only, no names.
"""

import io
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
SO_BINDTODEVICE = 0x100B
IP_ADD_MEMBERSHIP = 3
TCP_NODELAY = 1
MSG_PEEK = 1
MSG_DONTWAIT = 8

_POLLOUT = 4
_IOCTL_POLL, _IOCTL_CLOSE = 3, 4  # MP_STREAM_POLL, MP_STREAM_CLOSE
_STEP_US = 100000  # SOCKET_POLL_US
_CHUNK_BYTES = 16384
_BACKLOG = 2  # MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT
_KNOWN_OPTIONS = (SO_REUSEADDR, SO_BROADCAST, SO_BINDTODEVICE, TCP_NODELAY)
_NEW, _CONNECTED, _PEER_CLOSED = range(3)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """One entry (family, type, proto, name, (address, port)) for an IPv4 address or a name the network knows."""
    number, port = _resolved((host, port))
    return [(AF_INET, type or SOCK_STREAM, proto, host or "0.0.0.0", (_format(number), port))]


def _parse(host):
    parts = host.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        return None
    return int(parts[0]) << 24 | int(parts[1]) << 16 | int(parts[2]) << 8 | int(parts[3])


def _format(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _plain(address):
    host, port = address
    number = _parse(host) if host else 0
    if number is None:
        raise ValueError("invalid arguments")
    return number, port


def _resolved(address):
    host, port = address
    number = _parse(host) if host else 0
    if number is None:
        number = struct.unpack("<I", rpc.wait(ops.RESOLVE, lambda left_us: (), -1, host.encode()))[0]
    return number, int(port)


class socket(io.IOBase):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, _accepted=None):
        if af != AF_INET or type not in (SOCK_STREAM, SOCK_DGRAM):
            raise OSError(ops.EPROTONOSUPPORT)  # the emulator carries UDP and TCP over IPv4
        self._stream = type == SOCK_STREAM
        self._state = _NEW if self._stream and _accepted is None else _CONNECTED
        self._retries = -1  # for ever
        self._wait_us = -1
        if _accepted is None:
            (_accepted,) = rpc.ask(ops.SOCK_STREAM if self._stream else ops.SOCK_OPEN)
        self._emu_id = _accepted

    def _id(self):
        if self._emu_id is None:
            raise OSError(ops.EBADF)
        return self._emu_id

    # Connections

    def bind(self, address):
        number, port = _resolved(address)
        self._state = _CONNECTED
        rpc.call(ops.SOCK_BIND, (self._id(), number, port))

    def listen(self, backlog=_BACKLOG):
        self._state = _CONNECTED
        rpc.call(ops.SOCK_LISTEN, (self._id(), max(0, backlog)))

    def accept(self):
        try:
            reply = rpc.wait(ops.SOCK_ACCEPT, lambda left_us: (self._id(), left_us), self._wait_us)
        except OSError as error:
            self._again(error)
        new, number, port = struct.unpack("<BIH", reply)
        return socket(_accepted=new), (_format(number), port)

    def connect(self, address):
        number, port = _resolved(address)
        self._state = _CONNECTED
        try:
            rpc.call(ops.SOCK_CONNECT, (self._id(), number, port))
        except OSError as error:
            if error.errno != ops.EINPROGRESS or self._wait_us == 0:
                raise
            self._connected()

    def _connected(self):
        if not self._writable():
            raise OSError(ops.ETIMEDOUT)
        (error,) = rpc.ask(ops.SOCK_ERROR, (self._id(),))
        if error:
            raise OSError(error)

    def _writable(self):
        return rpc.wait(ops.POLL, lambda left_us: (left_us,), self._wait_us, bytes((self._id(), _POLLOUT)))

    def close(self):
        if self._emu_id is not None:
            rpc.call(ops.SOCK_CLOSE, (self._emu_id,))
            self._emu_id = None

    # Sending

    def sendto(self, data, address):
        rpc.call(ops.SOCK_SEND, (self._id(),) + _plain(address), bytes(data))
        return len(data)

    def send(self, data):
        sent, data = 0, memoryview(data)
        while True:
            sent += self._send_some(data[sent : sent + _CHUNK_BYTES], sent)
            if sent >= len(data) or self._wait_us == 0:
                return sent

    def sendall(self, data):
        if self.send(data) < len(data):
            raise OSError(ops.ETIMEDOUT)

    def write(self, data):
        try:
            return self.send(data)
        except OSError as error:
            if error.errno == ops.EAGAIN:
                return None
            raise

    def _send_some(self, part, sent):
        while True:
            try:
                reply = rpc.call(ops.SOCK_SEND, (self._id(), 0, 0), bytes(part))
                return struct.unpack("<H", reply)[0] if self._stream else len(part)
            except OSError as error:
                if error.errno not in (ops.EAGAIN, ops.EINPROGRESS) or not self._stream:
                    raise
                if self._wait_us == 0 and sent:
                    return 0
                if self._wait_us == 0 or not self._writable():
                    raise OSError(ops.EAGAIN if self._retries == 0 else ops.ETIMEDOUT)

    # Receiving

    def recvfrom(self, size, flags=0):
        if flags & MSG_PEEK:
            raise OSError(ops.EOPNOTSUPP)  # the emulator does not look ahead
        if self._state == _NEW:
            raise OSError(ops.ENOTCONN)
        if self._state == _PEER_CLOSED:
            return b"", ("0.0.0.0", 0)  # the port leaves the address as it was on the stack
        timeout_us = 0 if flags & MSG_DONTWAIT else self._wait_us
        room = min(size, 0xFFFF)
        try:
            reply = rpc.wait(ops.SOCK_RECV, lambda left_us: (self._id(), room, left_us), timeout_us)
        except OSError as error:
            self._again(error)
        number, port = struct.unpack_from("<IH", reply)
        if len(reply) == 6:
            self._state = _PEER_CLOSED
        return reply[6:], (_format(number), port)

    def recv(self, size, flags=0):
        return self.recvfrom(size, flags)[0]

    def read(self, size=-1):
        """Until `size` bytes, or the end; what there is if the socket does not block, None if that is nothing."""
        parts, got = [], 0
        while size < 0 or got < size:
            try:
                part = self.recv(256 if size < 0 else size - got)
            except OSError as error:
                if error.errno != ops.EAGAIN:
                    raise
                return b"".join(parts) if parts else None
            if not part:
                break
            parts.append(part)
            got += len(part)
        return b"".join(parts)

    def readinto(self, buf, size=-1):
        data = self.read(len(buf) if size < 0 else min(size, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        line = b""
        while line[-1:] != b"\n" and (size < 0 or len(line) < size):
            part = self.read(1)
            if part is None:
                return line or None
            if not part:
                break
            line += part
        return line

    # Settings

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def settimeout(self, seconds):
        if seconds is None:
            self._retries, self._wait_us = -1, -1
            return
        self._retries = int(seconds * 1000) * 1000 // _STEP_US
        self._wait_us = (self._retries + 1) * _STEP_US if int(seconds * 1000) else 0

    def setsockopt(self, level, option, value):
        if option == 20 or option == IP_ADD_MEMBERSHIP:
            raise OSError(ops.EOPNOTSUPP)  # callbacks of webrepl, multicast: the emulator has neither
        if option not in _KNOWN_OPTIONS:
            print("Warning: lwip.setsockopt() option not implemented")

    def makefile(self, *args):
        return self

    def fileno(self):
        return -1 if self._emu_id is None else self._emu_id

    def ioctl(self, request, argument):
        """As streams of the VM (tls, select) ask."""
        if request == _IOCTL_CLOSE:
            self.close()
            return 0
        if request == _IOCTL_POLL and self._emu_id is not None:
            reply = rpc.call(ops.POLL, (0,), bytes((self._emu_id, argument)))
            return reply[1] if reply else 0
        return 32 if request == _IOCTL_POLL else -ops.EINVAL  # MP_STREAM_POLL_NVAL

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _again(self, error):
        """A wait of one step at most ends in EAGAIN, one of more in ETIMEDOUT."""
        if error.errno == ops.ETIMEDOUT and self._retries == 0:
            raise OSError(ops.EAGAIN)
        raise error
