"""PWM outputs (LEDC): which pin carries which wave. What the API rounds and limits is in the shim."""

from __future__ import annotations

from pave_emulator.mcu.pins import Pins, Wave
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

FULL_DUTY = 1 << 16


class Pwm:
    """The PWM outputs of one device."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self._running: dict[int, None] = {}  # in order

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.PWM: self._set}

    def reset(self, soft: bool = False) -> None:
        """None runs. A soft reset leaves the pins low; after any other they are nobody's."""
        if soft:
            for number in self._running:
                self._pins.set_wave(number, None)
        self._running.clear()

    def _set(self, number: int, hz: int, duty: int, invert: int, tail: bytes) -> bytes:
        if hz:
            high = (FULL_DUTY - duty if invert else duty) / FULL_DUTY
            self._pins.set_wave(number, Wave(float(hz), high))
            self._running[number] = None
        else:
            self._pins.set_wave(number, None, invert)
            self._running.pop(number, None)
        return b""
