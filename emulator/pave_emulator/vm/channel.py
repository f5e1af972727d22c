"""The host's end of a VM's channel: calls in, answers out.

Handlers are looked up by operation number. A handler gets the fixed fields and the tail, and returns the answer's
body, or PENDING when it will call `reply` later, or raises OpError with a status. Any other exception is a defect of
the emulator: the call gets no answer, `on_defect` gets the reason. See `_emu_ops` for the bytes.

At wall clock a call is handled when it comes. In virtual time it waits for its turn (`lockstep`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from pave_emulator.lockstep import LOOK_S, Lockstep
from pave_emulator.vm.checkpoint import Answer, Call, OtherCallError, Rehearsal, packed
from pave_emulator.vm.process import VmProcess
from pave_emulator.vm.shims import _emu_ops as ops

PENDING: Final = None
Handler = Callable[..., bytes | None]
"""(fixed fields..., tail=bytes) -> answer's body or PENDING."""


class OpError(Exception):
    """A call that fails in the VM with OSError: errno of the ESP32 port above 0, esp_err_t below."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Owner(Protocol):
    """The device at the host's end."""

    def called(self, idle_us: int) -> bool:
        """A call is about to be handled; since the last one the VM has slept so long. True if it has printed."""
        ...

    def runs(self, vm: VmProcess) -> None:
        """From here on it is this VM that runs."""

    def defect(self, reason: str) -> None:
        """A call could not be handled, through a fault of the emulator."""

    def ended(self) -> None:
        """The VM has ended by itself."""

    def printing(self) -> None:
        """The VM computes, and may wait for somebody to read what it prints."""

    def stuck(self) -> None:
        """The VM computes and never calls."""

    def times(self) -> tuple[float, int, int, int]:
        """When the VM goes on (s of the clock, us since boot), until when it is quiet and alone (us, `_emu_ops`)."""
        ...

    def flags(self) -> int:
        """What the VM should know with every answer: bits of `_emu_ops.FLAG_*`."""
        ...


