"""Many datagrams per system call, to and from one socket, each from an address of its own: Linux, IPv4, loopback.

sendmmsg(2) and recvmmsg(2) by way of ctypes. What is to be sent is laid out beforehand, so that sending 64 datagrams is
one call and no loop in Python. The whole of 127.0.0.0/8 is this host (RFC 1122, 3.2.1.3), so every sender gets an
address of its own by IP_PKTINFO (ip(7)) and its answers still come back to the one socket.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence

SLOT_BYTES = 128  # of one answer; what is longer is cut
BATCH = 256
MSG_WAITFORONE = 0x10000
_FIRST_SOURCE = 127 << 24 | 1 << 16  # 127.1.0.0
_BUFFER_BYTES = 8 << 20  # of the socket, either way

# struct mmsghdr, iovec, and a cmsghdr with an in_pktinfo, of a 64-bit Linux
_MMSGHDR = struct.Struct("@QI4xQQQQi4xI4x")
_IOVEC = struct.Struct("@QQ")
_PKTINFO = struct.Struct("@Qiii4s4s4x")
_PKTINFO_BYTES = 28  # without what aligns the next
_IP_PKTINFO = 8  # named in `socket` from Python 3.14 on
_libc = ctypes.CDLL(None, use_errno=True)


def source(number: int) -> str:
    """Return the address of sender `number`."""
    return socket.inet_ntoa(struct.pack(">I", _FIRST_SOURCE + number))


class Sendable:
    """Datagrams in the form that sendmmsg(2) takes."""

    def __init__(self, datagrams: Sequence[bytes], senders: Sequence[int], port: int) -> None:
        """`senders` has the number of the sender of each; `port` of 127.0.0.1 is where all go."""
        self._data = ctypes.create_string_buffer(b"".join(datagrams))
        self._name = ctypes.create_string_buffer(struct.pack("=H", socket.AF_INET) + struct.pack(">H", port)
                                                 + socket.inet_aton("127.0.0.1") + bytes(8))  # fmt: skip
        distinct = {number: at for at, number in enumerate(dict.fromkeys(senders))}
        self._control = ctypes.create_string_buffer(b"".join(map(_pktinfo, distinct)))
        self._vectors = ctypes.create_string_buffer(len(datagrams) * _IOVEC.size)
        self._headers = ctypes.create_string_buffer(len(datagrams) * _MMSGHDR.size)
        name, control = ctypes.addressof(self._name), ctypes.addressof(self._control)
        data, vector = ctypes.addressof(self._data), ctypes.addressof(self._vectors)
        for at, (datagram, number) in enumerate(zip(datagrams, senders, strict=True)):
            _IOVEC.pack_into(self._vectors, at * _IOVEC.size, data, len(datagram))
            _MMSGHDR.pack_into(self._headers, at * _MMSGHDR.size, name, 16, vector, 1,
                               control + distinct[number] * _PKTINFO.size, _PKTINFO.size, 0, 0)  # fmt: skip
            data += len(datagram)
            vector += _IOVEC.size
        self.headers = ctypes.addressof(self._headers)

    def __len__(self) -> int:
        return len(self._headers) // _MMSGHDR.size


class Port:
    """The socket. `answers` holds what the last `receive` brought, each in a slot of SLOT_BYTES."""

    def __init__(self) -> None:
        """Bind to every address and any port."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._socket.bind(("0.0.0.0", 0))
        self._fd = self._socket.fileno()
        self.answers = ctypes.create_string_buffer(BATCH * SLOT_BYTES)
        self._control = ctypes.create_string_buffer(BATCH * _PKTINFO.size)
        self._vectors = ctypes.create_string_buffer(BATCH * _IOVEC.size)
        self._headers = ctypes.create_string_buffer(BATCH * _MMSGHDR.size)
        answers, vectors = ctypes.addressof(self.answers), ctypes.addressof(self._vectors)
        control = ctypes.addressof(self._control)
        for at in range(BATCH):
            _IOVEC.pack_into(self._vectors, at * _IOVEC.size, answers + at * SLOT_BYTES, SLOT_BYTES)
            _MMSGHDR.pack_into(self._headers, at * _MMSGHDR.size, 0, 0, vectors + at * _IOVEC.size, 1,
                               control + at * _PKTINFO.size, _PKTINFO.size, 0, 0)  # fmt: skip
        self._address = ctypes.addressof(self._headers)
        self._words = memoryview(self._headers).cast("B").cast("I")

    def wait_at_most(self, timeout_s: float) -> None:
        """Let `receive` return after this time without an answer."""
        seconds, fraction = divmod(timeout_s, 1)
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@qq", int(seconds), int(fraction * 1e6))
        )

    def send(self, sendable: Sendable, first: int, count: int) -> int:
        """Send datagrams, and return how many the kernel took."""
        sent = _libc.sendmmsg(self._fd, ctypes.c_void_p(sendable.headers + first * _MMSGHDR.size), count, 0)
        if sent < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return sent

    def receive(self, flags: int = MSG_WAITFORONE) -> int:
        """Wait for an answer; return how many there are, 0 after the time of `wait_at_most`."""
        received = _libc.recvmmsg(self._fd, ctypes.c_void_p(self._address), BATCH, flags, None)
        return max(received, 0)

    def size(self, at: int) -> int:
        """Return the size of an answer that `receive` brought."""
        return self._words[at * (_MMSGHDR.size // 4) + 14]

    def sender(self, at: int) -> int:
        """Return the number of the sender that an answer came back to."""
        ours = _PKTINFO.unpack_from(self._control, at * _PKTINFO.size)[-1]
        return int.from_bytes(ours, "big") - _FIRST_SOURCE

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _pktinfo(number: int) -> bytes:
    ours = struct.pack(">I", _FIRST_SOURCE + number)
    return _PKTINFO.pack(_PKTINFO_BYTES, socket.IPPROTO_IP, _IP_PKTINFO, 0, ours, ours)
