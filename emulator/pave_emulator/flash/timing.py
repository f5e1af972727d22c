"""How long a NOR flash is busy: typical figures of the Winbond W25Q64JV (rev. J, 9.6 "AC Electrical Characteristics").

The ESP-IDF driver waits for the chip, so this is time the firmware does not run. It erases aligned 64 KiB blocks at
once where a range covers them (esp_flash_erase_region, ESP-IDF v5.5.2) and programs page by page.
"""

from __future__ import annotations

PAGE_BYTES = 256
BLOCK_BYTES = 65536
ENDURANCE_ERASES = 100_000  # minimum program/erase cycles per sector, W25Q64JV section 2
FIRST_BYTE_S = 30e-6  # tBP1
NEXT_BYTE_S = 2.5e-6  # tBP2
PAGE_PROGRAM_S = 0.4e-3  # tPP
SECTOR_ERASE_S = 45e-3  # tSE, 4 KiB
BLOCK_ERASE_S = 150e-3  # tBE2, 64 KiB


def program_s(address: int, size: int) -> float:
    """Seconds to program `size` bytes from `address`, split where pages end."""
    total = 0.0
    while size > 0:
        part = min(size, PAGE_BYTES - address % PAGE_BYTES)
        total += min(PAGE_PROGRAM_S, FIRST_BYTE_S + NEXT_BYTE_S * (part - 1))
        address += part
        size -= part
    return total


def erase_s(address: int, size: int, sector_bytes: int) -> float:
    """Seconds to erase whole sectors from `address`."""
    total = 0.0
    while size > 0:
        whole_block = address % BLOCK_BYTES == 0 and size >= BLOCK_BYTES
        total += BLOCK_ERASE_S if whole_block else SECTOR_ERASE_S
        part = BLOCK_BYTES if whole_block else sector_bytes
        address += part
        size -= part
    return total
