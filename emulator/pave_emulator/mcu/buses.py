"""I2C and SPI: whole transactions from the firmware to the chip that is wired to the pins it named."""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.board import Board, Bus
from pave_emulator.chips.chip import Chip, ChipFault, I2cChip, Nack, SpiChip
from pave_emulator.clock import Clock
from pave_emulator.mcu.pins import Pins
from pave_emulator.power.costs import Costs
from pave_emulator.vm.channel import Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

FLOATING = 0xFF  # nobody drives MISO


class Buses:
    """The buses of one device. `took(seconds)` is told how long each transaction keeps the firmware."""

    def __init__(
        self,
        board: Board,
        chips: dict[str, Chip],
        pins: Pins,
        clock: Clock,
        log: Callable[[str], None],
        took: Callable[[float], None],
        touched: Callable[[], None],
    ) -> None:
        """`touched()` follows every transaction: a chip may have moved a pin."""
        self._board = board
        self._chips = chips
        self._pins = pins
        self._clock = clock
        self._log = log
        self._took = took
        self._touched = touched
        self._costs = Costs()
        self._i2c_hz: dict[int, int] = {}
        self._i2c_chips: dict[int, dict[int, str]] = {}  # bus of the firmware -> address -> chip
        self._spi_hz: dict[int, int] = {}
        self._spi_wired: dict[int, Bus | None] = {}
        self._i2c_names: dict[int, str | None] = {}
        self.stuck: set[str] = set()
        """Names of buses whose data line somebody holds low."""

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.I2C_INIT: self._i2c_init,
            ops.I2C: self._i2c,
            ops.SPI_INIT: self._spi_init,
            ops.SPI: self._spi,
        }

    def reset(self) -> None:
        """The core has reset: every bus is to be made anew."""
        self._i2c_hz.clear()
        self._i2c_chips.clear()
        self._spi_hz.clear()
        self._spi_wired.clear()

    # I2C

    def _i2c_init(self, bus: int, scl: int, sda: int, hz: int, tail: bytes) -> bytes:
        wired = self._find("i2c", {"scl": scl, "sda": sda}, hz)
        self._i2c_hz[bus] = hz
        name = self._i2c_names[bus] = wired.name if wired else None
        self._i2c_chips[bus] = {
            spec.address: spec.name for spec in self._board.chips.values() if spec.bus == name and wired
        }
        return b""

    def _i2c(self, bus: int, address: int, directions: int, size: int, tail: bytes) -> bytes:
        count = len(tail) + size + bin(directions).count("1")
        self._took(self._costs.i2c_s(count, self._i2c_hz.get(bus, 100_000)))
        if self._i2c_names.get(bus) in self.stuck:
            raise OpError(ops.ETIMEDOUT)
        chip = self._i2c_chip(bus, address, probe=directions == 1 and not tail)
        now_s = self._clock.now_s()
        try:
            if directions & 1:
                chip.write(tail, now_s)
            result = chip.read(size, now_s) if directions & 2 else b""
        except Nack as refusal:
            raise OpError(ops.ENODEV) from refusal
        except ChipFault as fault:
            self._log(f"FAULT {self._i2c_chips[bus][address]}: {fault}")
            raise OpError(ops.ENODEV) from fault
        finally:
            self._took(chip.stretched_s)
            self._touched()
        return result

    def _i2c_chip(self, bus: int, address: int, probe: bool) -> I2cChip:
        known = self._i2c_chips.get(bus, {})
        chip = self._chips[known[address]] if address in known else None
        if isinstance(chip, I2cChip) and chip.state != "off":
            return chip
        if not probe:  # an empty write is a probe, as scan() makes
            there = ", ".join(f"{number:#04x} ({name})" for number, name in sorted(known.items())) or "none"
            why = "has no supply" if chip else "does not exist"
            self._log(f"i2c: no chip answers at {address:#04x}, it {why}; on this bus are {there}")
        raise OpError(ops.ENODEV)

    # SPI

    def _spi_init(self, bus: int, sck: int, mosi: int, miso: int, hz: int, mode: int, tail: bytes) -> bytes:
        self._spi_hz[bus] = hz
        self._spi_wired[bus] = self._find("spi", {"sck": sck, "mosi": mosi, "miso": miso}, hz)
        if mode:
            self._log(f"spi: mode {mode}; every chip of this board wants mode 0")
        return b""

    def _spi(self, bus: int, tail: bytes) -> bytes:
        self._took(self._costs.spi_s(len(tail), self._spi_hz.get(bus, 1_000_000)))
        wired = self._spi_wired.get(bus)
        selected = [
            spec.name
            for spec in self._board.chips.values()
            if wired and spec.bus == wired.name and spec.select is not None and not self._pins.level(spec.select)
        ]
        if len(selected) > 1:
            self._log(f"spi: {' and '.join(selected)} are selected at once and drive the same line")
        if not selected:
            self._log("spi: no chip is selected: its chip-select pin must be low")
            return bytes([FLOATING]) * len(tail)
        chip = self._chips[selected[0]]
        assert isinstance(chip, SpiChip)
        if chip.state == "off":
            return bytes(len(tail))
        try:
            result = chip.exchange(tail, self._clock.now_s())
        except ChipFault as fault:
            self._log(f"FAULT {selected[0]}: {fault}")
            result = bytes(len(tail))
        self._touched()
        return result

    def _find(self, kind: str, pins: dict[str, int], hz: int) -> Bus | None:
        """The bus of the board on these GPIOs (-1: not used), with a hint in the log if there is none."""
        buses = [bus for bus in self._board.buses.values() if bus.kind == kind]
        for bus in buses:
            if all(number < 0 or bus.pins[pin] == number for pin, number in pins.items()):
                if hz > bus.max_hz:
                    self._log(f"{kind}: {hz} Hz on {bus.name}, which is good for {bus.max_hz} Hz")
                return bus
        asked = " ".join(f"{pin}={number}" for pin, number in pins.items())
        known = "; ".join(f"{b.name} " + " ".join(f"{p}={n}" for p, n in b.pins.items()) for b in buses) or "none"
        self._log(f"{kind}: nothing is wired to {asked}; the board has {known}")
        return None
