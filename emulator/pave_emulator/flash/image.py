"""A NOR flash in a file: erased to 0xFF in sectors of 4 KiB, programmed from 1 to 0 only.

Reading is plain reading of the file, which the VM does by itself. Erase and program come through here, where they are
counted and checked, so that firmware which forgets to erase fails as loudly as it can. The file may be shorter than
the chip: what lies beyond its end is erased flash (a hole inside the file is not, it reads as zeros).

One operation is the erase of one sector or one program call. Faults are set from outside: `cut_power_at`, `flip_bit`,
`wear_out`. After a cut nothing can be changed until `power_on`.

The file is opened once, the VM opens it anew at each boot: `power_on` makes sure that both have the same one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pave_emulator.flash import faults, partitions, timing, wear
from pave_emulator.flash.faults import PowerLost

__all__ = ["SECTOR_BYTES", "Flash", "FlashError", "ImageFileError", "PowerLost"]

SECTOR_BYTES = 4096
ERASE, PROGRAM = "erase", "program"


class FlashError(Exception):
    """An operation NOR flash cannot do, or one outside the chip."""


class ImageFileError(FlashError):
    """The image's file is not what it was, or the disk does not take what is written to it."""


class Flash:
    """One device's flash. `erases` and `programs` count operations since it was opened, `changes` also faults.

    `last_operation_s` adds up how long `erase` and `program` keep the chip busy; who charges that sets it to 0 before.
    `on_operation`, when set, is called with kind ("erase" or "program"), address and size before each operation.
    """

    def __init__(self, path: Path, size_bytes: int, report: Callable[[str], None]) -> None:
        if not path.is_file():
            raise FlashError(f"no flash image at {path}: build one first")
        self.path = path
        self.size_bytes = size_bytes
        self.erases = 0
        self.programs = 0
        self.changes = 0
        self.last_operation_s = 0.0
        self.on_operation: Callable[[str, int, int], None] | None = None
        self._report = report
        self._sector_erases: dict[int, int] = {}
        self._cut: faults.PowerCut | None = None
        self._lost: PowerLost | None = None
        self._wear_limit: int | None = None
        self._wear_seed = 0
        self._stuck: dict[int, bytes] = {}
        self._booted: str | None = None
        self._fd = os.open(path, os.O_RDWR)
        self._end = os.fstat(self._fd).st_size
        self.partitions: list[partitions.Partition] = []
        self.read_partitions()

    def read_partitions(self) -> None:
        """Take in the partition table, which a tool may have written. Raise PartitionError when it cannot be used."""
        self.partitions = partitions.parse(self.read(partitions.TABLE_OFFSET, partitions.TABLE_BYTES))

    @property
    def operations(self) -> int:
        """Operations since the image was opened, a cut one included."""
        return self.erases + self.programs

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
        """Set whole sectors to 0xFF. Counts one operation per sector. Raise PowerLost where a cut was set."""
        self._check(address, size)
        if address % SECTOR_BYTES or size % SECTOR_BYTES:
            raise self._refuse(f"erase of {size} bytes at {address:#x}: not whole sectors of {SECTOR_BYTES}")
        self.last_operation_s += timing.erase_s(address, size, SECTOR_BYTES)
        for sector in range(address, address + size, SECTOR_BYTES):
            self._begin(ERASE, sector, SECTOR_BYTES)
            self.erases += 1
            self._sector_erases[sector] = self._sector_erases.get(sector, 0) + 1
            self._finish(ERASE, sector, self._erased(sector))

    def program(self, address: int, data: bytes) -> None:
        """Clear bits. Raise FlashError (and report) if `data` would set one, PowerLost where a cut was set."""
        self._check(address, len(data))
        old = self.read(address, len(data))
        stuck = self._stuck_bits(address, len(data))
        bits = int.from_bytes(data, "little") & ~stuck
        if bits & ~int.from_bytes(old, "little"):
            at = next(i for i, (new, was) in enumerate(zip(data, old, strict=True)) if new & ~was & ~stuck >> 8 * i)
            message = f"program at {address + at:#x}: {data[at]:#04x} over {old[at]:#04x} would set a bit: erase first"
            raise self._refuse(message)
        self.last_operation_s += timing.program_s(address, len(data))
        self._begin(PROGRAM, address, len(data))
        self.programs += 1
        self._finish(PROGRAM, address, bits.to_bytes(len(data), "little"))

    def partition(self, label: str) -> partitions.Partition:
        """The partition with this label. Raise FlashError with the labels there are."""
        for entry in self.partitions:
            if entry.label == label:
                return entry
        raise FlashError(f"no partition {label!r} in {self.path}: it has {[p.label for p in self.partitions]}")

    def running_app(self) -> str | None:
        """Label of the app the bootloader started (ota.BootChain.boot), None before it or when there was none."""
        return self._booted

    def set_running_app(self, label: str | None) -> None:
        """For the bootloader: this app has been started."""
        self._booted = label

    def wear(self) -> tuple[wear.Wear, dict[str, wear.Wear]]:
        """Erases since the image was opened: of the whole chip, and by partition."""
        return wear.report(self._sector_erases, self.partitions, SECTOR_BYTES)

    # Faults

    def cut_power_at(self, number: int, fraction: float | None = None, seed: int = 0, worst_case: bool = False) -> None:
        """Lose power during the `number`-th operation from now (1 is the next).

        `fraction` of it (0.0 to 1.0) is done by then; None draws it from `seed`. `worst_case` is a chip whose erases
        have no order (see faults). Raise ValueError for other values.
        """
        if number < 1 or (fraction is not None and not 0.0 <= fraction <= 1.0):
            raise ValueError(f"power cut at operation {number}, fraction {fraction}: from 1, and 0.0 to 1.0")
        done = faults.draw_fraction(seed, number) if fraction is None else fraction
        self._cut = faults.PowerCut(self.operations + number, done, seed, worst_case)

    def power_on(self) -> None:
        """Power is there (again); a cut that was set and has not come stays set.

        Raise ImageFileError (and report) when somebody has taken the file away or put another in its place.
        """
        self._lost = None
        opened = os.fstat(self._fd)
        try:
            there = self.path.stat()
        except OSError as error:
            raise self._file_error(f"{error.strerror}: put the image back, or end the run") from error
        if not os.path.samestat(opened, there):
            raise self._file_error("another file than the one this run has opened: start the run again")
        if opened.st_size < self._end:
            cut = f"somebody has cut it from {self._end} to {opened.st_size} bytes"
            if opened.st_size < partitions.TABLE_OFFSET + partitions.TABLE_BYTES:
                raise self._file_error(f"{cut}, its partition table is gone: put the image back")
            self._report(f"flash: {self.path}: {cut}; what is missing is erased flash")
            self.changes += 1
        self._end = opened.st_size

    def flip_bit(self, address: int, bit: int) -> None:
        """Invert one bit (0 to 7) of the byte at `address`, as a failing cell does; no operation is counted."""
        if not 0 <= bit <= 7:
            raise ValueError(f"bit {bit} of a byte: 0 to 7")
        self._store(address, bytes([self.read(address, 1)[0] ^ 1 << bit]))

    def wear_out(self, after_erases: int, seed: int = 0) -> None:
        """Let each sector's erases beyond `after_erases` leave a few bits at 0, the same ones for ever."""
        self._wear_limit, self._wear_seed = after_erases, seed

    # Operations

    def _begin(self, kind: str, address: int, size: int) -> None:
        if self._lost:
            raise self._lost
        if self.on_operation:
            self.on_operation(kind, address, size)

    def _finish(self, kind: str, address: int, new: bytes) -> None:
        """Store the outcome of the operation just counted, or what a power cut leaves of it."""
        cut = self._cut
        if cut is None or cut.number != self.operations:
            self._store(address, new)
            return
        self._cut = None
        self._lost = PowerLost(cut.number, kind, address, len(new))
        self._store(address, cut.interrupted(kind, self.read(address, len(new)), new))
        raise self._lost

    def _erased(self, sector: int) -> bytes:
        if self._wear_limit is not None and self._sector_erases[sector] > self._wear_limit:
            if sector not in self._stuck:
                self._report(f"flash: the sector at {sector:#x} is worn out after {self._wear_limit} erases")
            self._stuck[sector] = faults.stuck_mask(self._wear_seed, sector, SECTOR_BYTES)
        return bytes(~byte & 0xFF for byte in self._stuck[sector]) if sector in self._stuck else b"\xff" * SECTOR_BYTES

    def _stuck_bits(self, address: int, size: int) -> int:
        """Stuck bits of a range, as an integer with the first byte lowest."""
        if not self._stuck:
            return 0
        first = address - address % SECTOR_BYTES
        sectors = range(first, address + size, SECTOR_BYTES)
        masks = b"".join(self._stuck.get(sector, bytes(SECTOR_BYTES)) for sector in sectors)
        return int.from_bytes(masks[address - first : address - first + size], "little")

    def _store(self, address: int, data: bytes) -> None:
        self.changes += 1
        end = os.fstat(self._fd).st_size
        if address >= end and data == b"\xff" * len(data):
            return
        hole = b"\xff" * max(0, address - end)
        try:
            self._write(hole + data, address - len(hole))
        except OSError as error:
            raise self._file_error(f"{error.strerror}: make room, then cut the device's power") from error
        self._end = max(self._end, address + len(data))

    def _write(self, data: bytes, address: int) -> None:
        """All of it: a disk that is nearly full takes a part at first."""
        while data:
            written = os.pwrite(self._fd, data, address)
            data, address = data[written:], address + written

    def _check(self, address: int, size: int) -> None:
        if address < 0 or address + size > self.size_bytes:
            raise self._refuse(f"{size} bytes at {address:#x} lie outside the chip of {self.size_bytes} bytes")

    def _file_error(self, what: str) -> ImageFileError:
        self._report(f"flash: {self.path}: {what}")
        return ImageFileError(f"{self.path}: {what}")

    def _refuse(self, message: str) -> FlashError:
        self._report("flash: " + message)
        return FlashError(message)
