"""Whether a partition table fits the flash, and whether a MicroPython in it can boot.

Sources: ESP-IDF Programming Guide, "Partition Tables" (types, alignment, sizes of otadata and nvs); MicroPython 1.29,
ports/esp32/modules/_boot.py (a data partition labelled vfs is mounted) and main.c (NVS is set up at every start).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from pave_boards.faults import Fault, hint
from pave_boards.model import BoardFile, PartitionTable

FIRST_OFFSET = 0x9000  # behind the table itself
SECTOR_BYTES = 0x1000
APP_ALIGNMENT_BYTES = 0x10000  # the flash MMU maps code in pages of 64 KiB
LABEL_BYTES = 16
MAX_PARTITIONS = 95
OTADATA_BYTES = 0x2000
NVS_LEAST_BYTES = 0x3000  # two pages, and one to clean up with

TYPES = {"app": 0x00, "data": 0x01}
SUBTYPES = {
    "app": {"factory": 0x00, "test": 0x20} | {f"ota_{slot}": 0x10 + slot for slot in range(16)},
    "data": {
        "ota": 0x00,
        "phy": 0x01,
        "nvs": 0x02,
        "coredump": 0x03,
        "nvs_keys": 0x04,
        "efuse": 0x05,
        "undefined": 0x06,
        "fat": 0x81,
        "spiffs": 0x82,
        "littlefs": 0x83,
    },
}


def check_partitions(board: BoardFile) -> Iterator[Fault]:
    """Every fault of the [[partition]] tables."""
    found = list(_alone(board))
    yield from found
    yield from _together(board.partition)
    if not found:  # else what is missing may be there, misspelt
        yield from _bootable(board.partition)


def _alone(board: BoardFile) -> Iterator[Fault]:
    """What is wrong with one partition whatever the others are."""
    for number, entry in enumerate(board.partition):
        path = ("partition", number)
        if not 1 <= len(entry.name.encode()) <= LABEL_BYTES:
            yield Fault((*path, "name"), f": name = {entry.name!r}: a label has 1 to {LABEL_BYTES} bytes")
        if entry.type not in TYPES:
            yield Fault((*path, "type"), f": type {entry.type!r} is unknown: {hint(entry.type, TYPES)}")
        elif entry.subtype not in SUBTYPES[entry.type]:
            near = hint(entry.subtype, SUBTYPES[entry.type])
            yield Fault((*path, "subtype"), f": subtype {entry.subtype!r} is unknown: {near}")
        alignment = APP_ALIGNMENT_BYTES if entry.type == "app" else SECTOR_BYTES
        said = f": offset = {entry.offset:#x}"
        if entry.offset < FIRST_OFFSET:
            yield Fault((*path, "offset"), f"{said}: boot loader and table end at {FIRST_OFFSET:#x}; move it up")
        elif entry.offset % alignment:
            up = -(-entry.offset // alignment) * alignment
            what = f"{'an app' if entry.type == 'app' else 'data'} begins at a multiple of {alignment:#x}"
            yield Fault((*path, "offset"), f"{said}: {what}; the next is {up:#x}")
        yield from _size(number, entry, board.board.flash_bytes)


def _size(number: int, entry: PartitionTable, flash_bytes: int) -> Iterator[Fault]:
    path, said = ("partition", number, "size"), f": size = {entry.size:#x}"
    if entry.size == 0 or entry.size % SECTOR_BYTES:
        yield Fault(path, f"{said}: sectors of {SECTOR_BYTES:#x} bytes, one or more, expected")
    elif entry.end > flash_bytes:
        room = max(0, flash_bytes - entry.offset)
        yield Fault(path, f"{said}: it ends at {entry.end:#x}, the flash at {flash_bytes:#x}; {room:#x} bytes are left")
    elif (entry.type, entry.subtype) == ("data", "ota") and entry.size != OTADATA_BYTES:
        yield Fault(path, f"{said}: otadata has {OTADATA_BYTES:#x} bytes, a sector for each of two entries")
    elif (entry.type, entry.subtype) == ("data", "nvs") and entry.size < NVS_LEAST_BYTES:
        yield Fault(path, f"{said}: NVS wants {NVS_LEAST_BYTES:#x} bytes or more")


def _together(entries: Sequence[PartitionTable]) -> Iterator[Fault]:
    if len(entries) > MAX_PARTITIONS:
        yield Fault(("partition", MAX_PARTITIONS), f": {len(entries)} partitions; a table holds {MAX_PARTITIONS}")
    slots: dict[str, str] = {}
    for number, entry in enumerate(entries):
        other = slots.setdefault(entry.subtype, entry.name) if entry.type == "app" else entry.name
        if other != entry.name:
            yield Fault(("partition", number, "subtype"), f": subtype {entry.subtype!r} is {other!r} already")
    by_offset = sorted(range(len(entries)), key=lambda number: entries[number].offset)
    for before, after in itertools.pairwise(by_offset):
        if entries[after].offset < entries[before].end:
            said = f": offset = {entries[after].offset:#x}: {entries[before].name!r} ends at {entries[before].end:#x}"
            yield Fault(("partition", after, "offset"), f"{said}; they overlap")


def _bootable(entries: Sequence[PartitionTable]) -> Iterator[Fault]:
    """What boot loader and MicroPython look for."""
    apps = {entry.subtype for entry in entries if entry.type == "app"}
    data = {(entry.name, entry.subtype) for entry in entries if entry.type == "data"}
    names, kinds = {name for name, _ in data}, {kind for _, kind in data}
    slots = sorted(int(name.removeprefix("ota_")) for name in apps if name.startswith("ota_"))
    for holds, what in (
        ("factory" in apps or slots, "type = 'app', subtype = 'factory' or 'ota_0': MicroPython goes there"),
        (slots == list(range(len(slots))), f"subtype = 'ota_{_gap(slots)}': slots are counted from 0"),
        (not slots or "ota" in kinds, "type = 'data', subtype = 'ota': it says which slot is active"),
        ("vfs" in names, "name = 'vfs', type = 'data': MicroPython keeps its files there"),
        (("nvs", "nvs") in data, "name = 'nvs', type = 'data', subtype = 'nvs': settings are kept there"),
    ):
        if not holds:
            yield Fault(("partition",), f": none has {what}; add it")


def _gap(slots: Sequence[int]) -> int:
    """The first slot that is not there."""
    return next(slot for slot in itertools.count() if slot not in slots)
