"""What differs between the ROMs of the ESP32 and the ESP32-S3: banners, identity, registers.

Sources: esptool documentation, "Boot Mode Selection" (boot log) and "Serial Protocol" (chip detection); eFuse words
from the eFuse controller chapters of both Technical Reference Manuals; reset reasons from ESP-IDF's `rom/rtc.h`. The
constant words of the ESP32 are those of a real ESP32-D0WD-V3, as traced in esptool's issue 921.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.serial.spi_peripheral import ESP32_SPI1, ESP32S3_SPI1, SpiLayout

POWER_ON, DEEP_SLEEP, WATCHDOG, BROWN_OUT = "power on", "deep sleep", "watchdog", "brown-out"
SOFTWARE, LOADER_RESET = "software", "software reset of the whole chip"
DETECT_REGISTER = 0x40001000
CRYSTAL_HZ = 40_000_000
MAC_CRC_POLYNOMIAL = 0x8C  # x^8 + x^5 + x^4 + 1, reflected: ESP-IDF's esp_rom_efuse_mac_address_crc8


@dataclass(frozen=True)
class RomChip:
    """One chip as its ROM shows it.

    `registers` gives the words at fixed addresses for a MAC (6 bytes), `ram` the ranges a program may be loaded to,
    `security_info` the answer of GET_SECURITY_INFO, None where the ROM does not know the command.
    """

    name: str
    first_lines: str
    resets: dict[str, str]
    download_boot: str
    flash_boot: str
    registers: Callable[[bytes], dict[int, int]]
    writable: tuple[int, ...]
    clock_divider: int
    ram: tuple[tuple[int, int], ...]
    spi: SpiLayout
    security_info: bytes | None

    def banner(self, reset: str, download: bool) -> bytes:
        """What the ROM prints at 115200 baud after a reset of this kind."""
        boot = self.download_boot + "\r\nwaiting for download" if download else self.flash_boot
        return f"{self.first_lines}rst:{self.resets[reset]},boot:{boot}\r\n".encode()


def mac_crc8(mac: bytes) -> int:
    """The checksum that lies beside the MAC in the ESP32's eFuse."""
    crc = 0
    for byte in mac:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (MAC_CRC_POLYNOMIAL if crc & 1 else 0)
    return crc


def _esp32_registers(mac: bytes) -> dict[int, int]:
    efuse = 0x3FF5A000
    words = dict.fromkeys(range(0x20), 0)
    words[1] = int.from_bytes(mac[2:], "big")
    words[2] = int.from_bytes(mac[:2], "big") | mac_crc8(mac) << 16
    words[3] = 0x0000A200  # package ESP32-D0WD, revision bit 0, CPU rated
    words[4] = 50  # CK8M_FREQ; with RTCCALICFG1 the ROM computes a crystal of 40 MHz
    words[5] = 0x00F00000  # revision bit 1, no SPI pads of its own
    return {efuse + 4 * n: word for n, word in words.items()} | {
        DETECT_REGISTER: 0x00F01D83,
        0x3FF6607C: 0x96042000,  # APB_CTRL_DATE: revision bit 2
        0x3FF5F06C: 2048 << 7,  # TIMG0_RTCCALICFG1: cycles of the 8 MHz clock
        0x3FF44038: 0x13,  # GPIO_STRAP
        0x3FF48074: 0,  # RTC_CNTL_SDIO_CONF
    }


def _esp32s3_registers(mac: bytes) -> dict[int, int]:
    efuse = 0x60007000
    words = dict.fromkeys(range(0x2C // 4, 0x1D0 // 4), 0)  # BLOCK0 to BLOCK10, none burnt
    words[0x44 // 4] = int.from_bytes(mac[2:], "big")
    words[0x48 // 4] = int.from_bytes(mac[:2], "big")
    words[0x50 // 4] = 2 << 18 | 3 << 24  # BLOCK1 word 3: minor revision 2, block version 1.3
    words[0x6C // 4] = 1  # BLOCK2 word 4: major of the block version
    return {efuse + 4 * n: word for n, word in words.items()} | {
        DETECT_REGISTER: 9,
        0x60004038: 0x08,  # GPIO_STRAP
        0x6000812C: 0,  # RTC_CNTL_OPTION1: force download boot
    }


ESP32 = RomChip(
    name="ESP32",
    first_lines="ets Jul 29 2019 12:21:46\r\n\r\n",
    resets={
        POWER_ON: "0x1 (POWERON_RESET)",
        DEEP_SLEEP: "0x5 (DEEPSLEEP_RESET)",
        SOFTWARE: "0xc (SW_CPU_RESET)",
        LOADER_RESET: "0x3 (SW_RESET)",
        WATCHDOG: "0x8 (TG1WDT_SYS_RESET)",
        BROWN_OUT: "0xf (RTCWDT_BROWN_OUT_RESET)",
    },
    download_boot="0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
    flash_boot="0x13 (SPI_FAST_FLASH_BOOT)",
    registers=_esp32_registers,
    writable=(0x3FF48074,),
    clock_divider=0x3FF40014,
    ram=((0x3FFAE000, 0x40000000), (0x40070000, 0x400C2000), (0x50000000, 0x50002000)),
    spi=ESP32_SPI1,
    security_info=None,
)

ESP32_S3 = RomChip(
    name="ESP32-S3",
    first_lines="ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
    resets={
        POWER_ON: "0x1 (POWERON)",
        DEEP_SLEEP: "0x5 (DSLEEP)",
        SOFTWARE: "0xc (RTC_SW_CPU_RST)",
        LOADER_RESET: "0x3 (RTC_SW_SYS_RST)",
        WATCHDOG: "0x8 (TG1WDT_SYS_RST)",
        BROWN_OUT: "0xf (BROWN_OUT_RST)",
    },
    download_boot="0x0 (DOWNLOAD(USB/UART0))",
    flash_boot="0x8 (SPI_FAST_FLASH_BOOT)",
    registers=_esp32s3_registers,
    writable=(0x6000812C,),
    clock_divider=0x60000014,
    ram=((0x3FC88000, 0x3FD00000), (0x40370000, 0x403E0000), (0x50000000, 0x50002000)),
    spi=ESP32S3_SPI1,
    security_info=bytes(12) + (9).to_bytes(4, "little") + bytes(4),  # flags, crypt count, key purposes, chip, ECO
)

CHIPS = {"esp32": ESP32, "esp32s3": ESP32_S3}
