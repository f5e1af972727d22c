"""Interrupts of pins: the edges that firmware has asked for become events. Nothing is seen in light sleep, whose GPIO
clock stands (ESP-IDF, Sleep Modes, GPIO wakeup: by level only).
"""

from __future__ import annotations

from pave_emulator.mcu.hooks import Hooks
from pave_emulator.mcu.pins import Pins
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

RISING, FALLING = 1, 2  # GPIO_INTR_POSEDGE, GPIO_INTR_NEGEDGE


class PinInterrupts:
    """Which pins interrupt, and on which edges."""

    def __init__(self, pins: Pins, hooks: Hooks) -> None:
        self._pins = pins
        self._interrupts = hooks.interrupts
        self._triggers: dict[int, int] = {}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.PIN_IRQ: self._arm}

    def reset(self) -> None:
        """Nothing interrupts."""
        for number in self._triggers:
            self._tach_watched(number, False)
        self._triggers.clear()

    def edge(self, number: int, level: int) -> None:
        """A pin has this level from now on."""
        trigger = self._triggers.get(number, 0)
        if trigger & (RISING if level else FALLING) and not self._interrupts.light_sleep:
            self._interrupts.post(ops.EVENT_PIN, number, level)

    def _arm(self, number: int, trigger: int, tail: bytes) -> bytes:
        self._interrupts.arm(f"pin {number}", trigger != 0)
        if trigger:
            self._triggers[number] = trigger
            self._pins.watch(number)
        else:
            self._triggers.pop(number, None)
        self._tach_watched(number, trigger != 0)
        return b""

    def _tach_watched(self, number: int, on: bool) -> None:
        """A fan does not make each edge of its tachometer an event unless it is asked to."""
        for chip in self._pins.chips_at(number):
            if hasattr(chip, "tach_watched"):
                chip.tach_watched = on  # pyright: ignore[reportAttributeAccessIssue]
                chip.changed()
