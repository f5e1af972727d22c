"""The ESP32's partition table: what `hardware/boards/*.toml` says, as the 3,072 bytes at flash offset 0x8000.

The binary form is an array of 32-byte entries (magic AA 50, type, subtype, offset, size, label of 16 bytes, flags),
then one entry EB EB whose last 16 bytes are the MD5 of the entries before it, then 0xFF to 0xC00 bytes. The bootloader
and MicroPython's `esp32.Partition` both read it. Source: ESP-IDF Programming Guide, "Partition Tables".
"""

import hashlib
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pave_boards.partitions import SUBTYPES, TYPES
from pave_tools.errors import PartitionError, nearest

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
SECTOR_BYTES = 0x1000
FIRST_FREE_OFFSET = TABLE_OFFSET + SECTOR_BYTES
APP_ALIGNMENT_BYTES = 0x10000  # the flash MMU maps code in pages of 64 KiB
LABEL_BYTES = 16
ENTRIES_MAX = TABLE_BYTES // 32 - 1  # one is the MD5's

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_ERASED_ENTRY = b"\xff" * _ENTRY.size


@dataclass(frozen=True)
class Partition:
    """One partition: `type` and `subtype` by name, `offset` and `size` in bytes from the start of the flash."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Return the offset of the first byte behind the partition."""
        return self.offset + self.size


def encode_table(partitions: Sequence[Partition], flash_bytes: int) -> bytes:
    """Return the 0xC00 bytes of the table, in the order given; raises `PartitionError` when `check_table` would."""
    check_table(partitions, flash_bytes)
    entries = b"".join(_encode_entry(partition) for partition in partitions)
    table = entries + _MD5_MAGIC + hashlib.md5(entries, usedforsecurity=False).digest()
    return table.ljust(TABLE_BYTES, b"\xff")


def decode_table(data: bytes) -> list[Partition]:
    """Return the partitions of a binary table, whose MD5 entry must be there and right; raises `PartitionError`."""
    partitions: list[Partition] = []
    for start in range(0, min(len(data), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        entry = data[start : start + _ENTRY.size]
        if entry[:2] == _MD5_MAGIC[:2]:
            _check_md5(data[:start], entry[16:])
            return partitions
        if entry == _ERASED_ENTRY:
            break
        partitions.append(_decode_entry(entry, start))
    raise PartitionError(f"partition table of {len(data)} bytes ends without its MD5 entry (EB EB): it is cut or old")


def check_table(partitions: Sequence[Partition], flash_bytes: int) -> None:
    """Raise `PartitionError` unless names, types, alignment, order and size suit a flash of `flash_bytes`."""
    if not 1 <= len(partitions) <= ENTRIES_MAX:
        raise PartitionError(f"{len(partitions)} partitions: a table holds 1 to {ENTRIES_MAX}")
    for partition in partitions:
        _check_one(partition, flash_bytes)
    names = [partition.name for partition in partitions]
    for name in names:
        if names.count(name) > 1:
            raise PartitionError(f"partition {name!r} is declared {names.count(name)} times; names must differ")
    by_offset = sorted(partitions, key=lambda partition: partition.offset)
    for before, after in itertools.pairwise(by_offset):
        if after.offset < before.end:
            raise PartitionError(
                f"partition {after.name!r} at {after.offset:#x} overlaps {before.name!r}, which ends at {before.end:#x}"
            )


def _check_one(partition: Partition, flash_bytes: int) -> None:
    where = f"partition {partition.name!r}"
    if not 1 <= len(partition.name.encode()) <= LABEL_BYTES:
        raise PartitionError(f"{where}: a label has 1 to {LABEL_BYTES} bytes")
    if partition.type not in TYPES:
        raise PartitionError(f"{where}: type {partition.type!r} is unknown{nearest(partition.type, TYPES)}")
    subtypes = SUBTYPES[partition.type]
    if partition.subtype not in subtypes:
        raise PartitionError(f"{where}: subtype {partition.subtype!r} is unknown{nearest(partition.subtype, subtypes)}")
    alignment = APP_ALIGNMENT_BYTES if partition.type == "app" else SECTOR_BYTES
    if partition.offset % alignment:
        raise PartitionError(f"{where}: offset {partition.offset:#x} is not a multiple of {alignment:#x}")
    if partition.offset < FIRST_FREE_OFFSET:
        raise PartitionError(f"{where}: offset {partition.offset:#x} is below {FIRST_FREE_OFFSET:#x}, the table's end")
    if partition.size <= 0 or partition.size % SECTOR_BYTES:
        raise PartitionError(f"{where}: size {partition.size:#x} is not a positive multiple of {SECTOR_BYTES:#x}")
    if partition.end > flash_bytes:
        raise PartitionError(f"{where} ends at {partition.end:#x}, beyond the flash of {flash_bytes:#x} bytes")


def _encode_entry(partition: Partition) -> bytes:
    kind, subtype = TYPES[partition.type], SUBTYPES[partition.type][partition.subtype]
    return _ENTRY.pack(_MAGIC, kind, subtype, partition.offset, partition.size, partition.name.encode(), 0)


def _decode_entry(entry: bytes, start: int) -> Partition:
    magic, kind, subtype, offset, size, label, _flags = _ENTRY.unpack(entry)
    if magic != _MAGIC:
        raise PartitionError(f"partition table entry at +{start:#x} begins with {magic.hex()}, not with aa50")
    type_name = _name_of(kind, TYPES, f"partition table entry at +{start:#x}: type")
    subtype_name = _name_of(subtype, SUBTYPES[type_name], f"partition table entry at +{start:#x}: subtype")
    return Partition(label.rstrip(b"\0").decode("utf-8", "replace"), type_name, subtype_name, offset, size)


def _name_of(code: int, names: dict[str, int], what: str) -> str:
    for name, value in names.items():
        if value == code:
            return name
    raise PartitionError(f"{what} {code:#04x} is none of {', '.join(names)}")


def _check_md5(entries: bytes, found: bytes) -> None:
    expected = hashlib.md5(entries, usedforsecurity=False).digest()
    if found != expected:
        raise PartitionError(f"partition table MD5 is {found.hex()}, its entries give {expected.hex()}: corrupt table")
