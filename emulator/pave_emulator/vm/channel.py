"""The host's end of a VM's channel: requests in, replies out.

Handlers are looked up by operation number. A handler gets the fixed fields and the tail, and returns the reply's
body, or PENDING when it will call `reply` later, or raises OpError with a status. Any other exception is a defect of
the emulator: the call gets no reply, `on_defect` gets the reason. See `_emu_ops` for the bytes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pave_emulator.vm.shims import _emu_ops as ops

PENDING: Final = None
Handler = Callable[..., bytes | None]
"""(fixed fields..., tail=bytes) -> reply body or PENDING."""


class OpError(Exception):
    """A call that fails in the VM with OSError: errno of the ESP32 port above 0, esp_err_t below."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Channel:
    """Frames requests of one VM and dispatches them. `on_call` is called for each, `on_defect` for one that failed."""

    def __init__(
        self,
        sock: socket.socket,
        handlers: Mapping[int, Handler],
        on_call: Callable[[], None],
        on_defect: Callable[[str], None],
    ) -> None:
        self._sock = sock
        self._handlers = handlers
        self._on_call = on_call
        self._on_defect = on_defect
        self._buffer = bytearray()
        self._open = True
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def reply(self, body: bytes = b"", status: int = 0) -> None:
        """Answer the outstanding call. A reply to a VM that has gone is dropped."""
        if not self._open:
            return
        try:
            self._sock.sendall(struct.pack(ops.REPLY_HEADER, status, len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            self.close()

    def close(self) -> None:
        """Hear and say nothing more. The socket stays open until the VM has gone: firmware must not see it end."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._sock)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        self._take_request()

    def _take_request(self) -> None:
        """Handle the one request that may be there: the VM waits for its reply before it sends another."""
        if len(self._buffer) < ops.REQUEST_HEADER_BYTES:
            return
        op, size = struct.unpack_from(ops.REQUEST_HEADER, self._buffer)
        end = ops.REQUEST_HEADER_BYTES + size
        if len(self._buffer) < end:
            return
        body = bytes(self._buffer[ops.REQUEST_HEADER_BYTES : end])
        del self._buffer[:end]
        self._on_call()
        self._dispatch(op, body)

    def _dispatch(self, op: int, body: bytes) -> None:
        try:
            result = self._handle(op, body)
        except OpError as error:
            self.reply(status=error.status)
            return
        except Exception as error:  # without an end the VM would wait for a reply for ever, and nobody would know
            self._on_defect(_where(op, error))
            return
        if result is not None:  # PENDING
            self.reply(result)

    def _handle(self, op: int, body: bytes) -> bytes | None:
        _name, fields, _reply = ops.TABLE[op]
        fixed = struct.unpack_from(fields, body)
        return self._handlers[op](*fixed, tail=body[struct.calcsize(fields) :])


def _where(op: int, error: Exception) -> str:
    """Say which call failed, how, and in which line."""
    name = ops.TABLE[op][0] if op in ops.TABLE else f"number {op}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"call {name}: {error!r} at {Path(frame.filename).name}:{frame.lineno}"
