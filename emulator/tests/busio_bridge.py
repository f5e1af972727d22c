"""CircuitPython's `busio` and `digitalio` on the emulator's chips, so that drivers by other hands run on CPython.

Theory of operation. A `ManualClock` stands still until somebody spends time: each bit on a bus costs its period, and
`BridgeTime.sleep` (which takes the place of a driver's `time` module) its argument. Before and after each transfer the
chips are advanced through everything that they announce by `next_event_s`. A fault of a chip becomes the OSError that
a NACK is in CircuitPython; the fault itself is kept in `faults` for the test to look at.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from pave_emulator.chips.chip import Chip, ChipFault, I2cChip, SpiChip


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self._chips: list[Chip] = []

    def drive(self, chips: Iterable[Chip]) -> None:
        """Advance these chips along with the clock."""
        self._chips += [chip for chip in chips if chip not in self._chips]

    def spend(self, seconds: float) -> None:
        """Let time pass, stopping at everything the chips announce."""
        end_s = self.now_s + seconds
        while True:
            due = [when for chip in self._chips if (when := chip.next_event_s()) is not None and when <= end_s]
            if not due:
                break
            self.now_s = max(self.now_s, min(due))
            self._advance()
        self.now_s = end_s
        self._advance()

    def _advance(self) -> None:
        for chip in self._chips:
            chip.advance(self.now_s)


class BridgeTime:
    """What drivers use of `time`, on a ManualClock: `monkeypatch.setattr(driver, "time", BridgeTime(clock))`."""

    READ_S = 1e-6  # a loop that only looks at the time ends

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def sleep(self, seconds: float) -> None:
        """Spend the time."""
        self._clock.spend(seconds)

    def monotonic(self) -> float:
        """The clock's time in s."""
        self._clock.spend(self.READ_S)
        return self._clock.now_s

    def monotonic_ns(self) -> int:
        """The clock's time in ns."""
        return round(self.monotonic() * 1e9)


class _Lockable:
    """CircuitPython's bus lock."""

    _locked = False

    def try_lock(self) -> bool:
        """Take the bus; False when somebody has it."""
        if self._locked:
            return False
        self._locked = True
        return True

    def unlock(self) -> None:
        """Give the bus back."""
        if not self._locked:
            raise ValueError("the bus is not locked")
        self._locked = False

    def _require_lock(self) -> None:
        if not self._locked:
            raise RuntimeError("function requires lock")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def deinit(self) -> None:
        """Nothing to let go of."""


class I2C(_Lockable):
    """`busio.I2C` with chips at addresses."""

    def __init__(self, chips: dict[int, I2cChip], clock: ManualClock, frequency: int = 400_000) -> None:
        self._chips = chips
        self.clock = clock
        self._bit_s = 1 / frequency
        self.faults: list[ChipFault] = []
        clock.drive(chips.values())

    def scan(self) -> list[int]:
        """Addresses that acknowledge an empty write."""
        self._require_lock()
        return [address for address in sorted(self._chips) if self._answers(address)]

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        """START, address, bytes, STOP."""
        self._require_lock()
        self._write(address, bytes(buffer[start:end]))

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        """START, address, bytes, STOP."""
        self._require_lock()
        size = len(buffer[start:end])
        buffer[start : start + size] = self._read(address, size)

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: bytes,
        in_buffer: bytearray,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
        stop: bool = False,
    ) -> None:
        """A write, a repeated START (or STOP and START), a read."""
        self.writeto(address, out_buffer, start=out_start, end=out_end)
        self.readfrom_into(address, in_buffer, start=in_start, end=in_end)

    def _answers(self, address: int) -> bool:
        try:
            self._write(address, b"")
        except OSError:
            return False
        return True

    def _spend_bytes(self, count: int) -> None:
        self.clock.spend((9 * (count + 1) + 2) * self._bit_s)  # each byte and the address with ACK; START and STOP

    def _chip(self, address: int) -> I2cChip:
        if address not in self._chips:
            raise OSError(errno.ENODEV, f"no chip at {address:#04x}")
        return self._chips[address]

    def _write(self, address: int, data: bytes) -> None:
        self._spend_bytes(len(data))
        try:
            self._chip(address).write(data, self.clock.now_s)
        except ChipFault as fault:
            self.faults.append(fault)
            raise OSError(errno.ENODEV, str(fault)) from fault

    def _read(self, address: int, size: int) -> bytes:
        self._spend_bytes(size)
        chip = self._chip(address)
        try:
            data = chip.read(size, self.clock.now_s)
        except ChipFault as fault:
            self.faults.append(fault)
            raise OSError(errno.ENODEV, str(fault)) from fault
        self.clock.spend(getattr(chip, "stretched_s", 0.0))
        return data


