"""A wake-up that begins where it stops being like the one before: its VM has been there already, and is cloned.

Theory of operation. In virtual time a VM is a function of its flash image and of the answers to its calls: its heap
lies at the same addresses in every process, and what only one boot knows it asks for late (`_emu_rpc.waking`). A
wake-up from deep sleep imports the same modules and makes the same calls as the last one, until an answer differs:
mostly when it reads its RTC memory.

    1st wake-up   recorded: each call, with what was spent before it, and its answer
    2nd wake-up   compared: the VM that waits for the first answer that differs stays as it is. That is the checkpoint;
                  a clone of it gets the answer and goes on
    from the 3rd  a clone of the checkpoint from the start. The calls up to there come from the record, and each is
                  acted on in its turn, as if the VM had made it just now; what it spends, changes and tells is no less

Where an answer differs before the checkpoint, a VM that starts from the beginning is given the answers so far, makes
the same calls again, and becomes the checkpoint. Any change of the flash image ends record and checkpoint; so does what
ends the device's power. A record ends where the VM prints.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pave_emulator.vm.process import VmProcess
from pave_emulator.vm.shims import _emu_ops as ops

MAX_STEPS = 64
REBUILD_TIMEOUT_S = 20.0


class OtherCallError(Exception):
    """A VM that got the same answers as another did not make the same call: a defect of the emulator."""


class Call(NamedTuple):
    """One call of a VM: its bytes, and microseconds spent before it, how many of them asleep."""

    op: int
    sequence: int
    body: bytes
    spent_us: int
    idle_us: int


class Answer(NamedTuple):
    """An answer, without what a VM does not look at before it has asked for `WAKING`: until when it is quiet."""

    status: int
    flags: int
    body: bytes
    now_us: int
    alone_us: int


class Vms(Protocol):
    """Where VMs come from and go to (see `process.ZygoteClient`)."""

    def __call__(self, clonable: bool = False, origin: VmProcess | None = None) -> VmProcess:
        """Start one: from the beginning, or as a clone of `origin`; with `clonable` it can be an origin itself."""
        ...


class Checkpoint:
    """The record of one device's wake-ups, and the VM that waits where they part."""

    def __init__(self, kill: Callable[[VmProcess], None]) -> None:
        self.kill = kill
        self._changes = -1  # Flash.changes that the record belongs to
        self.steps: list[tuple[Call, Answer]] = []
        self.last: Call | None = None
        """The call whose answer differs, once there is a checkpoint: the one after `steps`."""
        self.vm: VmProcess | None = None

    def begin(self, changes: int, vms: Vms) -> Rehearsal:
        """A wake-up on a flash image that was changed so often."""
        if changes != self._changes:
            self.forget()
            self._changes = changes
        return Rehearsal(self, vms)

    def settle(self, vm: VmProcess, steps: list[tuple[Call, Answer]], last: Call) -> None:
        """A VM has had the answers of `steps` and waits for that to `last`."""
        if self.vm:
            self.kill(self.vm)
        self.vm, self.steps, self.last = vm, steps, last

    def forget(self) -> None:
        """Nothing of it is true any more."""
        if self.vm:
            self.kill(self.vm)
        self.vm = self.last = None
        self.steps = []
        self._changes = -1


class Rehearsal:
    """One wake-up beside the record. `vm` is the VM that makes its calls, or will make those after the record."""

    def __init__(self, checkpoint: Checkpoint, vms: Vms) -> None:
        self._checkpoint = checkpoint
        self._vms = vms
        self._steps = checkpoint.steps
        self._recording = not checkpoint.steps
        self._playing = checkpoint.vm is not None
        self._at = 0
        self._call: Call | None = None
        self.over = False
        """Nothing is to be recorded or compared any more."""
        self.vm = vms(origin=checkpoint.vm) if checkpoint.vm else vms(clonable=not self._recording)

    @property
    def foreseen(self) -> bool:
        """The next call is known: `take` has it, and the VM is not asked."""
        return self._playing and not self.over

    def take(self) -> Call:
        """The next call of the record."""
        if self._at < len(self._steps):
            self._call = self._steps[self._at][0]
        else:
            assert self._checkpoint.last is not None
            self._call = self._checkpoint.last
        return self._call

    def made(self, call: Call) -> None:
        """The VM has made a call."""
        self._call = call
        self.over |= self._recording and (call.op == ops.WAKING or self._at == MAX_STEPS)

    def answered(self, answer: Answer) -> bool:
        """True when the VM is to get this answer (`vm` may be another one by now), False when it has had it before."""
        assert self._call is not None
        if self._recording:
            self._steps.append((self._call, answer))
            self._at += 1
            return True
        if self._at < len(self._steps) and self._steps[self._at][1] == answer:
            self._at += 1
            return not self._playing
        if self._playing and self._at == len(self._steps):
            self.over = True  # the checkpoint, whose clone waits for this
        else:
            self._part()
        return True

    def _part(self) -> None:
        """Go on from here with a clone of a VM that stays."""
        assert self._call is not None
        self.over = True
        steps = self._steps[: self._at]
        if self._playing:
            stays = self._rebuilt(steps, self._call)
            self._checkpoint.kill(self.vm)
        else:
            stays = self.vm
        self._checkpoint.settle(stays, steps, self._call)
        self.vm = self._vms(origin=stays)

    def _rebuilt(self, steps: list[tuple[Call, Answer]], last: Call) -> VmProcess:
        """A VM that has had the answers so far and waits for the next."""
        vm = self._vms(clonable=True)
        vm.channel.settimeout(REBUILD_TIMEOUT_S)
        try:
            for call, answer in steps:
                _hear(vm.channel, call)
                vm.channel.sendall(packed(answer, call.sequence, answer.now_us))
            _hear(vm.channel, last)
        except (OSError, OtherCallError):
            self._checkpoint.kill(vm)
            raise
        return vm


def packed(answer: Answer, sequence: int, quiet_us: int) -> bytes:
    """The bytes of an answer."""
    status, flags, body, now_us, alone_us = answer
    return struct.pack(ops.REPLY_HEADER, status, sequence, flags, len(body), now_us, quiet_us, alone_us) + body


def _hear(channel: socket.socket, expected: Call) -> None:
    """Take the call that a VM makes. Raise OtherCallError when it is not the one expected."""
    head = _exactly(channel, ops.REQUEST_HEADER_BYTES)
    op, sequence, size, spent_us, idle_us = struct.unpack(ops.REQUEST_HEADER, head)
    call = Call(op, sequence, _exactly(channel, size), spent_us, idle_us)
    if call != expected:
        raise OtherCallError(f"a boot with the same answers as before made the call {call}, not {expected}")


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            raise OtherCallError("a boot with the same answers as before ended where the other went on")
        data += part
    return data
