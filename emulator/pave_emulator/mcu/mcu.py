"""One microcontroller with its board: chips, pins, buses, peripherals, and when a chip acts by itself."""

from __future__ import annotations

import struct

from pave_emulator.board import Board
from pave_emulator.chips.chip import Chip
from pave_emulator.chips.environment import Environment
from pave_emulator.clock import Timer
from pave_emulator.mcu.adc import Adc
from pave_emulator.mcu.buses import Buses
from pave_emulator.mcu.hooks import Hooks
from pave_emulator.mcu.pcnt import Counters
from pave_emulator.mcu.pin_irq import PinInterrupts
from pave_emulator.mcu.pins import Pins
from pave_emulator.mcu.pwm import Pwm
from pave_emulator.mcu.timers import Timers
from pave_emulator.mcu.uart import Uarts
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

SELF_HEATING_K = 8.0  # of the die over the board while the core runs at 160 MHz; an estimate


class Mcu:
    """The hardware of one device. What the firmware may have set is lost in a reset, what chips hold is not."""

    def __init__(self, board: Board, environment: Environment, hooks: Hooks) -> None:
        self.chips: dict[str, Chip] = board.build(environment)
        self._board = board
        self._temperature_c = environment.temperature_c
        self._hooks = hooks
        self._clock = hooks.clock
        self._timer: Timer | None = None
        self._due_s: float | None = None
        self.pins = Pins(board, self.chips, hooks.clock, hooks.log, self.touched, self._edge)
        self.buses = Buses(board, self.chips, self.pins, hooks.clock, hooks.log, hooks.took, self.touched)
        self.timers = Timers(hooks)
        self.pwm = Pwm(self.pins)
        self.adc = Adc(board, self.pins, hooks)
        self.uarts = Uarts(hooks)
        self.counters = Counters(self.pins, hooks)
        self.pin_interrupts = PinInterrupts(self.pins, hooks)
        for chip in self.chips.values():
            chip.changed = self.touched

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        own: dict[int, Handler] = {ops.TEMPERATURE: self._die_temperature}
        parts = (self.pins, self.buses, self.timers, self.pwm, self.adc, self.uarts, self.counters)
        for part in (*parts, self.pin_interrupts):
            own |= part.handlers()
        return own

    def power_on(self) -> None:
        """Supply applied to the whole board; chips behind a switch wait for it."""
        self._lose()
        for name, spec in self._board.chips.items():
            if spec.supply is None:
                self.chips[name].power_on(self._clock.now_s())
        self.touched()

    def power_off(self) -> None:
        """Nothing happens on this board any more."""
        self._lose()
        for chip in self.chips.values():
            chip.power_off(self._clock.now_s())
        if self._timer:
            self._timer.cancel()
        self._timer = self._due_s = None

    def brown_out(self) -> None:
        """The microcontroller's every register is lost; the chips of the board live on less voltage and go on."""
        self._lose()

    def core_reset(self, from_deep_sleep: bool = False) -> None:
        """The core starts anew: peripherals and pins at their defaults, but the pins held."""
        self._stop_peripherals()
        self.pins.reset(from_deep_sleep)

    def soft_reset(self) -> None:
        """Only the VM starts anew: it ends what the port ends (main.c, soft_reset_exit) and leaves pins as they are."""
        self.pwm.reset(soft=True)
        for part in (self.timers, self.uarts, self.counters, self.pin_interrupts):
            part.reset()

    def deep_sleep(self, keep_pulls: bool) -> None:
        """All but what the pins hold is lost."""
        self._stop_peripherals()
        self.pins.deep_sleep(keep_pulls)

    def look(self) -> None:
        """Tell of the edges of pins that have moved by themselves."""
        for number, level in self.pins.edges():
            self._edge(number, level)

    def advance(self) -> None:
        """Let every chip do what is due."""
        now_s = self._clock.now_s()
        for chip in self.chips.values():
            chip.advance(now_s)

    def _lose(self) -> None:
        self._stop_peripherals()
        self.pins.power_off()

    def _stop_peripherals(self) -> None:
        self.buses.reset()
        for part in (self.timers, self.pwm, self.uarts, self.counters, self.pin_interrupts):
            part.reset()

    def _edge(self, number: int, level: int) -> None:
        self._hooks.edge(number, level)
        self.counters.edge(number, level)
        self.pin_interrupts.edge(number, level)

    def _die_temperature(self, tail: bytes) -> bytes:
        return struct.pack("<h", int(self._temperature_c(self._clock.now_s()) + SELF_HEATING_K + 0.5))

    def disturbed(self) -> None:
        """The world has changed in a way it did not foresee."""
        for chip in self.chips.values():
            if chip.state != "off":
                chip.disturbed(self._clock.now_s())
        self.touched()

    def touched(self) -> None:
        """Look at the pins now, and again when a chip may next move one by itself."""
        due = [when for chip in self.chips.values() if (when := chip.next_event_s()) is not None]
        due_s = min(due) if due else None
        if due_s != self._due_s:
            if self._timer:
                self._timer.cancel()
            self._due_s = due_s
            self._timer = None if due_s is None else self._clock.call_at(due_s, self._tick)
        self._hooks.changed()

    def _tick(self) -> None:
        self._timer = self._due_s = None
        self.advance()
        self.touched()
