"""The table of what firmware may ask of its device: the parts' own calls, and those of the processor itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pave_emulator.core import Core
from pave_emulator.flash.faults import PowerLost
from pave_emulator.flash.image import Flash
from pave_emulator.vm.channel import PENDING, Handler
from pave_emulator.vm.shims import _emu_ops as ops


class Part(Protocol):
    """Something with calls of its own."""

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        ...


def table(
    core: Core,
    flash: Flash,
    parts: Iterable[Part],
    hello: Callable[[], bytes],
    waking: Callable[[], bytes],
    reset: Callable[[int], None],
    power_lost: Callable[[PowerLost], None],
) -> dict[int, Handler]:
    """Handlers by operation number. `hello()` tells of the device, `waking()` of this boot, `reset(cause)` restarts.

    What a flash operation takes is charged to the call that made it; power lost in one ends the call with the device.
    """

    def sleep(us: int, tail: bytes) -> bytes | None:
        core.waiter.wait(lambda: None, core.reply, us / 1e6, core.reply)
        return PENDING

    def restart(cause: int, tail: bytes) -> bytes | None:
        reset(cause)
        return PENDING

    def repl(tail: bytes) -> bytes:
        core.repl()
        return b""

    handlers: dict[int, Handler] = {
        ops.HELLO: lambda tail: hello(),
        ops.WAKING: lambda tail: waking(),
        ops.SYNC: lambda tail: b"",
        ops.ECHO: lambda tail: tail,
        ops.IDLE: lambda tail: PENDING,
        ops.REPL: repl,
        ops.SLEEP: sleep,
        ops.RESET: restart,
        **core.interrupts.handlers(),
    }
    for part in parts:
        handlers |= part.handlers()
    return {number: _guarded(handler, core, flash, power_lost) for number, handler in handlers.items()}


def _guarded(handler: Handler, core: Core, flash: Flash, power_lost: Callable[[PowerLost], None]) -> Handler:
    def guarded(*fields: int, tail: bytes) -> bytes | None:
        flash.last_operation_s = 0.0
        try:
            result = handler(*fields, tail=tail)
        except PowerLost as lost:
            power_lost(lost)
            return PENDING
        core.take(flash.last_operation_s)
        if result is PENDING:
            core.waits()
        return result

    return guarded
