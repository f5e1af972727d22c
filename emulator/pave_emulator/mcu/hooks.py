"""What the hardware around the VM asks of its device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.clock import Clock
from pave_emulator.vm.interrupts import Interrupts
from pave_emulator.vm.waiter import Waiter


@dataclass(frozen=True)
class Hooks:
    """The device's end of its hardware.

    Attributes:
        log: a line for the console.
        took: what is being done keeps the firmware so many seconds.
        changed: a pin or a chip's state may have changed.
        edge: this pin has this level from now on.
        reply: answers the call that `waiter` holds.
        cell_v: voltage of the battery now.
        seed: names this device in this run; its random numbers come from it.
    """

    clock: Clock
    log: Callable[[str], None]
    took: Callable[[float], None]
    changed: Callable[[], None]
    edge: Callable[[int, int], None]
    interrupts: Interrupts
    waiter: Waiter
    reply: Callable[..., None]
    cell_v: Callable[[], float]
    seed: str
