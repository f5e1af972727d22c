"""A NOR flash in a file: erased to 0xFF in sectors of 4 KiB, programmed from 1 to 0 only.

Reading is plain reading of the file, which the VM does by itself. Erase and program come through here, where they are
counted and checked, so that firmware which forgets to erase fails as loudly as it can. The file may be shorter than
the chip: what lies beyond its end is erased flash (a hole inside the file is not, it reads as zeros).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pave_emulator.flash import partitions

SECTOR_BYTES = 4096


class FlashError(Exception):
    """An operation NOR flash cannot do, or one outside the chip."""


class Flash:
    """One device's flash. `erases` and `programs` count operations since it was opened."""

    def __init__(self, path: Path, size_bytes: int, report: Callable[[str], None]) -> None:
        if not path.is_file():
            raise FlashError(f"no flash image at {path}: build one first")
        self.path = path
        self.size_bytes = size_bytes
        self.erases = 0
        self.programs = 0
        self._report = report
        self._fd = os.open(path, os.O_RDWR)
        self.partitions = partitions.parse(self.read(partitions.TABLE_OFFSET, partitions.TABLE_BYTES))

    def close(self) -> None:
        """Let go of the file. Harmless when it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`; erased flash where the file has ended."""
        self._check(address, size)
        data = os.pread(self._fd, size, address)
        return data + b"\xff" * (size - len(data))

    def erase(self, address: int, size: int = SECTOR_BYTES) -> None:
        """Set whole sectors to 0xFF. Counts one operation per sector."""
        self._check(address, size)
        if address % SECTOR_BYTES or size % SECTOR_BYTES:
            raise self._refuse(f"erase of {size} bytes at {address:#x}: not whole sectors of {SECTOR_BYTES}")
        for sector in range(address, address + size, SECTOR_BYTES):
            self.erases += 1
            if sector < os.fstat(self._fd).st_size:
                os.pwrite(self._fd, b"\xff" * SECTOR_BYTES, sector)

    def program(self, address: int, data: bytes) -> None:
        """Clear bits. Raise FlashError (and report) if `data` would set one."""
        self._check(address, len(data))
        old = self.read(address, len(data))
        bits = int.from_bytes(data, "little")
        if bits & ~int.from_bytes(old, "little"):
            at = next(i for i, (new, was) in enumerate(zip(data, old, strict=True)) if new & ~was)
            message = f"program at {address + at:#x}: {data[at]:#04x} over {old[at]:#04x} would set a bit: erase first"
            raise self._refuse(message)
        self.programs += 1
        end = os.fstat(self._fd).st_size
        if address > end:
            os.pwrite(self._fd, b"\xff" * (address - end), end)
        os.pwrite(self._fd, data, address)

    def partition(self, label: str) -> partitions.Partition:
        """The partition with this label. Raise FlashError with the labels there are."""
        for entry in self.partitions:
            if entry.label == label:
                return entry
        raise FlashError(f"no partition {label!r} in {self.path}: it has {[p.label for p in self.partitions]}")

    def running_app(self) -> str | None:
        """Label of the app the bootloader would start."""
        ota = [p for p in self.partitions if p.type == 1 and p.subtype == partitions.SUBTYPE_OTA_DATA]
        return partitions.running_app(self.partitions, self.read(ota[0].offset, ota[0].size) if ota else b"")

    def _check(self, address: int, size: int) -> None:
        if address < 0 or address + size > self.size_bytes:
            raise self._refuse(f"{size} bytes at {address:#x} lie outside the chip of {self.size_bytes} bytes")

    def _refuse(self, message: str) -> FlashError:
        self._report("flash: " + message)
        return FlashError(message)
