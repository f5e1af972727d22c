"""The pins of one microcontroller and everything soldered to them: who drives a pin, what a reader sees, who is told.

Theory of operation. A level is decided in this order: our own output (or the peripheral that has taken it, PWM), a chip
that drives the pin, what the world holds it at (a button, a lid), our pull, a resistor of the board, and else it floats
and reads 0. Whenever the microcontroller changes an output, the chips that have the pin as an input are told, chip
selects begin and end SPI transactions, and supply switches switch. Whenever anything may have changed, `on_change` is
called.

A GPIO has its registers and its pad. `hold` freezes the pad as it is; the registers may go on changing. Held pads of
RTC pins (GPIO 0 to 21) survive every reset and deep sleep until firmware lets them go; those of digital pins are back
at their default when the chip wakes up (ESP-IDF, gpio.h, gpio_hold_en). With gpio_deep_sleep_hold every digital pad
keeps its state during deep sleep, and only then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pave_emulator.board import Board, ChipSpec
from pave_emulator.chips.chip import Chip, ChipFault, SpiChip
from pave_emulator.clock import Clock
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

OUTPUT, OPEN_DRAIN = 3, 7
PULL_DOWN, PULL_UP = 1, 2
RTC_PINS = range(22)  # ESP32-S3 datasheet v2.2, table 2-8


@dataclass(frozen=True)
class Wave:
    """A square wave: frequency in Hz, share of the time it is high."""

    hz: float
    duty: float

    def level(self, now_s: float) -> int:
        """0 or 1 at this instant."""
        return int(now_s * self.hz % 1.0 < self.duty)


@dataclass(frozen=True)
class Drive:
    """What a pad is told: mode as in the shim (0 unset), output latch, pull (0 none), a wave instead of the latch."""

    mode: int = 0
    latch: int = 0
    pull: int = 0
    wave: Wave | None = None


@dataclass
class Gpio:
    """One GPIO: its registers, and what its pad was told when it was held (None: it follows).

    `asleep`: held by gpio_deep_sleep_hold alone.
    """

    registers: Drive = field(default_factory=Drive)
    held: Drive | None = None
    asleep: bool = False

    @property
    def pad(self) -> Drive:
        """What the pad does."""
        return self.held or self.registers


class Pins:
    """Every GPIO of one device."""

    def __init__(
        self,
        board: Board,
        chips: dict[str, Chip],
        clock: Clock,
        log: Callable[[str], None],
        on_change: Callable[[], None],
        on_edge: Callable[[int, int], None],
    ) -> None:
        """`on_change()` follows every possible change; `on_edge(pin, level)` every real one of a pin in use."""
        self._chips = chips
        self._clock = clock
        self._log = log
        self._log = log
        self._on_change = on_change
        self._on_edge = on_edge
        self._gpio: dict[int, Gpio] = {}
        self._held_by_world = dict(board.idle_levels())
        self._pulls = board.pulls
        self._outputs = _wired(board.chips.values(), lambda spec: spec.pins)
        self._inputs = _wired(board.chips.values(), lambda spec: spec.inputs)
        self._pwm_inputs = {spec.pwm: spec.name for spec in board.chips.values() if spec.pwm is not None}
        self._selects = {spec.select: spec.name for spec in board.chips.values() if spec.select is not None}
        self._supplies = {spec.supply: spec.name for spec in board.chips.values() if spec.supply is not None}
        self._watched = dict.fromkeys(sorted(board.watched_pins()))  # in order
        self._seen: dict[int, int] = {}
        self._said_floating: set[int] = set()
        self._deep_sleep_hold = False

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.PIN_MODE: self._configure,
            ops.PIN_GET: self._get,
            ops.PIN_SET: self._set,
            ops.PIN_TOGGLE: self._toggle,
            ops.DEEP_SLEEP_HOLD: self._set_deep_sleep_hold,
        }

    # Resets and sleep

    def power_off(self) -> None:
        """Supply taken away, or every domain reset: nothing is held any more."""
        self._deep_sleep_hold = False
        self._let_go({})

    def reset(self, from_deep_sleep: bool = False) -> None:
        """The core starts: registers at their defaults, pads held stay."""
        held = {number: gpio.held for number, gpio in self._gpio.items() if gpio.held and not gpio.asleep}
        if from_deep_sleep and not self._deep_sleep_hold:
            held = {number: drive for number, drive in held.items() if number in RTC_PINS}
        self._let_go({number: Gpio(held=drive) for number, drive in held.items()})

    def deep_sleep(self, keep_pulls: bool) -> None:
        """The core sleeps. `keep_pulls`: the RTC peripherals stay on, for ext0."""
        asleep: dict[int, Gpio] = {}
        for number, gpio in self._gpio.items():
            rtc = number in RTC_PINS
            if gpio.held and rtc:
                asleep[number] = gpio
            elif self._deep_sleep_hold and not rtc:
                asleep[number] = Gpio(held=gpio.pad, asleep=gpio.held is None)
            elif keep_pulls and rtc and gpio.pad.pull:
                asleep[number] = Gpio(Drive(pull=gpio.pad.pull))
        self._let_go(asleep)

    def _let_go(self, kept: dict[int, Gpio]) -> None:
        freed = [number for number in self._gpio if number not in kept]
        self._gpio = kept
        self._said_floating.clear()
        for number in freed:
            self._deliver(number)
        self._on_change()

    # Levels

    def level(self, number: int) -> int:
        """What a reader of this GPIO sees."""
        level = self._level(number)
        return 0 if level is None else level

    def _level(self, number: int) -> int | None:
        """None: it floats."""
        gpio = self._gpio.get(number)
        pad = gpio.pad if gpio else Drive()
        if pad.wave:
            return pad.wave.level(self._clock.now_s())
        if pad.mode == OUTPUT or (pad.mode == OPEN_DRAIN and not pad.latch):
            return pad.latch
        driven = self._driven(number)
        if driven is not None:
            return driven
        if pad.pull:
            return int(pad.pull == PULL_UP)
        return self._pulls.get(number)

    def drive(self, number: int, level: int | None) -> None:
        """The world holds this pin at a level (None: lets go)."""
        if level is None:
            self._held_by_world.pop(number, None)
        else:
            self._held_by_world[number] = level
        self._on_change()

    def set_wave(self, number: int, wave: Wave | None, level: int = 0) -> None:
        """A peripheral drives this pin from now on; None gives it back, at `level`."""
        gpio = self._gpio.setdefault(number, Gpio())
        gpio.registers = replace(gpio.registers, mode=OUTPUT, latch=level, wave=wave)
        self._moved(number)

    def watch(self, number: int) -> None:
        """Tell `on_edge` of this pin too, whoever moves it."""
        self._watched[number] = None
        self._seen[number] = self.level(number)

    def edges(self) -> list[tuple[int, int]]:
        """The watched pins whose level has changed since they were last looked at, as (pin, level)."""
        found: list[tuple[int, int]] = []
        for number in self._watched:
            level = self.level(number)
            if self._seen.get(number, 0) != level:
                found.append((number, level))
            self._seen[number] = level
        return found

    def chips_at(self, number: int) -> list[Chip]:
        """The chips that drive this pin."""
        return [self._chips[chip] for chip, _pin in self._outputs.get(number, ())]

    def _driven(self, number: int) -> int | None:
        for chip, pin in self._outputs.get(number, ()):
            level = self._chips[chip].pin_level(pin)
            if level is not None:
                return level
        return self._held_by_world.get(number)

    # Calls

    def _configure(self, number: int, mode: int, pull: int, hold: int, tail: bytes) -> bytes:
        gpio = self._gpio.setdefault(number, Gpio())
        registers = gpio.registers
        if mode:
            registers = replace(registers, mode=mode, wave=None)
        if pull >= 0:
            registers = replace(registers, pull=pull)
        gpio.registers = registers
        if hold >= 0:  # a new hold takes up what was configured meanwhile
            gpio.held = registers if hold else None
        self._moved(number)
        return b""

    def _get(self, number: int, tail: bytes) -> bytes:
        now_s = self._clock.now_s()
        for chip in self.chips_at(number):
            chip.advance(now_s)
        level = self._level(number)
        if level is None and number not in self._said_floating:
            self._said_floating.add(number)
            self._log(f"GPIO {number} floats: nothing drives it and it has no pull; on a board it reads anything")
        return bytes([level or 0])

    def _set(self, number: int, level: int, tail: bytes) -> bytes:
        gpio = self._gpio.setdefault(number, Gpio())
        if gpio.registers.latch != level:
            gpio.registers = replace(gpio.registers, latch=level)
            self._moved(number)
        return b""

    def _toggle(self, number: int, tail: bytes) -> bytes:
        gpio = self._gpio.setdefault(number, Gpio())
        return self._set(number, 1 - gpio.registers.latch, tail)

    def _set_deep_sleep_hold(self, on: int, tail: bytes) -> bytes:
        self._deep_sleep_hold = bool(on)
        return b""

    def _moved(self, number: int) -> None:
        if self._gpio[number].pad.mode in (OUTPUT, OPEN_DRAIN):
            self._deliver(number)
        self._on_change()

    def _deliver(self, number: int) -> None:
        """Tell whoever has this pin as an input what its level is now."""
        level, now_s = self.level(number), self._clock.now_s()
        if number not in self._seen or self._seen[number] != level:
            self._seen[number] = level
            self._on_edge(number, level)
        for chip, pin in self._inputs.get(number, ()):
            self._chips[chip].set_input(pin, level, now_s)
        if number in self._pwm_inputs:
            self._tell_wave(self._pwm_inputs[number], number, level)
        if number in self._selects:
            chip = self._chips[self._selects[number]]
            assert isinstance(chip, SpiChip)
            (chip.deselected if level else chip.selected)(now_s)
        if number in self._supplies:
            chip = self._chips[self._supplies[number]]
            if level and chip.state == "off":
                chip.power_on(now_s)
            elif not level and chip.state != "off":
                chip.power_off(now_s)

    def _tell_wave(self, name: str, number: int, level: int) -> None:
        """A steady level is a wave too."""
        gpio = self._gpio.get(number)
        wave = (gpio.pad.wave if gpio else None) or Wave(0.0, float(level))
        try:
            self._chips[name].set_pwm(wave.duty, wave.hz, self._clock.now_s())
        except ChipFault as fault:
            self._log(f"FAULT {name}: {fault}")

    def _tell(self, name: str, what: Callable[[Chip], None]) -> None:
        """Let a chip with a supply know; a line has no way to refuse."""
        chip = self._chips[name]
        if chip.state == "off":
            return
        try:
            what(chip)
        except ChipFault as fault:
            self._log(f"FAULT {name}: {fault}")


def _wired(specs, pins_of: Callable[[ChipSpec], dict[str, int]]) -> dict[int, tuple[tuple[str, str], ...]]:
    """GPIO number -> the chips' pins soldered to it, as (chip, pin)."""
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    for spec in specs:
        for pin, number in pins_of(spec).items():
            found[number] = (*found.get(number, ()), (spec.name, pin))
    return found
