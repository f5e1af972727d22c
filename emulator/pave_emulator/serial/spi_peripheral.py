"""The SPI peripheral that reaches the flash chip, as software uses it for commands of its own ("user" commands).

Source: ESP32 Technical Reference Manual, chapter 7 "SPI Controller", register descriptions; for the ESP32-S3 ESP-IDF's
`spi_mem_reg.h` (SPI1). The two differ in where the registers lie and in how the address register is aligned.
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_emulator.serial.spi_nor import SpiNor

USER_COMMAND, USER_ADDRESS, USER_MISO, USER_MOSI = 1 << 31, 1 << 30, 1 << 28, 1 << 27
START_USER = 1 << 18
ADDRESS_LENGTH_SHIFT = 26
DATA_WORDS = 16


@dataclass(frozen=True)
class SpiLayout:
    """Where the registers of one chip's SPI1 lie. `address_at_top`: the address fills its register from the MSB."""

    base: int
    user: int
    user1: int
    user2: int
    mosi_bits: int
    miso_bits: int
    w0: int
    address_at_top: bool


ESP32_SPI1 = SpiLayout(0x3FF42000, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x80, True)
ESP32S3_SPI1 = SpiLayout(0x60002000, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x58, False)


class SpiPeripheral:
    """Registers by address. A start bit runs one transaction, done when the write returns."""

    def __init__(self, layout: SpiLayout, chip: SpiNor) -> None:
        self._layout = layout
        self._chip = chip
        self.attached = False
        """Whether the pins lead to the flash chip (SPI_ATTACH). Without, MISO reads as ones."""
        offsets = [0, 4, layout.user, layout.user1, layout.user2, layout.mosi_bits, layout.miso_bits]
        offsets += [layout.w0 + 4 * n for n in range(DATA_WORDS)]
        self._registers = {layout.base + offset: 0 for offset in offsets}
        self._registers[layout.base + layout.user] = USER_COMMAND  # as it is after reset

    def __contains__(self, address: int) -> bool:
        return address in self._registers

    def read(self, address: int) -> int:
        """The register's value."""
        return self._registers[address]

    def write(self, address: int, value: int) -> None:
        """Set a register; the start bit in SPI_CMD runs the transaction. Raise ChipFault, FlashError."""
        if address == self._layout.base:
            if value & START_USER:
                self._run()
            return
        self._registers[address] = value

    def _run(self) -> None:
        layout, user = self._layout, self._at(self._layout.user)
        miso_bits = self._at(layout.miso_bits) % 512 + 1 if user & USER_MISO else 0
        read_bytes = (miso_bits + 7) // 8
        answer = b"\xff" * read_bytes
        if self.attached:
            mosi_bits = self._at(layout.mosi_bits) % 512 + 1 if user & USER_MOSI else 0
            words = b"".join(self._at(layout.w0 + 4 * n).to_bytes(4, "little") for n in range(DATA_WORDS))
            command = self._at(layout.user2) & 0xFF
            answer = self._chip.transfer(command, self._address(user), words[: mosi_bits // 8], read_bytes)
        for n in range((read_bytes + 3) // 4):
            word = int.from_bytes(answer[4 * n : 4 * n + 4], "little")
            self._registers[layout.base + layout.w0 + 4 * n] = word

    def _address(self, user: int) -> int | None:
        if not user & USER_ADDRESS:
            return None
        bits = (self._at(self._layout.user1) >> ADDRESS_LENGTH_SHIFT) + 1
        value = self._at(4)
        return value >> (32 - bits) if self._layout.address_at_top else value & ((1 << bits) - 1)

    def _at(self, offset: int) -> int:
        return self._registers[self._layout.base + offset]
