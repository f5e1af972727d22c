"""Modes of an ILI9341, and what it answers to read commands (datasheet v1.11, 8.2.3 to 8.2.10 and others)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.chips import ili9341_commands as command
from pave_emulator.chips.ili9341_registers import Registers

ID1, ID2, ID3, ID4 = 0x00, 0x80, 0x00, bytes([0x00, 0x93, 0x41])  # before anybody programs the NV memory


@dataclass
class Modes:
    """What commands without parameters have switched; the defaults are those after a reset."""

    asleep: bool = True
    display_on: bool = False
    partial: bool = False
    scrolling: bool = False
    inverted: bool = False
    idle: bool = False

    def power_mode(self) -> int:
        """RDDPM (8.2.5): booster, idle, partial, sleep out, normal, display on."""
        awake = not self.asleep
        normal = not (self.partial or self.scrolling)
        return awake << 7 | self.idle << 6 | self.partial << 5 | awake << 4 | normal << 3 | self.display_on << 2


class Reply:
    """Bytes that a chip sends after a read command: some first ones, then either nothing or a stream."""

    def __init__(self, first: bytes, stream: Callable[[int], bytes] | None = None) -> None:
        """`stream` gives the next so many pixels, three bytes each."""
        self._ready = first
        self._stream = stream

    def take(self, size: int) -> bytes:
        """The next `size` bytes; zeros when there is no more."""
        missing = size - len(self._ready)
        if missing > 0:
            self._ready += self._stream(-(-missing // 3)) if self._stream else bytes(missing)
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken


def answer(code: int, registers: Registers, modes: Modes, diagnostic: int) -> Reply | None:
    """What a read command (but for pixels) answers; None: it is no such command."""
    if code == command.RDDIDIF:
        return Reply(_after_dummy_clock(bytes([ID1, ID2, ID3])))
    if code == command.RDDST:
        return Reply(_after_dummy_clock(_status(registers, modes)))
    if code == command.RDID4:
        return Reply(b"\0" + ID4)  # the first parameter is a dummy
    bytes_read = {
        command.RDDPM: modes.power_mode(),
        command.RDDMADCTL: registers.first(command.MADCTL) & 0xFC,
        command.RDDCOLMOD: registers.first(command.PIXSET) & 0x07,
        command.RDDIM: _gamma_curve(registers),
        command.RDDSM: 0,  # tearing effect off, no RGB interface
        command.RDDSDR: diagnostic,
        command.RDDISBV: registers.first(command.WRDISBV),
        command.RDCTRLD: registers.first(command.WRCTRLD),
        command.RDCABC: registers.first(command.WRCABC),
        command.RDCABCMB: registers.first(command.WRCABCMB),
        command.RDID1: ID1,
        command.RDID2: ID2,
        command.RDID3: ID3,
    }
    return Reply(bytes([bytes_read[code]])) if code in bytes_read else None


def _gamma_curve(registers: Registers) -> int:
    return registers.first(command.GAMSET).bit_length() - 1


def _status(registers: Registers, modes: Modes) -> bytes:
    """RDDST (8.2.4), its 32 bits; bits 15 to 11 are always 0."""
    power = modes.power_mode()
    status = (not modes.asleep) << 31 | (registers.first(command.MADCTL) & 0xFC) << 23
    status |= (registers.first(command.PIXSET) & 0x07) << 20
    status |= (power >> 3 & 0x0F) << 16  # idle, partial, sleep out, normal
    status |= modes.display_on << 10 | _gamma_curve(registers) << 6
    return status.to_bytes(4, "big")


def _after_dummy_clock(value: bytes) -> bytes:
    """24 and 32-bit reads begin with one dummy clock (7.1.10): over bytes everything comes a bit late."""
    return (int.from_bytes(value, "big") << 7).to_bytes(len(value) + 1, "big")
