"""The address space as READ_REG, WRITE_REG and the RAM download see it: eFuses, SPI registers, RAM."""

from __future__ import annotations

from pave_emulator.chips.chip import ChipFault
from pave_emulator.flash.image import Flash
from pave_emulator.serial.rom_chips import CRYSTAL_HZ, RomChip
from pave_emulator.serial.spi_nor import SpiNor
from pave_emulator.serial.spi_peripheral import SpiPeripheral

ALL_BITS = 0xFFFFFFFF
CLOCK_DIVIDER_FRACTION_SHIFT = 20


class RomMemory:
    """Words by address. What is not modelled raises ChipFault."""

    def __init__(self, chip: RomChip, flash: Flash, mac: bytes) -> None:
        self._chip = chip
        self._fixed = chip.registers(mac)
        self.spi = SpiPeripheral(chip.spi, SpiNor(flash))
        self._ram: dict[int, int] = {}
        self.baud = 115200
        """Of the UART: its clock divider can be read."""

    def read(self, address: int) -> int:
        """The word at an address."""
        if address in self.spi:
            return self.spi.read(address)
        if address in self._fixed:
            return self._fixed[address]
        if address == self._chip.clock_divider:
            sixteenths = CRYSTAL_HZ * 16 // self.baud
            return sixteenths // 16 | sixteenths % 16 << CLOCK_DIVIDER_FRACTION_SHIFT
        if self.in_ram(address, 4) and address % 4 == 0:
            return self._ram.get(address, 0)
        raise ChipFault(f"{self._chip.name}: read of {address:#010x}, which is not modelled (TRM, system and memory)")

    def write(self, address: int, value: int, mask: int) -> None:
        """Set the bits of `mask`."""
        if mask != ALL_BITS:
            value = value & mask | self.read(address) & ~mask
        if address in self.spi:
            self.spi.write(address, value)
        elif address in self._chip.writable:
            self._fixed[address] = value
        elif self.in_ram(address, 4) and address % 4 == 0:
            self._ram[address] = value
        else:
            raise ChipFault(f"{self._chip.name}: write of {value:#x} to {address:#010x}, which is not modelled")

    def load(self, address: int, data: bytes) -> None:
        """Put bytes into RAM, at a word's address."""
        padded = data + bytes(-len(data) % 4)
        for at in range(0, len(padded), 4):
            self._ram[address + at] = int.from_bytes(padded[at : at + 4], "little")

    def in_ram(self, address: int, size: int) -> bool:
        """Whether a range lies in RAM."""
        return any(start <= address and address + size <= end for start, end in self._chip.ram)

    def ram_holds(self, word: bytes) -> bool:
        """Whether these four bytes lie somewhere in RAM, at a word's address."""
        return int.from_bytes(word, "little") in self._ram.values()
