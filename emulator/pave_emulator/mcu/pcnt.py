"""The pulse counters (`esp32.PCNT`): edges of a pin counted while the firmware does something else.

Theory of operation. Counting every edge as it comes would make a spinning fan an event of the world 150 times a second.
A chip that can tell how many pulses it has given (`tach_pulses`) is asked when somebody wants the count instead, unless
a limit, a threshold or a mode pin makes the moment of each edge matter. A counter that reaches its minimum or maximum
starts again at 0 (ESP32-S3 Technical Reference Manual, Pulse Count Controller). The glitch filter takes away pulses of
at most 12.8 us; nothing that a board of ours has on a pin makes such, so its value is checked and does nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol, cast

from pave_emulator.mcu.hooks import Hooks
from pave_emulator.mcu.pins import Pins
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

IGNORE, INCREMENT, DECREMENT = 0, 1, 2
NORMAL, REVERSE, HOLD = 0, 1, 2
THRESHOLD1, THRESHOLD0, MINIMUM, MAXIMUM, ZERO = 4, 8, 16, 32, 64  # pcnt_evt_type_t
STEP = {IGNORE: 0, INCREMENT: 1, DECREMENT: -1}


class _Tachometer(Protocol):
    tach_watched: bool

    def tach_pulses(self, now_s: float) -> int: ...

    def changed(self) -> None: ...


@dataclass
class _Channel:
    pin: int = -1
    mode_pin: int = -1
    rising: int = IGNORE
    falling: int = IGNORE
    low: int = NORMAL
    high: int = NORMAL
    counted: int = 0  # pulses of a tachometer that are in the count already
    level: int = 1


@dataclass
class _Unit:
    channels: tuple[_Channel, _Channel] = field(default_factory=lambda: (_Channel(), _Channel()))
    minimum: int = 0
    maximum: int = 0
    thresholds: tuple[int, int] = (0, 0)
    count: int = 0
    running: bool = False
    events: int = 0

    def exact(self) -> bool:
        """Each edge matters when it comes."""
        return bool(self.events or self.minimum or self.maximum or any(c.mode_pin >= 0 for c in self.channels))


class Counters:
    """The four units of one chip."""

    def __init__(self, pins: Pins, hooks: Hooks) -> None:
        self._pins = pins
        self._clock = hooks.clock
        self._interrupts = hooks.interrupts
        self._units: dict[int, _Unit] = {}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.PCNT_CHANNEL: self._configure,
            ops.PCNT_LIMITS: self._limit,
            ops.PCNT_VALUE: self._value,
            ops.PCNT_RUN: self._run,
            ops.PCNT_IRQ: self._irq,
        }

    def reset(self) -> None:
        """No unit counts."""
        for unit in self._units.values():
            for channel in unit.channels:
                self._watch(channel, False)
        self._units.clear()

    def edge(self, number: int, level: int) -> None:
        """A pin has this level from now on."""
        if self._interrupts.light_sleep:
            return
        for index, unit in self._units.items():
            for channel in unit.channels:
                if channel.pin == number and unit.running and (unit.exact() or not self._tachometer(channel)):
                    self._count(index, unit, channel, STEP[channel.rising if level else channel.falling])

    # Counting

    def _count(self, index: int, unit: _Unit, channel: _Channel, step: int) -> None:
        if channel.mode_pin >= 0:
            mode = channel.high if self._pins.level(channel.mode_pin) else channel.low
            step = 0 if mode == HOLD else -step if mode == REVERSE else step
        if not step:
            return
        unit.count = _wrapped(unit.count + step)
        events = 0
        for value, bit in zip(unit.thresholds, (THRESHOLD0, THRESHOLD1), strict=True):
            events |= bit if unit.count == value else 0
        if (unit.maximum and unit.count == unit.maximum) or (unit.minimum and unit.count == unit.minimum):
            events |= MAXIMUM if unit.count > 0 else MINIMUM
            unit.count = 0
        events |= ZERO if unit.count == 0 else 0
        if events & unit.events:
            self._interrupts.post(ops.EVENT_PCNT, index, events & unit.events)

    def _tachometer(self, channel: _Channel) -> _Tachometer | None:
        for chip in self._pins.chips_at(channel.pin):
            if hasattr(chip, "tach_pulses"):
                return cast(_Tachometer, chip)
        return None

    def _take_up(self, unit: _Unit) -> None:
        """Count the pulses of tachometers since the last time."""
        if unit.exact():
            return
        now_s = self._clock.now_s()
        for channel in unit.channels:
            tachometer = self._tachometer(channel)
            if tachometer is None:
                continue
            falling = tachometer.tach_pulses(now_s)
            level = self._pins.level(channel.pin)
            gone = falling - channel.counted
            risen = gone + (level - channel.level)
            if unit.running:
                unit.count = _wrapped(unit.count + gone * STEP[channel.falling] + risen * STEP[channel.rising])
            channel.counted, channel.level = falling, level

    def _watch(self, channel: _Channel, on: bool) -> None:
        tachometer = self._tachometer(channel)
        if tachometer:
            tachometer.tach_watched = on
            tachometer.changed()

    # Calls

    def _unit(self, number: int) -> _Unit:
        unit = self._units.setdefault(number, _Unit())
        self._take_up(unit)
        return unit

    def _configure(
        self, number: int, index: int, pin: int, mode_pin: int, rising: int, falling: int, low: int, high: int,
        tail: bytes,
    ) -> bytes:  # fmt: skip
        unit = self._unit(number)
        channels = list(unit.channels)
        channel = channels[index] = _Channel(pin, mode_pin, rising, falling, low, high)
        unit.channels = (channels[0], channels[1])
        if pin >= 0:
            self._pins.watch(pin)
            channel.level = self._pins.level(pin)
        tachometer = self._tachometer(channel)
        channel.counted = tachometer.tach_pulses(self._clock.now_s()) if tachometer else 0
        self._watch(channel, unit.exact())
        return b""

    def _limit(self, number: int, minimum: int, maximum: int, first: int, second: int, tail: bytes) -> bytes:
        unit = self._unit(number)
        unit.minimum, unit.maximum, unit.thresholds = minimum, maximum, (first, second)
        unit.count = 0
        self._rewatch(unit)
        return b""

    def _value(self, number: int, clear: int, tail: bytes) -> bytes:
        unit = self._unit(number)
        count = unit.count
        if clear:
            unit.count = 0
        return struct.pack("<h", count)

    def _run(self, number: int, on: int, tail: bytes) -> bytes:
        self._unit(number).running = bool(on)
        return b""

    def _irq(self, number: int, events: int, tail: bytes) -> bytes:
        unit = self._unit(number)
        unit.events = events
        self._interrupts.arm(f"pcnt {number}", events != 0)
        self._rewatch(unit)
        return b""

    def _rewatch(self, unit: _Unit) -> None:
        now_s = self._clock.now_s()
        for channel in unit.channels:
            self._watch(channel, unit.exact())
            tachometer = self._tachometer(channel)
            if tachometer:
                channel.counted, channel.level = tachometer.tach_pulses(now_s), self._pins.level(channel.pin)


def _wrapped(count: int) -> int:
    """The counter is a signed 16-bit register."""
    return (count + 0x8000 & 0xFFFF) - 0x8000
