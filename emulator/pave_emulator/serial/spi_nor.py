"""The flash chip as its SPI bus sees it: the commands of a Winbond W25Q of the size of the image.

Source: Winbond W25Q64JV datasheet, revision K: 6.1 "Manufacturer and device identification", 7.1 "Status registers",
8.1.2 "Instruction set table 1". Every operation is done at once: BUSY is never seen set.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.chips.chip import ChipFault
from pave_emulator.flash.image import SECTOR_BYTES, Flash

MANUFACTURER_WINBOND, MEMORY_TYPE = 0xEF, 0x40
WRITE_ENABLE, WRITE_DISABLE, VOLATILE_STATUS_ENABLE = 0x06, 0x04, 0x50
READ_STATUS = {0x05: 0, 0x35: 1, 0x15: 2}
WRITE_STATUS = {0x01: 0, 0x31: 1, 0x11: 2}
JEDEC_ID, DEVICE_ID, RELEASE_POWER_DOWN = 0x9F, 0x90, 0xAB
READ_DATA, PAGE_PROGRAM, SECTOR_ERASE, CHIP_ERASE = 0x03, 0x02, 0x20, (0xC7, 0x60)
ENABLE_RESET, RESET = 0x66, 0x99
READ_SFDP = 0x5A
SFDP_HEADER = bytes.fromhex("53464450 050100ff 00050110 800000ff")  # 8.2.29: signature, one table of 16 words at 80h
SFDP_TABLE_ADDRESS = 0x80
PAGE_BYTES = 256
STATUS1_WEL = 0x02
STATUS1_PROTECTION = 0xFC  # SRP, SEC, TB, BP2..BP0


class SpiNor:
    """Commands in, answers out; the array is `flash`."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._power_on()

    def _power_on(self) -> None:
        self._status = [0, 0, 0x60]  # 7.1: DRV1 and DRV0 set from the factory
        self._status_writable = False
        self._reset_enabled = False

    def transfer(self, command: int, address: int | None, data: bytes, read_bytes: int) -> bytes:
        """One transaction: instruction, address, bytes on MOSI; the bytes on MISO. Raise ChipFault, FlashError."""
        reset_enabled, self._reset_enabled = self._reset_enabled, False
        if command in READ_STATUS:
            return bytes([self._status[READ_STATUS[command]]]) * read_bytes
        if command in WRITE_STATUS:
            self._write_status(WRITE_STATUS[command], data)
            return b""
        if command == READ_SFDP:
            return self._read_sfdp(address or 0, read_bytes)
        if command in (READ_DATA, PAGE_PROGRAM, SECTOR_ERASE) or command in CHIP_ERASE:
            return self._access(command, address, data, read_bytes)
        if command in (WRITE_ENABLE, WRITE_DISABLE):
            self._set_write_enable(command == WRITE_ENABLE)
        elif command == VOLATILE_STATUS_ENABLE:
            self._status_writable = True
        elif command == ENABLE_RESET:
            self._reset_enabled = True
        elif command == RESET and reset_enabled:
            self._power_on()
        else:
            return (self._identity(command) + bytes(read_bytes))[:read_bytes]
        return b""

    def _identity(self, command: int) -> bytes:
        capacity = (self._flash.size_bytes - 1).bit_length()
        if command == JEDEC_ID:
            return bytes([MANUFACTURER_WINBOND, MEMORY_TYPE, capacity])
        if command == DEVICE_ID:
            return bytes([MANUFACTURER_WINBOND, capacity - 1])
        if command == RELEASE_POWER_DOWN:
            return bytes([capacity - 1])
        raise ChipFault(f"flash chip: instruction {command:#04x} is not modelled (W25Q64JV 8.1.2)")

    def _read_sfdp(self, address: int, size: int) -> bytes:
        if address + size > SFDP_TABLE_ADDRESS:
            raise ChipFault(f"flash chip: the SFDP table at {address:#x} is not modelled (W25Q64JV 8.2.29)")
        return SFDP_HEADER.ljust(SFDP_TABLE_ADDRESS, b"\xff")[address : address + size]

    def _access(self, command: int, address: int | None, data: bytes, read_bytes: int) -> bytes:
        if command in CHIP_ERASE:
            self._modify(lambda: self._flash.erase(0, self._flash.size_bytes))
            return b""
        if address is None:
            raise ChipFault(f"flash chip: instruction {command:#04x} without an address (W25Q64JV 8.1.2)")
        if command == READ_DATA:
            return self._flash.read(address, read_bytes)
        if command == SECTOR_ERASE:
            self._modify(lambda: self._flash.erase(address - address % SECTOR_BYTES))
        elif address % PAGE_BYTES + len(data) > PAGE_BYTES:
            raise ChipFault(f"flash chip: {len(data)} bytes at {address:#x} cross a page (W25Q64JV 8.2.13)")
        else:
            self._modify(lambda: self._flash.program(address, data))
        return b""

    def _modify(self, operation: Callable[[], None]) -> None:
        """Without write enable the chip ignores the instruction (7.1.2)."""
        if self._status[0] & STATUS1_WEL:
            operation()
        self._set_write_enable(False)

    def _set_write_enable(self, enabled: bool) -> None:
        self._status[0] = self._status[0] & ~STATUS1_WEL | (STATUS1_WEL if enabled else 0)

    def _write_status(self, first: int, data: bytes) -> None:
        """Status registers from `first` on: 01h takes one or two bytes (8.2.4)."""
        if not (self._status_writable or self._status[0] & STATUS1_WEL):
            return
        if first == 0 and data and data[0] & STATUS1_PROTECTION:
            raise ChipFault(f"flash chip: block protection {data[0]:#04x} is not modelled (W25Q64JV 7.1.4)")
        for index, value in enumerate(data[: 2 if first == 0 else 1], start=first):
            if index > 0:
                self._status[index] = value
        self._status_writable = False
        self._set_write_enable(False)