class Channel:
    """Frames the calls of one VM and dispatches them."""

    def __init__(
        self,
        sock: socket.socket,
        handlers: Mapping[int, Handler],
        owner: Owner,
        lockstep: Lockstep | None = None,
        order: int = 0,
        now_s: float = 0.0,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._handlers = handlers
        self._owner = owner
        self._buffer = b""
        self._sequence = 0
        self._open = True
        self._answer = (0, 0, b"")  # status, sequence, body
        self._lockstep = lockstep
        self._order = order
        self._rehearsal = rehearsal
        if lockstep:
            _patient(sock)
            lockstep.join(self, order, now_s)
        else:
            asyncio.get_running_loop().add_reader(sock, self._readable)

    def reply(self, body: bytes = b"", status: int = 0) -> None:
        """Answer the call that is open. An answer to a VM that has gone is dropped."""
        if not self._open:
            return
        self._answer = (status, self._sequence, body)
        if self._lockstep:
            self._lockstep.announce(self)
        else:
            self.send()

    def send(self) -> None:
        """Send the answer, with what is known at this moment."""
        status, sequence, body = self._answer
        now_s, now_us, quiet_us, alone_us = self._owner.times()
        answer = Answer(status, self._owner.flags(), body, now_us, alone_us)
        if self._rehearsal is None or self._rehearsed(self._rehearsal, answer, now_s):
            self._give(packed(answer, sequence, quiet_us))
        if self._lockstep:
            self._lockstep.answered(self, now_s)

    def _give(self, answer: bytes) -> None:
        try:
            self._sock.sendall(answer)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended: taking the next call finds that out

    def _rehearsed(self, rehearsal: Rehearsal, answer: Answer, now_s: float) -> bool:
        """Whether the VM is to be given this answer; it may be another VM from here on."""
        before = rehearsal.vm
        try:
            given = rehearsal.answered(answer)
        except (OSError, OtherCallError) as error:
            self._owner.defect(str(error))
            return False
        if rehearsal.vm is not before:
            assert self._lockstep is not None
            self._lockstep.leave(self)
            self._sock = rehearsal.vm.channel
            self._fd = self._sock.fileno()
            _patient(self._sock)
            self._owner.runs(rehearsal.vm)
            self._lockstep.join(self, self._order, now_s)
        if rehearsal.over:
            self._rehearsal = None
        return given

    def close(self) -> None:
        """Hear and say nothing more. The socket stays open until the VM has gone: firmware must not see it end."""
        if not self._open:
            return
        self._open = False
        if self._lockstep:
            self._lockstep.leave(self)
        else:
            asyncio.get_running_loop().remove_reader(self._sock)

    # As lockstep sees it

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._fd

    @property
    def foreseen(self) -> bool:
        """The next call is known and need not be waited for."""
        return self._rehearsal is not None and self._rehearsal.foreseen

    def take(self) -> tuple[int, Callable[[], None]] | None:
        """Read the call that has come: (microseconds spent, how to act on it); None while a part is missing."""
        if self._rehearsal and self._rehearsal.foreseen:
            return self._how(self._rehearsal.take())
        try:
            data = self._sock.recv(ops.MAX_BODY_BYTES + ops.REQUEST_HEADER_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionResetError:
            data = b""
        if not data:
            if self._lockstep:
                self._lockstep.ended(self)
            return 0, self._owner.ended
        self._buffer += data
        return self._next()

    def _next(self) -> tuple[int, Callable[[], None]] | None:
        """The first call that has come whole. After a Ctrl-C there can be two: the one it broke off and the next."""
        if len(self._buffer) < ops.REQUEST_HEADER_BYTES:
            return None
        op, sequence, size, spent_us, idle_us = struct.unpack_from(ops.REQUEST_HEADER, self._buffer)
        end = ops.REQUEST_HEADER_BYTES + size
        if len(self._buffer) < end:
            return None
        body = self._buffer[ops.REQUEST_HEADER_BYTES : end]
        self._buffer = self._buffer[end:]
        call = Call(op, sequence, body, spent_us, idle_us)
        if self._rehearsal:
            self._rehearsal.made(call)
            if self._rehearsal.over:
                self._rehearsal = None
        return self._how(call)

    def _how(self, call: Call) -> tuple[int, Callable[[], None]]:
        op, sequence, body, spent_us, idle_us = call
        return spent_us, lambda: self._act(op, sequence, body, idle_us)

    def printing(self) -> None:
        """It may wait for somebody to read what it prints."""
        self._owner.printing()

    def stuck(self) -> None:
        """It has not called for long."""
        self._owner.stuck()

    # Calls

    def _readable(self) -> None:
        taken = self.take()
        while taken is not None:
            taken[1]()
            taken = self._next() if self._open else None

    def _act(self, op: int, sequence: int, body: bytes, idle_us: int) -> None:
        self._sequence = sequence
        if self._owner.called(idle_us) and self._rehearsal:
            self._rehearsal = None  # it has printed: a record has no lines
        if not self._open:
            return  # what it printed before has made somebody cut its power
        try:
            result = self._handle(op, body)
        except OpError as error:
            self.reply(status=error.status)
            return
        except Exception as error:  # without an end the VM would wait for ever, and nobody would know
            self._owner.defect(_where(op, error))
            return
        if result is not None:  # PENDING
            self.reply(result)

    def _handle(self, op: int, body: bytes) -> bytes | None:
        _name, fields, _reply = ops.TABLE[op]
        fixed = struct.unpack_from(fields, body)
        return self._handlers[op](*fixed, tail=body[struct.calcsize(fields) :])


def _patient(sock: socket.socket) -> None:
    """Have a read wait for LOOK_S at most."""
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, round(LOOK_S * 1e6)))


def _where(op: int, error: Exception) -> str:
    """Say which call failed, how, and in which line."""
    name = ops.TABLE[op][0] if op in ops.TABLE else f"number {op}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"call {name}: {error!r} at {Path(frame.filename).name}:{frame.lineno}"
