"""The ESP-IDF partition table: 32-byte entries at 0x8000, ended by an MD5 entry and erased flash.

Source: ESP-IDF Programming Guide, "Partition Tables".
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
ENTRY_BYTES = 32
ENTRY_MAGIC = b"\xaa\x50"
MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
TYPE_APP, TYPE_DATA = 0, 1
SUBTYPE_OTA_DATA = 0x00
SUBTYPE_FACTORY, SUBTYPE_OTA_0 = 0x00, 0x10
FLAG_ENCRYPTED = 1


class PartitionError(ValueError):
    """The partition table of an image cannot be used."""


@dataclass(frozen=True)
class Partition:
    """One entry; offset and size in bytes."""

    type: int
    subtype: int
    offset: int
    size: int
    label: str
    encrypted: bool


def parse(table: bytes) -> list[Partition]:
    """Read a partition table. Raise PartitionError when it is empty, damaged or has a wrong MD5."""
    partitions: list[Partition] = []
    for at in range(0, len(table), ENTRY_BYTES):
        entry = table[at : at + ENTRY_BYTES]
        if entry[:16] == MD5_MAGIC:
            _check_md5(table[:at], entry[16:])
            return partitions
        if entry[:2] != ENTRY_MAGIC:
            break
        partitions.append(_parse_entry(entry))
    if not partitions:
        raise PartitionError(f"no partition table at {TABLE_OFFSET:#x}: it starts with {table[:4].hex()}, not aa50")
    raise PartitionError(f"the partition table at {TABLE_OFFSET:#x} has {len(partitions)} entries but no MD5 entry")


def _parse_entry(entry: bytes) -> Partition:
    _magic, kind, subtype, offset, size, label, flags = struct.unpack("<2sBBII16sI", entry)
    name = label.split(b"\0", 1)[0].decode("ascii", "replace")
    return Partition(kind, subtype, offset, size, name, bool(flags & FLAG_ENCRYPTED))


def _check_md5(entries: bytes, stored: bytes) -> None:
    actual = hashlib.md5(entries, usedforsecurity=False).digest()
    if actual != stored:
        raise PartitionError(f"partition table MD5 is {actual.hex()}, the table says {stored.hex()}: image damaged")
