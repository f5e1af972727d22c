"""The ESP32-S3 around the VM: pins, I2C buses, and the chips they lead to, kept while the core sleeps or resets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.board import Board, ChipSpec
from pave_emulator.chips.chip import Chip, ChipFault, Environment, I2cChip
from pave_emulator.clock import Clock, Timer
from pave_emulator.vm.channel import Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

OUTPUT_MODES = (3, 7)
PULL_UP = 2


@dataclass
class Gpio:
    """State of one GPIO: mode as in the shim (0 unset), output latch, pull (-1 none)."""

    mode: int = 0
    latch: int = 0
    pull: int = -1


class Mcu:
    """Pins and buses of one device. `on_pin_change` is called when a chip may have moved a pin."""

    def __init__(
        self,
        board: Board,
        environment: Environment,
        clock: Clock,
        log: Callable[[str], None],
        on_pin_change: Callable[[], None],
    ) -> None:
        self.chips: dict[str, Chip] = board.build(environment)
        self._board = board
        self._clock = clock
        self._log = log
        self._on_pin_change = on_pin_change
        self._gpio: dict[int, Gpio] = {}
        self._buses: dict[int, dict[int, ChipSpec]] = {}
        self._timer: Timer | None = None

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.PIN_MODE: self._pin_mode,
            ops.PIN_GET: self._pin_get,
            ops.PIN_SET: self._pin_set,
            ops.I2C_INIT: self._i2c_init,
            ops.I2C: self._i2c,
        }

    def power_on(self) -> None:
        """Supply applied to the whole board."""
        self.core_reset()
        for chip in self.chips.values():
            chip.power_on(self._clock.now_s())

    def power_off(self) -> None:
        """Nothing happens on this board any more."""
        self.core_reset()
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def core_reset(self) -> None:
        """The microcontroller loses its pins and buses; the chips keep their supply."""
        self._gpio.clear()
        self._buses.clear()

    # Pins

    def level(self, pin: int) -> int:
        """What a reader of this GPIO sees: a chip's output, our own, the pull, else 0."""
        gpio = self._gpio.get(pin, Gpio())
        if gpio.mode == 3:
            return gpio.latch
        driven = self._driven(pin)
        if gpio.mode == 7 and not gpio.latch:
            return 0
        if driven is not None:
            return driven
        return int(gpio.pull == PULL_UP)

    def _driven(self, pin: int) -> int | None:
        for name, spec in self._board.chips.items():
            for chip_pin, number in spec.pins.items():
                level = self.chips[name].pin_level(chip_pin) if number == pin else None
                if level is not None:
                    return level
        return None

    def _pin_mode(self, pin: int, mode: int, pull: int, tail: bytes) -> bytes:
        gpio = self._gpio.setdefault(pin, Gpio())
        gpio.mode = mode or gpio.mode
        gpio.pull = pull
        return b""

    def _pin_get(self, pin: int, tail: bytes) -> bytes:
        self.advance()
        return bytes([self.level(pin)])

    def _pin_set(self, pin: int, level: int, tail: bytes) -> bytes:
        self._gpio.setdefault(pin, Gpio()).latch = level
        return b""

    # I2C

    def _i2c_init(self, bus: int, scl: int, sda: int, hz: int, tail: bytes) -> bytes:
        wired = [known for known in self._board.buses.values() if (known.scl, known.sda) == (scl, sda)]
        if not wired:
            known = ", ".join(f"{b.name} scl={b.scl} sda={b.sda}" for b in self._board.buses.values())
            self._log(f"i2c: nothing is wired to scl={scl} sda={sda}; the board has {known}")
        elif hz > wired[0].max_hz:
            self._log(f"i2c: {hz} Hz on {wired[0].name}, which is good for {wired[0].max_hz} Hz")
        name = wired[0].name if wired else None
        self._buses[bus] = {spec.address: spec for spec in self._board.chips.values() if spec.bus == name}
        return b""

    def _i2c(self, bus: int, address: int, directions: int, size: int, tail: bytes) -> bytes:
        spec = self._buses.get(bus, {}).get(address)
        if spec is None:
            if tail or directions != 1:  # an empty write is a probe, as scan() makes
                self._log(f"i2c: no chip answers at {address:#04x}; on this bus are {self._addresses(bus)}")
            raise OpError(ops.ENODEV)
        chip, now_s = self.chips[spec.name], self._clock.now_s()
        assert isinstance(chip, I2cChip)
        try:
            if directions & 1:
                chip.write(tail, now_s)
            result = chip.read(size, now_s) if directions & 2 else b""
        except ChipFault as fault:
            self._log(f"FAULT {spec.name}: {fault}")
            raise OpError(ops.ENODEV) from fault
        self._chips_moved()
        return result

    def _addresses(self, bus: int) -> str:
        chips = self._buses.get(bus, {})
        return ", ".join(f"{address:#04x} ({spec.name})" for address, spec in sorted(chips.items())) or "none"

    # Time

    def advance(self) -> None:
        """Let every chip do what is due."""
        now_s = self._clock.now_s()
        for chip in self.chips.values():
            chip.advance(now_s)

    def _chips_moved(self) -> None:
        """Look at the pins now, and again when a chip may next move one by itself."""
        if self._timer:
            self._timer.cancel()
        due = [when for chip in self.chips.values() if (when := chip.next_event_s()) is not None]
        self._timer = self._clock.call_at(min(due), self._tick) if due else None
        self._on_pin_change()

    def _tick(self) -> None:
        self._timer = None
        self.advance()
        self._chips_moved()