class SPI(_Lockable):
    """`busio.SPI` with one chip; its chip select is a ChipSelect of this bus."""

    def __init__(self, chip: SpiChip, clock: ManualClock) -> None:
        self._chip = chip
        self._clock = clock
        self.frequency = 1_000_000
        self.is_selected = False
        self.faults: list[ChipFault] = []
        clock.drive([chip])

    def configure(self, baudrate: int = 100_000, polarity: int = 0, phase: int = 0, bits: int = 8) -> None:
        """Set the clock's rate; only mode 0 with 8 bits is bridged."""
        self._require_lock()
        if (polarity, phase, bits) != (0, 0, 8):
            raise ValueError(f"SPI mode {polarity, phase} with {bits} bits is not bridged")
        self.frequency = baudrate

    def write(self, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        """Send; what comes back is dropped."""
        self._transfer(bytes(buffer[start:end]))

    def readinto(self, buffer: bytearray, *, start: int = 0, end: int | None = None, write_value: int = 0) -> None:
        """Receive while `write_value` is sent."""
        size = len(buffer[start:end])
        buffer[start : start + size] = self._transfer(bytes([write_value]) * size)

    def write_readinto(
        self,
        out_buffer: bytes,
        in_buffer: bytearray,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """Send and receive at once, equal lengths."""
        data = bytes(out_buffer[out_start:out_end])
        if len(data) != len(in_buffer[in_start:in_end]):
            raise ValueError("buffer slices must be of equal length")
        in_buffer[in_start : in_start + len(data)] = self._transfer(data)

    def select(self, selected: bool) -> None:
        """The chip-select line has moved."""
        if selected == self.is_selected:
            return
        self.is_selected = selected
        self._guard(self._chip.selected if selected else self._chip.deselected)

    def _guard(self, edge: Any) -> None:
        try:
            edge(self._clock.now_s)
        except ChipFault as fault:
            self.faults.append(fault)

    def _transfer(self, data: bytes) -> bytes:
        self._require_lock()
        self._clock.spend(8 * len(data) / self.frequency)
        if not self.is_selected:
            return bytes(len(data))
        try:
            return self._chip.exchange(data, self._clock.now_s)
        except ChipFault as fault:  # on SPI nothing can be refused
            self.faults.append(fault)
            return bytes(len(data))


class Direction:
    """`digitalio.Direction`."""

    INPUT, OUTPUT = "input", "output"


class DigitalInOut:
    """`digitalio.DigitalInOut` on one pin of a chip: reads its PINS, drives its INPUTS."""

    def __init__(self, chip: Chip, pin: str, clock: ManualClock) -> None:
        if pin not in chip.PINS and pin not in chip.INPUTS:
            raise ValueError(f"{type(chip).__name__} has no pin {pin!r}")
        self._chip, self._pin, self._clock = chip, pin, clock
        self._level = False
        self.direction = Direction.INPUT
        self.pull: object = None

    def switch_to_output(self, value: bool = False, drive_mode: object = None) -> None:
        """Drive the line."""
        self.direction = Direction.OUTPUT
        self.value = value

    def switch_to_input(self, pull: object = None) -> None:
        """Let go of the line, which then floats (reads as 0)."""
        if self.direction == Direction.OUTPUT and self._pin in self._chip.INPUTS:
            self._chip.set_input(self._pin, 0, self._clock.now_s)
        self.direction, self.pull = Direction.INPUT, pull

    @property
    def value(self) -> bool:
        """Level of the line."""
        if self._pin in self._chip.PINS:
            return bool(self._chip.pin_level(self._pin))
        return self._level

    @value.setter
    def value(self, level: bool) -> None:
        self._level = bool(level)
        self._chip.set_input(self._pin, int(self._level), self._clock.now_s)


class ChipSelect:
    """`digitalio.DigitalInOut` on the chip-select line of an SPI bus (active low)."""

    def __init__(self, spi: SPI) -> None:
        self._spi = spi
        self.direction = Direction.OUTPUT

    def switch_to_output(self, value: bool = True, drive_mode: object = None) -> None:
        """Drive the line."""
        self.value = value

    @property
    def value(self) -> bool:
        """True: not selected."""
        return not self._spi.is_selected

    @value.setter
    def value(self, level: bool) -> None:
        self._spi.select(not level)
